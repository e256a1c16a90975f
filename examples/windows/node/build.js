// What `npm run build` does: a list becomes JSON.
const fs = require("fs");
const list = fs.readFileSync("words.txt", "utf8").split(/\r?\n/).filter(Boolean);
fs.writeFileSync("words.json", JSON.stringify({ list }));
console.log(`${list.length} words`);
