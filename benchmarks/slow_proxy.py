"""A database that is further away: python slow_proxy.py LISTEN_PORT DATABASE_PORT MILLISECONDS.

Each answer comes so much later; what is on its way at the same time does not wait for each other.
"""

import asyncio
import sys
from contextlib import suppress


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay: float) -> None:
    """Pass on what comes, each piece after the delay, without holding up the next."""
    loop = asyncio.get_running_loop()
    with suppress(ConnectionError):  # a server that stops cuts its connections off
        while piece := await reader.read(65536):
            loop.call_later(delay, writer.write, piece)
    loop.call_later(delay, writer.close)


async def main(listen: int, database: int, milliseconds: float) -> None:
    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", database)
        async with asyncio.TaskGroup() as both:
            both.create_task(pump(reader, there_writer, 0))
            both.create_task(pump(there_reader, writer, milliseconds / 1000))

    server = await asyncio.start_server(connect, "127.0.0.1", listen, backlog=1000)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])))
