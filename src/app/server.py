"""The processes that serve: this one, or several under a master.

Hypercorn serves in each of them. Its own master loses requests when it is stopped, calls a killed worker a success, and
leaves its workers behind when it is killed itself; so the master is ours.
"""

import asyncio
import os
import signal
from logging import getLogger

from hypercorn.asyncio import serve
from hypercorn.config import Config, Sockets
from quart import Quart

from app.hypercorn_mends import cut_off_the_late, mend_hypercorn
from app.listening import let_nobody_in
from app.master import SIGNALS, Master
from app.sharing import SharedSocket

LINE = 1024  # clients whom the kernel lets stand in line, and whom a worker takes at once when it is its turn
DRAINED = 10  # seconds that the requests under way get
ACCEPTED = 0.2  # seconds to accept those who stand in line, and again for them to send what they came for
ORPHANED = 0.5  # seconds between two looks whether the master is alive


def hypercorn_config(bind: str) -> Config:
    """Return how Hypercorn is to serve: in one process, and with its messages among our events."""
    config = Config()
    config.bind = [bind]
    config.backlog = LINE
    config.graceful_timeout = DRAINED
    config.include_server_header = False
    config.errorlog = getLogger("hypercorn.error")
    return config


def serve_app(app: Quart, *, bind: str, workers: int) -> int:
    """Serve until a signal ends it, and return the exit code. Raises OSError when nobody can listen there."""
    mend_hypercorn()
    (bound,) = hypercorn_config(bind).create_sockets().insecure_sockets
    listening = SharedSocket(bound, workers=workers)
    if workers > 1:
        master = os.getpid()
        return Master(lambda place: _work(app, listening, place, master=master), workers, listening).run()
    asyncio.run(_serve(app, listening, master=None))
    return 0


def _work(app: Quart, listening: SharedSocket, place: int, *, master: int) -> None:
    for number in SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    listening.take_place(place)
    asyncio.run(_serve(app, listening, master=master))


async def _serve(app: Quart, listening: SharedSocket, *, master: int | None) -> None:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in SIGNALS:
        loop.add_signal_handler(number, stop.set)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)

    async def stop_accepting() -> None:
        await stop.wait()
        if os.getppid() != master:  # else others may go on serving, and it is the master who knows
            let_nobody_in(listening)
        listening.leave()
        await asyncio.sleep(ACCEPTED)
        loop.remove_reader(listening)
        await asyncio.sleep(ACCEPTED)

    config = hypercorn_config("")
    config.create_sockets = lambda: Sockets([], [listening], [])  # type: ignore[method-assign] # it is there already
    beside = [loop.create_task(_cut_off_when_drained(stop))]
    if master is not None:
        beside.append(loop.create_task(_stop_when_orphaned(master, stop)))
    try:
        await serve(app, config, shutdown_trigger=stop_accepting)
    finally:
        for task in beside:
            task.cancel()


async def _cut_off_when_drained(stop: asyncio.Event) -> None:
    await stop.wait()
    await asyncio.sleep(2 * ACCEPTED + DRAINED)
    cut_off_the_late()


async def _stop_when_orphaned(master: int, stop: asyncio.Event) -> None:
    while os.getppid() == master:  # noqa: ASYNC110 # nobody tells us when our parent has gone
        await asyncio.sleep(ORPHANED)
    stop.set()
