// A page that says on what it runs.
const http = require("http");
const os = require("os");
const words = require("./words.json");

const page = () => JSON.stringify({
  hello: process.env.GREETING || "world",
  system: os.type(),
  node: process.version,
  directory: process.cwd(),
  words: words.list.length,
});
http.createServer((request, response) => {
  response.setHeader("Content-Type", "application/json");
  response.end(page());
}).listen(Number(process.env.PORT), () => console.log(`listening at ${process.env.PORT}`));
