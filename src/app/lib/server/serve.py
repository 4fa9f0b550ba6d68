"""The processes that serve the app: this one, or several workers under a master.

Hypercorn serves in each process. Hypercorn's own master is not used: it loses requests on SIGTERM, treats a killed
worker as success, and leaves its workers behind when it is killed (master.py does neither).
"""

import asyncio
import os
import signal
import socket
from functools import partial
from logging import WARNING, getLogger
from typing import Any, cast

from hypercorn.asyncio import serve
from hypercorn.config import Config
from quart import Quart

from app.lib import logs
from app.lib.asgi.types import App
from app.lib.server.master import SIGNALS, Master
from app.lib.server.websockets import ClosingWebsockets

BACKLOG = 1024  # connections that the kernel queues for each listening socket
LAME_DUCK_SECONDS = 1  # for proxies to detect the 503 of /readyz; more than two intervals between their checks
HANDOVER_SECONDS = 0.3  # for the requests on connections that were accepted just before the stop
GRACE_PERIOD_SECONDS = 10  # for requests under way; a supervisor must wait longer before it kills the process
SHUTDOWN_SECONDS = 2  # for the app to close its connections when requests outlast the grace period
ORPHAN_CHECK_SECONDS = 0.5
# Longer than a proxy keeps an idle connection (HAProxy about 20 s, nginx 60 s). A POST that a proxy sends while the
# server closes the connection gets no response, and no proxy repeats it.
KEEP_ALIVE_BEHIND_PROXY_SECONDS = 75


def hypercorn_config(bind: str) -> Config:
    """Return the settings of Hypercorn: one process, messages to our log."""
    config = Config()
    config.bind = [bind]
    config.backlog = BACKLOG
    config.include_server_header = False
    config.errorlog = getLogger("hypercorn.error")
    return config


def is_inherited(bind: str) -> bool:
    """Return whether a supervisor opened the listening socket and keeps it open, as systemd does for a socket unit."""
    return bind.startswith("fd://")


def serve_app(app: Quart, listeners: list[socket.socket], *, inherited: bool = False) -> int:
    """Serve on the sockets of `listen`, each in a worker, until a signal arrives. Return the exit code."""
    if len(listeners) > 1:
        master = os.getpid()
        work = partial(_work, app, listeners, master=master, inherited=inherited)
        return Master(work, listeners).run()
    asyncio.run(_serve(app, listeners[0], inherited=inherited))
    return 0


def listen(bind: str, *, workers: int) -> list[socket.socket]:
    """Return the listening socket of each worker. Raises OSError.

    On TCP each of several workers has a socket of its own on the same port (SO_REUSEPORT), and the kernel spreads the
    connections over them. With one shared socket asyncio lets the first worker that wakes up accept all of them.
    """
    config = hypercorn_config(bind)
    (listener,) = config.create_sockets().insecure_sockets
    listener.listen(BACKLOG)  # fails if another process listens there, which SO_REUSEPORT would let pass
    if workers == 1 or bind.startswith("unix:") or is_inherited(bind):
        return [listener] * workers

    listener.close()
    config.workers = workers  # Hypercorn then sets SO_REUSEPORT
    listeners = [config.create_sockets().insecure_sockets[0] for _ in range(workers)]
    for listener in listeners:
        listener.listen(BACKLOG)
    return listeners


def _work(app: Quart, listeners: list[socket.socket], slot: int, *, master: int, inherited: bool) -> None:
    """Serve in a worker process."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    for listener in listeners:
        if listener is not listeners[slot]:
            listener.close()  # a copy that is open but not served would keep connections waiting
    asyncio.run(_serve(app, listeners[slot], master=master, inherited=inherited))


async def _serve(app: Quart, listener: socket.socket, *, master: int | None = None, inherited: bool = False) -> None:
    """Serve until a signal arrives, then let the requests under way finish."""
    listening_fd = listener.detach()
    config = hypercorn_config(f"fd://{listening_fd}")
    if app.config.get("TRUSTED_PROXIES"):
        config.keep_alive_timeout = KEEP_ALIVE_BEHIND_PROXY_SECONDS
    config.graceful_timeout = 10 * GRACE_PERIOD_SECONDS  # never reached: this function stops waiting earlier
    stopped = asyncio.create_task(_wait_for_stop(app, config, inherited_fd=listening_fd if inherited else None))
    closing: Any = ClosingWebsockets(cast(App, app), stopped)
    serving = asyncio.create_task(serve(closing, config, shutdown_trigger=lambda: asyncio.wait({stopped})))
    orphan_check = asyncio.create_task(_stop_when_orphaned(master))

    await asyncio.wait({serving, stopped}, return_when=asyncio.FIRST_COMPLETED)
    await asyncio.wait({serving}, timeout=GRACE_PERIOD_SECONDS)
    if not serving.done():
        await _exit_with_open_requests(app, serving)
    orphan_check.cancel()
    serving.result()  # raises the error that ended the server


async def _wait_for_stop(app: Quart, config: Config, *, inherited_fd: int | None) -> None:
    """Wait for a signal and, behind a proxy, until the proxy has stopped sending requests here.

    Closing a listening socket resets the connections in its queue, so a proxy must first receive 503 from /readyz
    and use another server. Ctrl-C (SIGINT) stops at once.

    An inherited socket stays open elsewhere, and connections wait in its queue for the next process. So /readyz goes on
    responding with 200, and only the requests on accepted connections must arrive before Hypercorn closes those.
    """
    received: asyncio.Queue[signal.Signals] = asyncio.Queue()
    for number in SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, received.put_nowait, number)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)

    number = await received.get()
    config.keep_alive_max_requests = 0  # every response now carries `Connection: close`
    if inherited_fd is not None:
        asyncio.get_running_loop().remove_reader(inherited_fd)  # accept no further connection
        await asyncio.sleep(HANDOVER_SECONDS)
    elif number == signal.SIGTERM and app.config.get("TRUSTED_PROXIES"):
        app.extensions["draining"] = True
        await asyncio.sleep(LAME_DUCK_SECONDS)


async def _stop_when_orphaned(master: int | None) -> None:
    """Stop a worker whose master was killed."""
    if master is None:
        return
    while os.getppid() == master:  # noqa: ASYNC110 # no event announces the end of a parent
        await asyncio.sleep(ORPHAN_CHECK_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)


async def _exit_with_open_requests(app: Quart, serving: "asyncio.Task[None]") -> None:
    """Shut the app down and end the process although connections are still open.

    Hypercorn waits for them without limit since Python 3.12.1 (https://github.com/pgjones/hypercorn/issues/308), and in
    every version for a client that does not read its response.
    """
    logs.record("grace_period_exceeded", level=WARNING, pid=os.getpid(), seconds=GRACE_PERIOD_SECONDS)
    shutdown = serving if app.shutdown_event.is_set() else asyncio.create_task(app.shutdown())
    await asyncio.wait({shutdown}, timeout=SHUTDOWN_SECONDS)
    os._exit(0)
