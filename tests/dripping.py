"""A way from a site to a browser on which pages arrive piece by piece, as over a slow line."""

import asyncio
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

PIECE = 200  # bytes
PAUSE = 0.02  # seconds: a browser paints what it has


@asynccontextmanager
async def dripping(url: str) -> AsyncIterator[str]:
    """Yield an address at which the site answers a request for each connection; its pages drip, all else flows."""
    site = urlsplit(url)

    async def pass_on(reader: StreamReader, writer: StreamWriter) -> None:
        head = await reader.read(65_536)  # a browser sends it in one go
        if not head:  # it had the connection ready, and did not need it
            writer.close()
            return
        answer, ask = await asyncio.open_connection(site.hostname, site.port)
        lines = [
            line for line in head.split(b"\r\n") if not line.lower().startswith((b"accept-encoding:", b"connection:"))
        ]
        ask.write(b"\r\n".join([lines[0], b"Connection: close", *lines[1:]]))
        whole = await answer.read()
        is_page = b"content-type: text/html" in whole.split(b"\r\n\r\n")[0].lower()
        piece = PIECE if is_page else len(whole)
        for start in range(0, len(whole), piece):
            writer.write(whole[start : start + piece])
            await asyncio.sleep(PAUSE if is_page else 0)
        for end in (writer, ask):
            end.close()

    server = await asyncio.start_server(pass_on, "127.0.0.1", 0)
    async with server:
        yield f"http://{site.hostname}:{server.sockets[0].getsockname()[1]}"
