import { app } from "./app.js";

const port = process.env.PORT || 8080;
const server = app.listen(port, () => console.log(`listening on port ${port}`));

process.on("SIGTERM", () => {
  server.close();
  server.closeIdleConnections();
});
