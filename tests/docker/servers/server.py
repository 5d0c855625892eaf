#!/usr/bin/python3
"""A server with one loop. A request for /block never ends, and holds up all others."""

import asyncio
import os
import time


def endless_query():
    while True:
        time.sleep(1)


async def answer(reader, writer):
    request = await reader.readuntil(b"\r\n\r\n")
    if request.startswith(b"GET /block"):
        endless_query()
    writer.write(b"HTTP/1.0 200 OK\r\n\r\npython %s\n" % os.environb[b"FRIGATE_RESTARTS"])
    await writer.drain()
    writer.close()


async def main():
    server = await asyncio.start_server(answer, "127.0.0.1", 8080)
    print("listening", flush=True)
    await server.serve_forever()


asyncio.run(main())
