"""How often something may be tried, counted in the database: for all workers and machines together.

A try is counted before it is made, and given back if it turns out to be a good one. So of a hundred wrong passwords
that arrive at once, no more are looked at than of a hundred that arrive one by one.
"""

import hashlib
import math
from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app.models import Throttle, clock
from app.models.core import LostRace
from app.rate import Rate
from app.services.refusals import Refusal


class Limit(NamedTuple):
    """What is counted, whose it is, and how often it may be done: ("wrong_password", "ada@example.com", 5 per …)."""

    what: str
    whose: str
    rate: Rate

    @property
    def key(self) -> str:
        return hashlib.sha256(f"{self.what}\0{self.whose}".encode(errors="surrogatepass")).hexdigest()


class Tries(NamedTuple):
    """The limits of an attempt: those that count every one, those that count only the wrong ones, and a quiet one.

    Who asks is not told of the quiet one: nothing happens, and the answer is the same.
    """

    all: tuple[Limit, ...]
    wrong: tuple[Limit, ...] = ()
    quiet: Limit | None = None


class TooManyTries(Refusal):
    """`retry_after` seconds from now it may be tried again."""

    message = "Too many tries."

    def __init__(self, limit: Limit, retry_after: int) -> None:
        super().__init__()
        self.what = limit.what
        self.retry_after = retry_after


class Taken(NamedTuple):
    """A try that was counted, and in which period."""

    key: str
    resets_on: datetime


async def take(session: AsyncSession, limits: Iterable[Limit]) -> list[Taken]:
    """Count one try against each limit; or against none, and raise TooManyTries."""
    return [await _take_one(session, limit) for limit in limits]


async def is_allowed(session: AsyncSession, limit: Limit | None) -> bool:
    """Count one try against a quiet limit, and say whether there was one left."""
    try:
        await take(session, [limit] if limit else [])
    except TooManyTries:
        return False
    return True


async def give_back(session: AsyncSession, tries: Iterable[Taken]) -> None:
    """Take back what was counted, unless a new period has begun since."""
    for key, resets_on in tries:
        row = (Throttle.key == key) & (Throttle.resets_on == resets_on) & (Throttle.used > 0)
        await session.execute(update(Throttle).where(row).values(used=Throttle.used - 1))


async def _take_one(session: AsyncSession, limit: Limit) -> Taken:
    row = await session.get(Throttle, limit.key, with_for_update=True)
    now = clock.now()  # not that of before the wait for the lock: a row of those in front would look as if set too late
    if row is None:
        row = await _first(session, Throttle(key=limit.key, used=0, resets_on=now + limit.rate.period))
    elif not now < row.resets_on <= now + limit.rate.period:  # over, or of a clock or a setting that was changed
        row.used, row.resets_on = 0, now + limit.rate.period
    if row.used >= limit.rate.times:
        raise TooManyTries(limit, math.ceil((row.resets_on - now).total_seconds()))
    row.used += 1
    return Taken(row.key, row.resets_on)


async def _first(session: AsyncSession, row: Throttle) -> Throttle:
    session.add(row)
    try:
        await session.flush()
    except IntegrityError as error:
        raise LostRace from error  # somebody else was first: look again
    return row
