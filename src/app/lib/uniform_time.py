"""Uniform response times, so that an attacker cannot measure whether an account exists."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

RESPONSE_TIME_STEP_SECONDS = 0.5  # more than the slower case takes, with some milliseconds for each query


@asynccontextmanager
async def uniform_response_time() -> AsyncIterator[None]:
    """Extend the duration of a block to a whole number of steps."""
    started = time.monotonic()
    yield
    await asyncio.sleep((started - time.monotonic()) % RESPONSE_TIME_STEP_SECONDS)
