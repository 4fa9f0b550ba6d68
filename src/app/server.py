"""The processes that serve: this one, or several under a master.

Hypercorn serves in each of them. Its own master loses requests when it is stopped, calls a killed worker a success, and
leaves its workers behind when it is killed itself; so the master is ours.
"""

import asyncio
import os
import signal
import socket
from contextlib import closing
from logging import getLogger

from hypercorn.asyncio import serve
from hypercorn.config import Config
from hypercorn.protocol.h11 import H11Protocol
from quart import Quart

from app.listening import let_nobody_in
from app.master import SIGNALS, Master

DRAINED = 10  # seconds that the requests under way get
ACCEPTED = 0.2  # seconds to accept those who stand in line, and again for them to send what they came for
ORPHANED = 0.5  # seconds between two looks whether the master is alive


def hypercorn_config(bind: str) -> Config:
    """Return how Hypercorn is to serve: in one process, and with its messages among our events."""
    config = Config()
    config.bind = [bind]
    config.graceful_timeout = DRAINED
    config.include_server_header = False
    config.errorlog = getLogger("hypercorn.error")
    return config


def serve_app(app: Quart, *, bind: str, workers: int) -> int:
    """Serve until a signal ends it, and return the exit code. Raises OSError when nobody can listen there."""
    mend_hypercorn()
    (listening,) = hypercorn_config(bind).create_sockets().insecure_sockets
    if workers > 1:
        master = os.getpid()
        return Master(lambda: _work(app, listening, master=master), workers, listening).run()
    asyncio.run(_serve(app, listening.detach(), master=None))
    return 0


def mend_hypercorn() -> None:
    """Change what Hypercorn has no setting for."""

    async def stay_with_http1(_protocol: H11Protocol, _request: object) -> None:
        """Let nobody change to HTTP/2 without TLS: past a proxy that lets it through, they could forge what it adds."""

    async def do_not_wait(_server: asyncio.Server) -> None:
        """Leave the waiting to Hypercorn, which gives up after DRAINED seconds. Since Python 3.12 asyncio does not."""

    H11Protocol._check_protocol = stay_with_http1  # type: ignore[assignment,method-assign] # noqa: SLF001
    asyncio.Server.wait_closed = do_not_wait  # type: ignore[assignment,method-assign]


def _work(app: Quart, listening: socket.socket, *, master: int) -> None:
    for number in SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    asyncio.run(_serve(app, listening.detach(), master=master))


async def _serve(app: Quart, fd: int, *, master: int | None) -> None:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in SIGNALS:
        loop.add_signal_handler(number, stop.set)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)

    async def stop_accepting() -> None:
        await stop.wait()
        if os.getppid() != master:  # else others may go on serving, and it is the master who knows
            with closing(socket.socket(fileno=os.dup(fd))) as listening:
                let_nobody_in(listening)
        await asyncio.sleep(ACCEPTED)
        loop.remove_reader(fd)
        await asyncio.sleep(ACCEPTED)

    watching = loop.create_task(_stop_when_orphaned(master, stop))
    try:
        await serve(app, hypercorn_config(f"fd://{fd}"), shutdown_trigger=stop_accepting)
    finally:
        watching.cancel()


async def _stop_when_orphaned(master: int | None, stop: asyncio.Event) -> None:
    while master in (None, os.getppid()):  # noqa: ASYNC110 # nobody tells us when our parent has gone
        await asyncio.sleep(ORPHANED)
    stop.set()
