"""How often something may be tried, counted in the database: for all workers and machines together.

A try is counted before it is made, and given back if it turns out to be a good one. So of a hundred wrong passwords
that arrive at once, no more are looked at than of a hundred that arrive one by one.
"""

import hashlib
import math
from collections.abc import Collection, Container, Iterable
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Row, bindparam, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app.models import Throttle, clock
from app.models.races import LostRace
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


# Every log-in asks these. Rows are locked in the order of their keys: no two wait for each other.
TABLE = Throttle.__table__
THESE = TABLE.c.key.in_(bindparam("keys", expanding=True))
LOCK = select(TABLE).where(THESE).order_by(TABLE.c.key).with_for_update()
COUNT = update(TABLE).where(THESE).values(used=TABLE.c.used + 1)
BEGIN_AGAIN = update(TABLE).where(TABLE.c.key == bindparam("over")).values(used=1, resets_on=bindparam("until"))
STILL = (TABLE.c.key == bindparam("taken")) & (TABLE.c.resets_on == bindparam("until")) & (TABLE.c.used > 0)
UNCOUNT = update(TABLE).where(STILL).values(used=TABLE.c.used - 1)


async def take(session: AsyncSession, limits: Iterable[Limit]) -> list[Taken]:
    """Count one try against each limit; or against none, and raise TooManyTries."""
    limits = list(limits)
    if not limits:
        return []
    rows = {row.key: row for row in await session.execute(LOCK, {"keys": [limit.key for limit in limits]})}
    now = clock.now()  # not that of before the wait for locks: a row of those in front would look as if set too late
    running = [limit.key for limit in limits if _has_tries_left(limit, rows.get(limit.key), now)]
    ends = {limit.key: now + limit.rate.period for limit in limits} | {key: rows[key].resets_on for key in running}
    taken = [Taken(limit.key, ends[limit.key]) for limit in limits]
    if running:
        await session.execute(COUNT, {"keys": running})
    await _begin(session, [first for first in taken if first.key not in running], former=rows)
    return taken


async def is_allowed(session: AsyncSession, limit: Limit | None) -> bool:
    """Count one try against a quiet limit, and say whether there was one left."""
    try:
        await take(session, [limit] if limit else [])
    except TooManyTries:
        return False
    return True


async def give_back(session: AsyncSession, tries: Iterable[Taken]) -> None:
    """Take back what was counted, unless a new period has begun since."""
    if same := [{"taken": key, "until": resets_on} for key, resets_on in sorted(tries)]:
        await session.execute(UNCOUNT, same)


def _has_tries_left(limit: Limit, row: Row[Any] | None, now: datetime) -> bool:
    """Say whether the period of a row goes on. Raises TooManyTries when it is used up."""
    if row is None or not now < row.resets_on <= now + limit.rate.period:  # over, or of another clock or setting
        return False
    if row.used >= limit.rate.times:
        raise TooManyTries(limit, math.ceil((row.resets_on - now).total_seconds()))
    return True


async def _begin(session: AsyncSession, tries: Collection[Taken], *, former: Container[str]) -> None:
    """Begin a period with each of these tries, in its former row or in a new one."""
    again = [{"over": key, "until": resets_on} for key, resets_on in tries if key in former]
    new = [{"key": key, "used": 1, "resets_on": resets_on} for key, resets_on in sorted(tries) if key not in former]
    if again:
        await session.execute(BEGIN_AGAIN, again)
    if new:
        try:
            await session.execute(insert(TABLE), new)
        except IntegrityError as error:
            raise LostRace from error  # somebody else was first: look again
