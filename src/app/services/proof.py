"""Proving who one is with a password: counted, hashed outside of every unit of work, and good for one thing."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from logging import WARNING
from typing import NamedTuple, TypeVar

from sqlalchemy.ext.asyncio import AsyncSession

from app import events
from app.languages import lazy_gettext as _
from app.models import User, db
from app.models.core import DatabaseUnavailable
from app.services import accounts, hashing, throttling
from app.services.passwords import hash_password, verify_password
from app.services.refusals import Refusal
from app.services.throttling import Taken, Tries

T = TypeVar("T")
Find = Callable[[], Awaitable[User | None]]


class InvalidCredentials(Refusal):
    """The address, the password or both are wrong, or the account is closed: which of these, nobody learns."""

    message = _("The address or the password is wrong.")

    def __init__(self, *, due: float = 0) -> None:
        super().__init__()
        self.due = due


class Superseded(InvalidCredentials):
    """The stored hash changed between the proof and its use."""


class Proof(NamedTuple):
    """Whose password it was, the hash to keep of it, and the hash of the one that is to take its place."""

    user: User
    hashed: str
    new_hash: str = ""


Then = Callable[[AsyncSession, Proof], Awaitable[T]]


async def with_password(
    find: Find, password: str, then: Then[T], *, salt: str, limits: Tries, new_password: str | None = None
) -> T:
    """Check the password of whom `find` finds, then do in one unit of work what it allows, with the user locked.

    Raises InvalidCredentials, and TooManyTries before anything is looked at or hashed.
    """
    async with counted(limits) as wrong:

        async def look_and_do() -> T:
            proof = await _prove(await find(), password, salt=salt)
            if new_password is not None:
                proof = proof._replace(new_hash=await hash_password(new_password))

            async def unit(session: AsyncSession) -> T:
                user = await _keep(session, proof)
                await throttling.give_back(session, wrong)
                return await then(session, proof._replace(user=user))

            return await db.write(unit)

        try:
            return await look_and_do()
        except Superseded:  # another log-in has just replaced an old hash of the same password: look again
            return await look_and_do()


@asynccontextmanager
async def counted(limits: Tries) -> AsyncIterator[list[Taken]]:
    """Count an attempt, then take a place among those who hash. Yields what to give back if it was a good one.

    One that we could not look at was none. A refusal is told when it is due, the place given up before.
    """
    with hashing.queue.place():  # is there one? Else the database is not asked either
        pass
    taken = await db.write(throttling.take, [*limits.all, *limits.wrong])
    only_if_wrong = taken[len(limits.all) :]
    try:
        with hashing.queue.place():
            yield only_if_wrong
    except (hashing.Overloaded, DatabaseUnavailable):
        with suppress(DatabaseUnavailable):
            await db.write(throttling.give_back, taken)
        raise
    except InvalidCredentials as refusal:
        await asyncio.sleep(refusal.due - time.monotonic())
        raise


async def _prove(user: User | None, password: str, *, salt: str) -> Proof:
    """Return the proof. A stranger and a closed account wait as long as an owner."""
    stored = user.password if user is not None and user.active else None
    hashed, due = await verify_password(password, stored, salt=salt)
    if user is None or hashed is None:
        events.record("password_refused", level=WARNING, user=user.id if user else None)
        raise InvalidCredentials(due=due)
    return Proof(user, hashed)


async def _keep(session: AsyncSession, proof: Proof) -> User:
    """Store the hash and return the user, locked, if the account is open and still has the password that was proven."""
    user = await accounts.lock(session, proof.user.id)
    if user is None or not user.active or user.password != proof.user.password:
        raise Superseded
    if user.password != proof.hashed:  # what is set is looked at by every later statement, also when it is the same
        user.password = proof.hashed
    return user
