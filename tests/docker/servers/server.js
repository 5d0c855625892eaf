// A server that closes its door on TERM, finishes what is under way, and ends by itself.
const server = require("node:http").createServer((_, answer) => answer.end(`node ${process.env.FRIGATE_RESTARTS}\n`));
process.on("SIGTERM", () => {
  console.log("closing");
  server.close(() => console.log("closed"));
});
server.listen(8080, () => console.log("listening"));
