"""A call of `db.read` or `db.write`, and the pool whose connection it uses."""

import asyncio
from contextvars import ContextVar
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncEngine


class Pool(NamedTuple):
    """An engine, and a slot for each connection of its pool."""

    engine: AsyncEngine
    slots: asyncio.Semaphore


@dataclass
class Call:
    """A call of `read` or `write`."""

    name: str
    pool: Pool
    deadline: float  # in the time of the event loop
    is_running: bool = True  # until its function has returned
    is_committing: bool = False


current_call: ContextVar[Call | None] = ContextVar("current_call", default=None)
