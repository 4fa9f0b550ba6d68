"""The processes that serve: one, or several under a master that replaces, drains and never leaves them behind.

Hypercorn serves in each of them. Its own master loses requests when it is stopped, calls a killed worker a success, and
leaves its workers behind when it is killed itself.
"""

import asyncio
import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from logging import WARNING, getLogger
from multiprocessing.connection import wait
from typing import Any

from hypercorn.asyncio import serve
from hypercorn.config import Config
from hypercorn.protocol.h11 import H11Protocol
from quart import Quart

from app import events

SIGNALS = {signal.SIGTERM, signal.SIGINT}
ACCEPTED = 0.2  # seconds that a connection gets to send what it was made for, once we take no new ones
DRAINED = 10  # seconds that the requests under way get
STOPPED = 13  # seconds after which a worker that is still there is killed
TOO_SOON = 3  # seconds: a worker that ends earlier would do so again
ORPHANED = 0.5  # seconds between two looks whether the master is alive

_fork: Any = multiprocessing.get_context("fork")


def hypercorn_config(bind: str) -> Config:
    """Return how Hypercorn is to serve: in one process, and with its messages among our events."""
    config = Config()
    config.bind = [bind]
    config.graceful_timeout = DRAINED
    config.include_server_header = False
    config.errorlog = getLogger("hypercorn.error")
    return config


async def _stay_with_http1(_protocol: H11Protocol, _request: object) -> None:
    """Let nobody change to HTTP/2 without TLS: through a proxy that lets it pass, what the proxy adds would be lost."""


def serve_app(app: Quart, *, bind: str, workers: int) -> int:
    """Serve until a signal ends it, and return the exit code. Raises OSError when nobody can listen there."""
    H11Protocol._check_protocol = _stay_with_http1  # type: ignore[assignment,method-assign] # noqa: SLF001 # no setting does
    (listening,) = hypercorn_config(bind).create_sockets().insecure_sockets
    fd = listening.detach()
    if workers > 1:
        return Master(lambda: _work(app, fd, master=os.getppid()), workers).run()
    asyncio.run(_serve(app, fd))
    return 0


class Master:
    """Keep so many workers running until a signal comes, then have them finish what they do."""

    def __init__(self, work: Callable[[], None], workers: int) -> None:
        self.work = work
        self.workers = workers
        self.started: dict[Any, float] = {}  # a process, and when it was started
        self.stopping_since: float | None = None
        self.exit_code = 0

    def run(self) -> int:
        for number in SIGNALS:
            signal.signal(number, self.stop)
        for _ in range(self.workers):
            self.start()
        while self.started:
            wait([process.sentinel for process in self.started], timeout=1)
            for process in [process for process in self.started if not process.is_alive()]:
                self.replace(process)
            self.kill_the_late()
        return self.exit_code

    def start(self) -> None:
        # A signal that comes now waits: for us until we know the worker, for the worker until it can end well.
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        process = _fork.Process(target=self.work)
        process.start()
        self.started[process] = time.monotonic()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)

    def stop(self, *_: object) -> None:
        self.stopping_since = self.stopping_since or time.monotonic()
        for process in self.started:
            process.terminate()

    def replace(self, process: Any) -> None:
        lifetime = time.monotonic() - self.started.pop(process)
        if self.stopping_since is not None:
            self.exit_code = self.exit_code or int(process.exitcode != 0)
            return
        events.record("worker_ended", level=WARNING, pid=process.pid, exit_code=process.exitcode)
        if process.exitcode != 0 and lifetime < TOO_SOON:
            self.exit_code = 1
            self.stop()
        else:
            self.start()

    def kill_the_late(self) -> None:
        if self.stopping_since is not None and time.monotonic() - self.stopping_since > STOPPED:
            for process in self.started:
                process.kill()


def _work(app: Quart, fd: int, *, master: int) -> None:
    for number in SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    asyncio.run(_serve(app, fd, master=master))


async def _serve(app: Quart, fd: int, *, master: int | None = None) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in SIGNALS:
        loop.add_signal_handler(number, stop.set)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)

    async def stop_accepting() -> None:
        await stop.wait()
        loop.remove_reader(fd)
        await asyncio.sleep(ACCEPTED)

    orphaned = loop.create_task(_stop_with(master, stop)) if master is not None else None
    try:
        await serve(app, hypercorn_config(f"fd://{fd}"), shutdown_trigger=stop_accepting)
    finally:
        if orphaned is not None:
            orphaned.cancel()


async def _stop_with(master: int, stop: asyncio.Event) -> None:
    while os.getppid() == master:  # noqa: ASYNC110 # nobody tells us when our parent has gone
        await asyncio.sleep(ORPHANED)
    stop.set()
