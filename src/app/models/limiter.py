"""Admission control in front of a connection pool."""

import asyncio
from weakref import WeakKeyDictionary


class ConnectionLimiter:
    """Admit at most `capacity` callers at a time, in the order in which they came."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        # A semaphore belongs to the event loop in which it first waits.
        self._semaphores = WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore]()

    async def acquire(self, *, timeout: float) -> None:  # noqa: ASYNC109 # a deadline that the caller computes
        """Wait for a slot. Raises TimeoutError after `timeout` seconds.

        Fail fast when too little of the deadline is left to do any work. Otherwise, under overload, every transaction
        is cancelled half way, its connection is discarded, and throughput drops to zero.
        """
        async with asyncio.timeout(timeout):
            await self._semaphore.acquire()

    def release(self) -> None:
        self._semaphore.release()

    @property
    def _semaphore(self) -> asyncio.Semaphore:
        loop = asyncio.get_running_loop()
        if loop not in self._semaphores:
            self._semaphores[loop] = asyncio.Semaphore(self.capacity)
        return self._semaphores[loop]
