import express from "express";

export const app = express();

app.use(express.static(new URL("public", import.meta.url).pathname));

app.get("/", (request, response) => {
  response.send(`<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>Express</title>
  <link rel="stylesheet" href="/style.css">
</head>
<body>
  <main>
    <h1>Hello from Express</h1>
    <p>There is <a href="/hello/you">some JSON</a>, too.</p>
  </main>
</body>
</html>
`);
});

app.get("/hello/:name", (request, response) => {
  response.json({ hello: request.params.name });
});
