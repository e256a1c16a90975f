require "minitest/autorun"
require "rack/mock"
require_relative "../app"

class HelloTest < Minitest::Test
  def test_a_name_is_greeted
    answer = Rack::MockRequest.new(Hello).get("/hello/World")
    assert_equal 200, answer.status
    assert_equal '{"hello":"World"}', answer.body
  end
end
