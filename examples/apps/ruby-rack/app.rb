# A page that greets, with its text apart from its look.
require "sinatra/base"
require "json"

class Hello < Sinatra::Base
  set :views, File.join(__dir__, "views")

  get "/" do
    erb :index, locals: { version: RUBY_VERSION }
  end

  get "/hello/:name" do
    content_type :json
    JSON.generate(hello: params[:name])
  end
end
