"""The master of several workers: it replaces who dies, has all finish what they do, and leaves nobody behind."""

import multiprocessing
import signal
import socket
import time
from collections.abc import Callable
from logging import WARNING
from multiprocessing.connection import wait
from typing import Any, NamedTuple

from app import events
from app.listening import let_nobody_in

SIGNALS = {signal.SIGTERM, signal.SIGINT}
STOPPED = 13  # seconds after which a worker that is still there is killed
TOO_SOON = 3  # seconds: a worker that ends earlier would do so again

_fork: Any = multiprocessing.get_context("fork")


class Started(NamedTuple):
    at: float  # by time.monotonic()
    place: int  # which of the workers it is


class Master:
    """Keep so many workers running until a signal comes. They share the listening socket."""

    def __init__(self, work: Callable[[int], None], workers: int, listening: socket.socket) -> None:
        self.work = work
        self.workers = workers
        self.listening = listening
        self.started: dict[Any, Started] = {}
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
        if self.stopping_since is None:
            place = min(set(range(self.workers)) - {started.place for started in self.started.values()})
            process = _fork.Process(target=self.work, args=[place])
            process.start()
            self.started[process] = Started(time.monotonic(), place)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        if self.stopping_since is not None:  # a thread of the look at the database, about to end, may have taken it
            self.tell_all()

    def stop(self, *_: object) -> None:
        if self.stopping_since is None:
            self.stopping_since = time.monotonic()
            let_nobody_in(self.listening)
            self.listening.close()  # the workers have theirs, as long as they need it
        self.tell_all()

    def tell_all(self) -> None:
        for process in self.started:
            process.terminate()

    def replace(self, process: Any) -> None:
        lifetime = time.monotonic() - self.started.pop(process).at
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
