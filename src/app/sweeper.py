"""Every process sweeps now and then, beside the requests."""

import asyncio
import random
import time
from logging import ERROR

from quart import Quart

from app import events
from app.models import db
from app.services import sweeping

MINUTES = 10
BREATH = 0.02  # seconds at least between two steps, in which others get the lock of SQLite


async def sweep_now_and_then(app: Quart) -> None:
    while True:
        await asyncio.sleep(random.uniform(0.5, 1.5) * MINUTES * 60)  # noqa: S311 # so that workers do not meet
        try:
            async with app.app_context():
                await sweep_all()
        except Exception as error:  # noqa: BLE001 # whatever it is, the next time may go better
            events.record("sweep_failed", level=ERROR, why=f"{type(error).__name__}: {error}")


async def sweep_all() -> int:
    """Sweep, step by step, until nothing is left that has expired; return how many rows that were."""
    swept, began = 0, time.monotonic()
    while rows := await db.write(sweeping.sweep):
        swept += rows
        await asyncio.sleep(max(BREATH, time.monotonic() - began))  # half of the time is for others
        began = time.monotonic()
    if swept:
        events.record("swept", rows=swept)
    return swept
