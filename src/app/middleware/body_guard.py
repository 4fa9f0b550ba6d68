"""How much of a request we read, and for how long, before anything parses it.

Quart's MAX_CONTENT_LENGTH does not hold for a chunked multipart part, and a large form stalls everybody while it is
parsed.
"""

import asyncio

from app.middleware.asgi import Guard, Receive, Scope, Send, headers_named, replay

MAX_BYTES = 64 * 1024
SECONDS = 10
TOO_LONG = f"its body has more than {MAX_BYTES} bytes"


class BodyGuard(Guard):
    """Answer 413 to a body over 64 KiB, 408 to one that takes longer than 10 s; hand on the others in one piece."""

    async def check(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self.app(scope, receive, send)
        elif not _is_declared_small(scope):
            await self.refuse(scope, receive, send, 413, why=TOO_LONG)
        else:
            await self.read(scope, receive, send)

    async def read(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with asyncio.timeout(SECONDS):
                body = await _read(receive)
        except TimeoutError:
            await self.refuse(scope, receive, send, 408, why=f"its body took more than {SECONDS} s")
            return
        if body is None:
            return
        if len(body) > MAX_BYTES:
            await self.refuse(scope, receive, send, 413, why=TOO_LONG)
            return

        await self.app(scope, replay(body, receive), send)


def _is_declared_small(scope: Scope) -> bool:
    """Say whether the request does not itself say that it is too long."""
    lengths = headers_named(scope, b"content-length")
    return all(length.isdecimal() and int(length[:20]) <= MAX_BYTES for length in lengths)


async def _read(receive: Receive) -> bytes | None:
    """Return the body, or as much of it as shows that it is too long; None when the client has gone."""
    body = bytearray()
    while len(body) <= MAX_BYTES:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        if not message.get("more_body", False):
            break
    return bytes(body)
