// A server that accepts no more connections after TERM, finishes its requests, and ends by itself. A request for /block
// never ends, and holds up all others, and the handler of TERM too.
const server = require("node:http").createServer((request, answer) => {
  if (request.url === "/block") for (;;);
  answer.end(`node ${process.env.FRIGATE_RESTARTS}\n`);
});
process.on("SIGTERM", () => {
  console.log("closing");
  server.close(() => console.log("closed"));
});
server.listen(8080, () => console.log("listening"));
