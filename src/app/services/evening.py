"""Uniform response times, so that an attacker cannot measure whether an account exists."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

STEP = 0.5  # seconds: longer than the slower case takes, also with a database that is some milliseconds away


@asynccontextmanager
async def evened_out() -> AsyncIterator[None]:
    """Make a block last a whole number of steps."""
    began = time.monotonic()
    yield
    await asyncio.sleep((began - time.monotonic()) % STEP)
