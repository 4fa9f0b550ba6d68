"""A call of `db.read` or `db.write`, and the pool whose connection it uses."""

import asyncio
import time
from contextvars import ContextVar
from dataclasses import dataclass, field

from sqlalchemy.ext.asyncio import AsyncEngine


@dataclass
class Pool:
    """An engine, a slot for each connection of its pool, and how much its slots are used."""

    engine: AsyncEngine
    size: int  # slots
    slots: asyncio.Semaphore = field(init=False)
    waiting: int = 0  # calls that wait for a slot
    in_use: int = 0
    calls: int = 0  # since the start, as the next three
    wait_seconds: float = 0.0
    busy_seconds: float = 0.0
    timeouts: int = 0  # calls that got no slot

    def __post_init__(self) -> None:
        self.slots = asyncio.Semaphore(self.size)

    async def acquire(self) -> None:
        """Wait for a slot."""
        started = time.monotonic()
        self.calls += 1
        self.waiting += 1
        try:
            await self.slots.acquire()
        finally:
            self.waiting -= 1
            self.wait_seconds += time.monotonic() - started
        self.in_use += 1

    def release(self, *, busy_seconds: float) -> None:
        self.in_use -= 1
        self.busy_seconds += busy_seconds
        self.slots.release()


@dataclass
class Call:
    """A call of `read` or `write`."""

    name: str
    pool: Pool
    deadline: float  # in the time of the event loop
    is_running: bool = True  # until its function has returned
    is_committing: bool = False


current_call: ContextVar[Call | None] = ContextVar("current_call", default=None)
