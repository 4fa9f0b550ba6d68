"""Answers that take the same time, whatever was found: a stranger with a stop-watch learns nothing."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

STEP = 0.5  # seconds: longer than the slower of two ways takes, also with a database that is some way off


@asynccontextmanager
async def evened_out() -> AsyncIterator[None]:
    """Make a block last one step, or two, or three, and nothing in between."""
    began = time.monotonic()
    yield
    await asyncio.sleep((began - time.monotonic()) % STEP)
