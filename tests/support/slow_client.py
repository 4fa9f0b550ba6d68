"""A connection from a site to a browser on which pages arrive piece by piece, as over a slow network."""

import asyncio
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from typing import Any
from urllib.parse import urlsplit

PIECE_SIZE_BYTES = 200
PAUSE_SECONDS = 0.02  # a browser paints what it has


@asynccontextmanager
async def dripping(url: str) -> AsyncIterator[str]:
    """Yield a URL of the site at which pages arrive in pieces, and everything else at once."""
    site, tasks = urlsplit(url), set["asyncio.Task[Any] | None"]()

    async def pass_on(reader: StreamReader, writer: StreamWriter) -> None:
        tasks.add(asyncio.current_task())
        with closing(writer):
            if head := await reader.read(65_536):  # a browser sends it at once, but not over a spare connection
                await drip(await fetch(site.hostname, site.port, head), writer)

    server = await asyncio.start_server(pass_on, "127.0.0.1", 0)
    async with server:
        yield f"http://{site.hostname}:{server.sockets[0].getsockname()[1]}"
        for task in filter(None, tasks):
            task.cancel()  # the browser keeps its spare connections open
        await asyncio.gather(*filter(None, tasks), return_exceptions=True)


async def fetch(host: str | None, port: int | None, head: bytes) -> bytes:
    """Send a request that asks for an uncompressed response and no further one, and return the response."""
    reader, writer = await asyncio.open_connection(host, port)
    first, *lines = head.split(b"\r\n")
    kept = [line for line in lines if not line.lower().startswith((b"accept-encoding:", b"connection:"))]
    with closing(writer):
        writer.write(b"\r\n".join([first, b"Connection: close", *kept]))
        return await reader.read()


async def drip(response: bytes, writer: StreamWriter) -> None:
    is_page = b"content-type: text/html" in response.split(b"\r\n\r\n")[0].lower()
    # The navigation stands at the right, so it moves while it grows: it arrives with the head of the page.
    first = response.find(b"<main") if is_page else len(response)
    writer.write(response[:first])
    for start in range(first, len(response), PIECE_SIZE_BYTES):
        await asyncio.sleep(PAUSE_SECONDS)
        writer.write(response[start : start + PIECE_SIZE_BYTES])
