"""Threads that compute password hashes, one for each usable core. A request that would wait too long fails at once."""

import asyncio
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

# Usable cores, not cores of the machine: two hashes at once on one core take longer than one after the other.
THREADS = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
NICENESS = 10
LONGEST_EXPECTED_WAIT_SECONDS = 2
LONGEST_WAIT_SECONDS = 3  # when the hashes in front take longer than expected


class Overloaded(Exception):
    """Too many passwords wait to be hashed."""

    retry_after = 5  # seconds


def _lower_priority() -> None:
    """Let the event loop run first when both need a core, so that pages stay quick during a flood of logins."""
    if sys.platform == "linux":  # elsewhere the niceness is that of the whole process
        os.setpriority(os.PRIO_PROCESS, 0, NICENESS)


class HashExecutor:
    """The threads, the number of requests that use them or wait for them, and how much the threads are used."""

    def __init__(self) -> None:
        self.threads = ThreadPoolExecutor(THREADS, thread_name_prefix="hashing", initializer=_lower_priority)
        self.waiting = 0
        self.seconds_each = 0.02  # a running mean of what was measured
        self.passwords = 0  # that are hashed now, or wait for a thread
        self.finished = 0  # since the start, as the next two
        self.busy_seconds = 0.0
        self.wait_seconds = 0.0
        self.measuring = threading.Lock()

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Reserve a slot. Raises Overloaded, at once, when the expected wait is too long."""
        ahead = self.waiting + 1 - THREADS  # to finish before this one starts
        if ahead * self.seconds_each / THREADS > LONGEST_EXPECTED_WAIT_SECONDS:
            raise Overloaded(f"{self.waiting} passwords wait to be hashed")
        self.waiting += 1
        try:
            yield
        finally:
            self.waiting -= 1

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a function in a thread. Raises Overloaded when no thread becomes free in time."""
        submitted = time.monotonic()

        def timed() -> T:
            began = time.monotonic()
            if began - submitted > LONGEST_WAIT_SECONDS:
                raise Overloaded("a password has waited too long to be hashed")
            result = function(*args, **kwargs)
            self._measure(waited=began - submitted, took=time.monotonic() - began)
            return result

        self.passwords += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self.threads, timed)
        finally:
            self.passwords -= 1

    def _measure(self, *, waited: float, took: float) -> None:
        """Update the sums and the mean. One long pause of the whole machine must not count much."""
        with self.measuring:  # the threads measure at the same time
            self.finished += 1
            self.wait_seconds += waited
            self.busy_seconds += took
            self.seconds_each += (min(took, 2 * self.seconds_each) - self.seconds_each) / 8


executor = HashExecutor()
