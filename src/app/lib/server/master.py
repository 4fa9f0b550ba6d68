"""The master of several workers: it replaces a worker that ends, and stops all of them on a signal."""

import multiprocessing
import os
import signal
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from logging import WARNING
from multiprocessing.connection import wait
from typing import Any, NamedTuple

from app.lib import logs

SIGNALS = {signal.SIGTERM, signal.SIGINT}
KILL_AFTER_SECONDS = 13.5  # more than a worker takes for lame duck, grace period and shutdown (serve.py)
STARTUP_SECONDS = 3  # a worker that fails earlier would fail again, so the server ends
RESTART_DELAY_SECONDS = 1  # for a worker that is killed earlier: a crash in a loop must not use a whole core

_fork: Any = multiprocessing.get_context("fork")


class Worker(NamedTuple):
    started_at: float  # time.monotonic()
    slot: int  # index of its listening socket


class Master:
    """Keep a worker running for each listening socket until a signal arrives.

    The master holds every socket open, so the connections in the queue of a killed worker wait for its replacement.
    """

    def __init__(self, work: Callable[[int], None], listeners: list[socket.socket]) -> None:
        self.work = work
        self.listeners = listeners
        self.workers: dict[Any, Worker] = {}
        self.stopped_by: int | None = None
        self.kill_at = float("inf")  # time.monotonic()
        self.exit_code = 0

    def run(self) -> int:
        """Return the exit code: 0 if every worker ended well after a signal."""
        for number in SIGNALS:
            signal.signal(number, lambda number, _frame: self.stop(number))
        for slot in range(len(self.listeners)):
            self.start(slot)
        while self.workers:
            wait([process.sentinel for process in self.workers], timeout=0.5)
            for process in [process for process in self.workers if not process.is_alive()]:
                self.handle_exit(process)
            self.kill_late_workers()
        return self.exit_code

    def start(self, slot: int) -> None:
        # Signals are blocked until the master has registered the worker, and the worker its own handlers.
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        if self.stopped_by is None:
            process = _fork.Process(target=self.work, args=[slot])
            process.start()
            self.workers[process] = Worker(time.monotonic(), slot)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        if self.stopped_by is not None:  # another thread received the signal meanwhile, where it was not blocked
            self.signal_workers(self.stopped_by)

    def stop(self, number: int) -> None:
        """Pass a signal on to the workers. The first one also ends the replacement of workers."""
        if self.stopped_by is None:
            self.stopped_by = number
            self.kill_at = time.monotonic() + KILL_AFTER_SECONDS
            for listener in self.listeners:
                listener.close()
        self.signal_workers(number)

    def signal_workers(self, number: int) -> None:
        for process in self.workers:
            with suppress(ProcessLookupError):  # it has just ended
                os.kill(process.pid, number)

    def handle_exit(self, process: Any) -> None:
        worker = self.workers.pop(process)
        if self.stopped_by is not None:
            self.exit_code = self.exit_code or int(process.exitcode != 0)
            return
        logs.record("worker_exited", level=WARNING, pid=process.pid, exit_code=process.exitcode)
        is_starting = time.monotonic() - worker.started_at < STARTUP_SECONDS
        if process.exitcode > 0 and is_starting:
            self.exit_code = 1
            self.stop(signal.SIGTERM)
            return
        if process.exitcode < 0 and is_starting:  # by a signal, for example when memory runs out
            time.sleep(RESTART_DELAY_SECONDS)
        self.start(worker.slot)

    def kill_late_workers(self) -> None:
        if time.monotonic() > self.kill_at:
            for process in self.workers:
                process.kill()
