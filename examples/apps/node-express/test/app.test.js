import assert from "node:assert";
import { test } from "node:test";
import { app } from "../app.js";

test("the first page says hello", async (t) => {
  const server = app.listen(0);
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  const response = await fetch(`http://127.0.0.1:${server.address().port}/`);
  assert.strictEqual(response.status, 200);
  assert.match(await response.text(), /Hello from Express/);
});
