"""Patches for security holes in Hypercorn 0.18 that no setting closes.

Each patch has a test that shows the hole in an unpatched Hypercorn. When that test fails, delete the patch.
"""

import h11
import hypercorn.protocol
import hypercorn.protocol.h11
from hypercorn.events import Closed
from hypercorn.protocol.events import EndBody, Event, Request, Response, StreamClosed
from hypercorn.protocol.h11 import H11Protocol
from hypercorn.protocol.ws_stream import WSStream


def apply() -> None:
    """Serve HTTP/1.1 and websockets with the classes below in this process."""
    hypercorn.protocol.H11Protocol = HTTP1Protocol  # type: ignore[attr-defined]
    hypercorn.protocol.h11.WSStream = ClosingWSStream  # type: ignore[attr-defined]


class HTTP1Protocol(H11Protocol):
    """Ignore requests to switch to HTTP/2 without TLS (h2c), and refuse methods that are not in capital letters.

    Behind a proxy that passes `Upgrade: h2c` on, as HAProxy 2.6 does, a client could then send requests that the proxy
    does not check, with an X-Forwarded-For of its choice: https://bishopfox.com/blog/h2c-smuggling-request. RFC 9113
    has removed this upgrade.
    Not reported upstream yet: a setting that switches h2c off is missing. The upgrade is wanted there
    (https://github.com/pgjones/hypercorn/issues/317 repaired it).

    Methods are case-sensitive (RFC 9110, 9.1), but Hypercorn makes HEAD of `head`, and h11 does not. The app then sends
    no body, and h11 misses it: each such request is a traceback of a hundred lines in the log, and a proxy waits for
    the body. Not reported upstream yet: `_create_stream()` should not change the method.
    """

    async def _check_protocol(self, event: object) -> None:
        pass

    async def _create_stream(self, request: h11.Request) -> None:
        if request.method.isupper():
            await super()._create_stream(request)
        else:
            await self._send_error_response(501)
            await self.send(Closed())


class ClosingWSStream(WSStream):
    """Close the connection after a refused websocket handshake, and refuse headers that are not text.

    Unpatched, Hypercorn sends 400 and then keeps the connection open until the client closes it: one small request
    occupies a file descriptor for hours. A byte outside ASCII in a handshake header raises UnicodeDecodeError: the
    client gets no response, and the log a traceback that is fifty times as long as the request.
    Not reported upstream yet: WSStream.handle() should send StreamClosed after each error response, and treat headers
    that cannot be decoded as an invalid handshake.
    """

    async def handle(self, event: Event) -> None:
        was_closed = self.closed
        try:
            await super().handle(event)
        except UnicodeDecodeError:
            if not isinstance(event, Request):
                raise
            await self.refuse_handshake()
        if self.closed and not was_closed and not isinstance(event, StreamClosed):
            await self.send(StreamClosed(stream_id=self.stream_id))

    async def refuse_handshake(self) -> None:
        headers = [(b"content-length", b"0"), (b"connection", b"close")]
        await self.send(Response(stream_id=self.stream_id, headers=headers, status_code=400))
        await self.send(EndBody(stream_id=self.stream_id))
        self.closed = True
