"""The threads that hash, one for each core that we may use: the event loop answers others meanwhile.

Who wants something hashed takes a place first. When those in front would take too long, there is none.
"""

import asyncio
import ctypes
import os
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

# Not for each core of the machine: two hashes at once on one core take longer than one after the other.
THREADS = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
NICE = 10
LONGEST_WAIT = 2  # seconds, as far as can be foreseen
GIVEN_UP = 3  # seconds, when it turns out to be longer
IDLE = 10  # seconds without a password, until the memory is given back
M_ARENA_MAX = -8


class Overloaded(Exception):
    """Too many passwords wait to be hashed."""

    retry_after = 5  # seconds


_arrived: ContextVar[float] = ContextVar("_arrived", default=0)  # when this request took its place


def _let_others_go_first() -> None:
    """Have the event loop get a core when it needs one: pages wait for nobody's password."""
    if sys.platform == "linux":  # elsewhere it would be the whole process that is nice
        os.setpriority(os.PRIO_PROCESS, 0, NICE)


def share_memory() -> None:
    """Have threads take memory from where the process does, see mallopt(3): what lies elsewhere is never given back.

    Before the first thread: what that has taken for itself is handed on to later ones.
    """
    with suppress(OSError, AttributeError):  # another C library than that of GNU
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, 1)


def give_memory_back() -> None:
    """Give back what hashes have taken, 19 MiB for each thread: the C library keeps it for the next."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


class HashingQueue:
    def __init__(self) -> None:
        self.threads = ThreadPoolExecutor(THREADS, thread_name_prefix="hashing", initializer=_let_others_go_first)
        self.waiting = 0
        self.seconds_each = 0.02  # a running mean of what was measured
        self.until_idle: asyncio.TimerHandle | None = None

    @contextmanager
    def place(self) -> Iterator[None]:
        """Take a place. Raises Overloaded, at once, when the wait would be too long."""
        if self.waiting * self.seconds_each / THREADS > LONGEST_WAIT:
            raise Overloaded(f"{self.waiting} passwords wait to be hashed")
        self.waiting += 1
        _arrived.set(time.monotonic())
        try:
            yield
        finally:
            self.waiting -= 1

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> tuple[T, float]:
        """Run a function in a thread. Returns what it returns, and when it began, by time.monotonic().

        Raises Overloaded when its turn comes too late: those in front took longer than we thought.
        """
        since, loop = _arrived.get() or time.monotonic(), asyncio.get_running_loop()

        def timed() -> tuple[T, float]:
            began = time.monotonic()
            if began - since > GIVEN_UP:
                raise Overloaded("a password has waited too long to be hashed")
            result = function(*args, **kwargs)
            self._learn(time.monotonic() - began)
            return result, began

        try:
            return await loop.run_in_executor(self.threads, timed)
        finally:
            self._wait_until_idle(loop)

    def _learn(self, seconds: float) -> None:
        """Take what a hash took into account; a pause of the whole machine says little about the next one."""
        self.seconds_each += (min(seconds, 2 * self.seconds_each) - self.seconds_each) / 8

    def _wait_until_idle(self, loop: asyncio.AbstractEventLoop) -> None:
        if self.until_idle is not None:
            self.until_idle.cancel()
        self.until_idle = loop.call_later(IDLE, self.threads.submit, give_memory_back)


queue = HashingQueue()
