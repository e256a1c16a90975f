// Makes a page of each text in src.
const fs = require("fs");
const page = require("only-dev");
const shout = require("shout");

fs.mkdirSync("dist/assets", { recursive: true });
for (const name of fs.readdirSync("src").sort()) {
  const text = shout(fs.readFileSync(`src/${name}`, "utf8").trim());
  fs.writeFileSync(`dist/${name.replace(".txt", ".html")}`, page(`${process.env.PUBLIC_URL} ${text}`));
}
fs.writeFileSync("dist/assets/environment.txt", fs.readdirSync(".").filter((name) => name.startsWith(".")).join("\n"));
