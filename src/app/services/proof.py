"""Verify a password: count the attempt, look the user up, hash, and hand the result to one transaction.

A caller authenticates, and then, within `refunded_on_failure`, has db.write run one function. That function begins with
`lock_verified_user`. No transaction is open while a password is hashed.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from logging import WARNING

from sqlalchemy.ext.asyncio import AsyncSession

from app import events
from app.languages import lazy_gettext as _
from app.models import User, db
from app.models.core import DatabaseUnavailable
from app.services import accounts, hashing, passwords, throttling
from app.services.hashing import Overloaded
from app.services.refusals import Refusal
from app.services.throttling import Taken, Tries

Find = Callable[[AsyncSession], Awaitable[User | None]]


class InvalidCredentials(Refusal):
    """The e-mail address or the password is wrong, or the account is closed. The response does not reveal which."""

    message = _("The address or the password is wrong.")


@dataclass(frozen=True, kw_only=True)
class VerifiedPassword:
    """The user whose password was right, the hash that it matched, and the one to store from now on.

    `hits` are those that the attempt added to its rate limits, and `refundable` those that a right password refunds.
    """

    user_id: int
    proven_hash: str
    hash: str
    hits: list[Taken]
    refundable: list[Taken]


async def authenticate(password: str, *, find: Find, limits: Tries) -> VerifiedPassword:
    """Verify the password of the user that `find` returns. Raises InvalidCredentials, TooManyTries, Overloaded.

    The attempt is counted first, so parallel guesses cannot exceed the limit. No connection is held while hashing.
    """
    await passwords.prepare()  # done already, unless the database was unavailable at the start
    due = time.monotonic() + passwords.refusal_seconds(password)
    async with counted(limits) as hits:
        user = await db.read(find)
        stored = user.password if user is not None and user.active else None
        kept = await passwords.verify_password(password, stored)
    if user is None or stored is None or kept is None:
        events.record("password_refused", level=WARNING, user=user.id if user else None)
        await asyncio.sleep(due - time.monotonic())
        raise InvalidCredentials
    refundable = hits[len(limits.all) :]
    return VerifiedPassword(user_id=user.id, proven_hash=stored, hash=kept, hits=hits, refundable=refundable)


async def lock_verified_user(session: AsyncSession, verified: VerifiedPassword) -> User:
    """Return the user, locked, with the hash stored and the hits refunded. Raises InvalidCredentials.

    The account may have been closed since, or got another password. Another login may have stored the same new hash.
    """
    user = await accounts.lock(session, verified.user_id)
    if user is None or not user.active or user.password not in (verified.proven_hash, verified.hash):
        raise InvalidCredentials
    if user.password != verified.hash:
        user.password = verified.hash
    await throttling.give_back(session, verified.refundable)
    return user


@asynccontextmanager
async def counted(limits: Tries) -> AsyncIterator[list[Taken]]:
    """Reserve a slot for hashing and count an attempt. Raises Overloaded, before any query, and TooManyTries."""
    with hashing.queue.slot():
        hits = await db.write(throttling.take, [*limits.all, *limits.wrong])
        async with refunded_on_failure(hits):
            yield hits


@asynccontextmanager
async def refunded_on_failure(hits: list[Taken]) -> AsyncIterator[None]:
    """Refund an attempt that failed for lack of capacity, which is no guess."""
    try:
        yield
    except (Overloaded, DatabaseUnavailable) as error:
        if not getattr(error, "is_uncertain", False):  # else it may have been refunded already
            with suppress(DatabaseUnavailable):
                await db.write(throttling.give_back, hits)
        raise
