"""A proxy that delays each response of a database: python slow_proxy.py LISTEN_PORT DATABASE_PORT MILLISECONDS.

Responses on different connections do not wait for each other.
"""

import asyncio
import sys
from contextlib import suppress


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay: float) -> None:
    """Forward each chunk after the delay, without delaying the next one."""
    loop = asyncio.get_running_loop()
    with suppress(ConnectionError):  # a server that stops cuts its connections off
        while chunk := await reader.read(65536):
            loop.call_later(delay, writer.write, chunk)
    loop.call_later(delay, writer.close)


async def main(listen: int, database: int, milliseconds: float) -> None:
    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        database_reader, database_writer = await asyncio.open_connection("127.0.0.1", database)
        async with asyncio.TaskGroup() as pumps:
            pumps.create_task(pump(reader, database_writer, 0))
            pumps.create_task(pump(database_reader, writer, milliseconds / 1000))

    server = await asyncio.start_server(connect, "127.0.0.1", listen, backlog=1000)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])))
