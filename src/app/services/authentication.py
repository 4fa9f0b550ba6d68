"""Proving who one is: the flows of several units of work, with the hashing between them and outside of all."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from logging import WARNING

from sqlalchemy.ext.asyncio import AsyncSession

from app import events
from app.models import User, db
from app.models.core import DatabaseUnavailable
from app.services import accounts, hashing, sessions, throttling
from app.services.passwords import hash_password, verify_password
from app.services.refusals import Refusal
from app.services.sessions import NewLogIn
from app.services.throttling import Taken, Tries


class InvalidCredentials(Refusal):
    """The address, the password or both are wrong, or the account is closed: which of these, nobody learns."""

    message = "The address or the password is wrong."

    def __init__(self, *, due: float = 0) -> None:
        super().__init__()
        self.due = due


class Superseded(InvalidCredentials):
    """The stored hash changed between the proof and its use."""


async def sign_up(email: str, password: str, *, log_in: NewLogIn, limits: Tries) -> str:
    """Open an account and log its browser in. Returns the secret of the log-in; raises EmailTaken, TooManyTries."""

    async def register_and_start(session: AsyncSession) -> tuple[User, str]:
        user = await accounts.register(session, email=email, password_hash=hashed)
        return user, await sessions.start(session, user_id=user.id, log_in=log_in)

    async with _counted(limits):
        hashed = await hash_password(password)
    user, secret = await db.write(register_and_start)
    events.record("signed_up", user=user.id)
    return secret


async def sign_in(email: str, password: str, *, salt: str, log_in: NewLogIn, limits: Tries) -> str:
    """Check a password and log the browser in. Returns the secret of the log-in.

    Raises InvalidCredentials, and TooManyTries before anything is looked at.
    """
    async with _counted(limits) as tries:
        try:
            return await _sign_in_once(email, password, salt=salt, log_in=log_in, tries=tries)
        except Superseded:  # another log-in has just replaced an old hash of the same password: look again
            return await _sign_in_once(email, password, salt=salt, log_in=log_in, tries=tries)


async def _sign_in_once(email: str, password: str, *, salt: str, log_in: NewLogIn, tries: list[Taken]) -> str:
    user = await db.read(accounts.find_by_email, email=email)
    proven, hashed = await _prove(user, password, salt=salt)

    async def keep_and_start(session: AsyncSession) -> str:
        await _keep(session, proven, hashed)
        await throttling.give_back(session, tries)
        return await sessions.start(session, user_id=proven.id, log_in=log_in)

    secret = await db.write(keep_and_start)
    events.record("logged_in", user=proven.id)
    return secret


async def change_password(
    user: User, password: str, new_password: str, *, salt: str, log_in: NewLogIn, limits: Tries
) -> str:
    """Replace a password and end every log-in of the account. Returns the secret of this browser's new one.

    Raises InvalidCredentials when the old password is wrong, and TooManyTries. A copied cookie, also of this browser,
    is dead afterwards.
    """

    async def change_and_start(session: AsyncSession) -> str:
        await _keep(session, proven, hashed)
        await throttling.give_back(session, tries)
        await sessions.end_all(session, user_id=proven.id)
        return await sessions.start(session, user_id=proven.id, log_in=log_in)

    async with _counted(limits) as tries:
        proven, _ = await _prove(user, password, salt=salt)
        hashed = await hash_password(new_password)
    secret = await db.write(change_and_start)
    events.record("password_changed", user=proven.id)
    return secret


async def _prove(user: User | None, password: str, *, salt: str) -> tuple[User, str]:
    """Return the user and the hash to keep. A stranger and a closed account wait as long as an owner."""
    stored = user.password if user is not None and user.active else None
    hashed, due = await verify_password(password, stored, salt=salt)
    if user is None or hashed is None:
        events.record("password_refused", level=WARNING, user=user.id if user else None)
        raise InvalidCredentials(due=due)
    return user, hashed


@asynccontextmanager
async def _counted(limits: Tries) -> AsyncIterator[list[Taken]]:
    """Count an attempt, then take a place among those who hash. Yields what to give back if it was a good one.

    One that we could not look at was none. A refusal is told when it is due, the place given up before.
    """
    with hashing.queue.place():  # is there one? Else the database is not asked either
        pass
    taken = await db.write(throttling.take, [*limits.all, *limits.wrong])
    try:
        with hashing.queue.place():
            yield taken[len(limits.all) :]
    except (hashing.Overloaded, DatabaseUnavailable):
        with suppress(DatabaseUnavailable):
            await db.write(throttling.give_back, taken)
        raise
    except InvalidCredentials as refusal:
        await asyncio.sleep(refusal.due - time.monotonic())
        raise


async def _keep(session: AsyncSession, proven: User, hashed: str) -> None:
    """Store the hash, if the account is still open and still has the password that was proven."""
    user = await accounts.lock(session, proven.id)
    if user is None or not user.active or user.password != proven.password:
        raise Superseded
    user.password = hashed
