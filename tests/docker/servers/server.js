// A server that accepts no more connections after TERM, finishes its requests, and ends by itself.
const server = require("node:http").createServer((_, answer) => answer.end(`node ${process.env.FRIGATE_RESTARTS}\n`));
process.on("SIGTERM", () => {
  console.log("closing");
  server.close(() => console.log("closed"));
});
server.listen(8080, () => console.log("listening"));
