"""Rate limits, counted in the database for all workers and machines together.

An attempt is counted before it is made, and refunded if it succeeds. So a hundred simultaneous guesses do not exceed
the limit of a hundred guesses in a row.
"""

import hashlib
import math
from collections.abc import Collection, Container, Iterable
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Row, bindparam, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app.lib import clock
from app.lib.db.retry import RetryTransaction
from app.lib.errors import ServiceError
from app.lib.settings import current_settings
from app.lib.settings.rate import Rate
from app.models import RateLimit


class Limit(NamedTuple):
    """What is counted, for whom, and how often it is allowed: ("wrong_passwords", "ada@example.com", 5 per …)."""

    name: str
    subject: str
    rate: Rate

    @property
    def key(self) -> str:
        return hashlib.sha256(f"{self.name}\0{self.subject}".encode(errors="surrogatepass")).hexdigest()


class RateLimitExceeded(ServiceError):
    """Try again after `retry_after` seconds."""

    message = "Too many attempts."

    def __init__(self, limit: Limit, retry_after: int) -> None:
        super().__init__()
        self.name = limit.name
        self.retry_after = retry_after


class Hit(NamedTuple):
    """A counted attempt: the key of its limit, and the end of its window."""

    key: str
    resets_on: datetime


def limit(name: str, subject: str) -> Limit:
    """Return the limit that the setting RATE_LIMIT_<name> declares."""
    return Limit(name.lower(), subject, Rate.parse(current_settings()[f"RATE_LIMIT_{name}"]))


# Rows are locked in the order of their keys, so that no two transactions wait for each other.
TABLE = RateLimit.__table__
KEYS = TABLE.c.key.in_(bindparam("keys", expanding=True))
SELECT_FOR_UPDATE = select(TABLE).where(KEYS).order_by(TABLE.c.key).with_for_update()
INCREMENT = update(TABLE).where(KEYS).values(used=TABLE.c.used + 1)
START_WINDOW = update(TABLE).where(TABLE.c.key == bindparam("over")).values(used=1, resets_on=bindparam("until"))
IS_SAME_WINDOW = (TABLE.c.key == bindparam("counted")) & (TABLE.c.resets_on == bindparam("until")) & (TABLE.c.used > 0)
DECREMENT = update(TABLE).where(IS_SAME_WINDOW).values(used=TABLE.c.used - 1)


async def hit(session: AsyncSession, limits: Iterable[Limit]) -> list[Hit]:
    """Count one attempt against every limit. If one is exceeded, count none and raise RateLimitExceeded."""
    limits = list(limits)
    if not limits:
        return []
    rows = {row.key: row for row in await session.execute(SELECT_FOR_UPDATE, {"keys": [limit.key for limit in limits]})}
    now = clock.now()  # after the locks are acquired: a concurrent request may have started a window meanwhile
    running = [limit.key for limit in limits if _is_running(limit, rows.get(limit.key), now)]
    ends = {limit.key: now + limit.rate.window for limit in limits} | {key: rows[key].resets_on for key in running}
    hits = [Hit(limit.key, ends[limit.key]) for limit in limits]
    if running:
        await session.execute(INCREMENT, {"keys": running})
    await _start_windows(session, [first for first in hits if first.key not in running], existing=rows)
    return hits


async def is_allowed(session: AsyncSession, limit: Limit) -> bool:
    """Count one attempt against a silent limit, and return whether it is not exceeded."""
    try:
        await hit(session, [limit])
    except RateLimitExceeded:
        return False
    return True


async def refund(session: AsyncSession, hits: Iterable[Hit]) -> None:
    """Refund hits, unless a new window has started since."""
    if counted := [{"counted": key, "until": resets_on} for key, resets_on in sorted(hits)]:
        await session.execute(DECREMENT, counted)


def _is_running(limit: Limit, row: Row[Any] | None, now: datetime) -> bool:
    """Return whether the window of a row is running. Raises RateLimitExceeded when it is used up."""
    # A window that ends too late was started with another setting, or by a wrong clock. The clock of the machine that
    # started it may be ahead of ours: a new window would give the client its attempts again.
    if row is None or not now < row.resets_on <= now + limit.rate.window + clock.MAX_DIFFERENCE:
        return False
    if row.used >= limit.rate.hits:
        raise RateLimitExceeded(limit, math.ceil((row.resets_on - now).total_seconds()))
    return True


async def _start_windows(session: AsyncSession, hits: Collection[Hit], *, existing: Container[str]) -> None:
    """Start a window for each hit, in the existing row or in a new one."""
    again = [{"over": key, "until": resets_on} for key, resets_on in hits if key in existing]
    new = [{"key": key, "used": 1, "resets_on": resets_on} for key, resets_on in sorted(hits) if key not in existing]
    if again:
        await session.execute(START_WINDOW, again)
    if new:
        try:
            await session.execute(insert(TABLE), new)
        except IntegrityError as error:
            raise RetryTransaction from error  # a concurrent transaction has inserted the row
