"""What Hypercorn 0.18 does and has no setting for. Each has a test: drop one when Hypercorn needs it no more."""

import asyncio
import weakref
from collections.abc import Awaitable, Callable
from typing import Any

from hypercorn.asyncio.tcp_server import TCPServer
from hypercorn.events import Closed
from hypercorn.protocol.events import StreamClosed
from hypercorn.protocol.h11 import H11Protocol
from hypercorn.protocol.ws_stream import WSStream

Method = Callable[..., Awaitable[None]]

_connections: weakref.WeakSet[asyncio.StreamWriter] = weakref.WeakSet()


def mend_hypercorn() -> None:
    """Mend it, once for each process that serves."""
    protocol: Any = H11Protocol
    protocol._check_protocol = _stay_with_http1  # noqa: SLF001
    protocol._create_stream = _refuse_what_is_no_text(protocol._create_stream)  # noqa: SLF001
    handshake: Any = WSStream
    handshake._send_error_response = _close_afterwards(handshake._send_error_response)  # noqa: SLF001
    server: Any = TCPServer
    server.run = _remembered(server.run)
    server._read_data = _waiting_for_nobody(server._read_data)  # noqa: SLF001
    waiting: Any = asyncio.Server
    waiting.wait_closed = _do_not_wait


def cut_off_the_late() -> None:
    """End every connection, read or not: a client that takes nothing would keep us for ever."""
    for writer in list(_connections):
        writer.transport.abort()


async def _stay_with_http1(_protocol: H11Protocol, _request: object) -> None:
    """Let nobody change to HTTP/2 without TLS: past a proxy that lets it through, they could forge what it adds."""


async def _do_not_wait(_server: asyncio.Server) -> None:
    """Leave the waiting to Hypercorn, which gives up in the end. Since Python 3.12 asyncio does not."""


def _refuse_what_is_no_text(create_stream: Method) -> Method:
    """Answer 400 to a handshake in whose headers no text stands, which else is a traceback and no answer."""

    async def create_stream_of_text(protocol: Any, request: object) -> None:
        try:
            await create_stream(protocol, request)
        except UnicodeDecodeError:
            protocol.stream = None
            await protocol._send_error_response(400)  # noqa: SLF001
            await protocol.send(Closed())

    return create_stream_of_text


def _close_afterwards(send_error_response: Method) -> Method:
    """Close the connection of a refused handshake, which else stays open for as long as the client likes."""

    async def send_and_close(stream: Any, status_code: int) -> None:
        await send_error_response(stream, status_code)
        await stream.send(StreamClosed(stream_id=stream.stream_id))

    return send_and_close


def _remembered(run: Method) -> Method:
    async def run_remembered(server: Any) -> None:
        _connections.add(server.writer)
        await run(server)

    return run_remembered


def _waiting_for_nobody(read_data: Method) -> Method:
    """Let go of a client who has gone, whose next request Hypercorn else awaits for its five seconds all the same."""

    async def read_data_and_let_go(server: Any) -> None:
        await read_data(server)
        await server.idle_task.stop()

    return read_data_and_let_go
