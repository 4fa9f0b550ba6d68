"""Verify a password: count the attempt, look up the user, hash, and pass the result to one transaction.

A caller authenticates first. Then, within `refunded_on_failure`, it runs one function with `db.write`, which begins
with `lock_verified_user`. No transaction is open while a password is hashed.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from logging import WARNING

from sqlalchemy import select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from app.lib import logs
from app.lib.db import DatabaseUnavailable, db
from app.lib.errors import ServiceError
from app.lib.i18n.catalogs import lazy_gettext as _
from app.lib.passwords import hasher
from app.lib.passwords.executor import Overloaded, executor
from app.models import User
from app.services import rate_limits, users
from app.services.attempts import RateLimits
from app.services.rate_limits import Hit

Find = Callable[[AsyncSession], Awaitable[User | None]]
SAMPLES = 1000  # stored hashes that are read at startup, to find the slowest kind


class InvalidCredentials(ServiceError):
    """The e-mail address or the password is wrong, or the account is deactivated.

    The response does not reveal which.
    """

    message = _("The e-mail address or the password is wrong.")


@dataclass(frozen=True, kw_only=True)
class VerifiedPassword:
    """The user whose password was correct, the hash that it matched, and the hash to store from now on.

    `hits` are all that the attempt has added to rate limits, `refundable` those that a correct password refunds.
    """

    user_id: int
    proven_hash: str
    hash: str
    hits: list[Hit]
    refundable: list[Hit]


async def authenticate(password: str, *, find: Find, limits: RateLimits) -> VerifiedPassword:
    """Verify the password of the user that `find` returns.

    Raises InvalidCredentials, RateLimitExceeded, Overloaded. The attempt is counted first, so simultaneous guesses
    cannot exceed the limit.
    """
    await prepare_hasher()  # done at startup, unless the database was unavailable
    not_before = time.monotonic() + hasher.refusal_seconds(password)
    async with rate_limited(limits) as hits:
        user = await db.read(find)
        stored = user.password if user is not None and user.active else None
        new_hash = await hasher.verify_password(password, stored)
    if user is None or stored is None or new_hash is None:
        logs.record("authentication_failed", level=WARNING, user=user.id if user else None)
        await asyncio.sleep(not_before - time.monotonic())
        raise InvalidCredentials
    refundable = hits[len(limits.every) :]
    return VerifiedPassword(user_id=user.id, proven_hash=stored, hash=new_hash, hits=hits, refundable=refundable)


async def lock_verified_user(session: AsyncSession, verified: VerifiedPassword) -> User:
    """Return the user, locked, with the hash stored and the hits refunded. Raises InvalidCredentials.

    The account may have been deactivated since, or its password changed. A simultaneous login may have stored the same
    new hash.
    """
    user = await users.lock(session, verified.user_id)
    if user is None or not user.active or user.password not in (verified.proven_hash, verified.hash):
        raise InvalidCredentials
    if user.password != verified.hash:
        user.password = verified.hash
    await rate_limits.refund(session, verified.refundable)
    return user


@asynccontextmanager
async def rate_limited(limits: RateLimits) -> AsyncIterator[list[Hit]]:
    """Reserve a slot for hashing, and count an attempt. Raises Overloaded before any query; RateLimitExceeded."""
    with executor.slot():
        hits = await db.write(rate_limits.hit, [*limits.every, *limits.failed])
        async with refunded_on_failure(hits):
            yield hits


@asynccontextmanager
async def refunded_on_failure(hits: list[Hit]) -> AsyncIterator[None]:
    """Refund an attempt that failed for lack of capacity, because it was no guess."""
    try:
        yield
    except (Overloaded, DatabaseUnavailable) as error:
        if not getattr(error, "is_uncertain", False):  # the transaction may have refunded it
            with suppress(DatabaseUnavailable):
                await db.write(rate_limits.refund, hits)
        raise


async def prepare_hasher() -> None:
    """Read samples of the stored hashes and measure a refusal. A server with workers does so before it forks."""
    with suppress(DatabaseUnavailable, DBAPIError):  # the next login tries again
        await hasher.prepare(_find_samples)


async def _find_samples() -> list[str]:
    return await db.read(_find_older_hashes, parameters=hasher.current_parameters())


async def _find_older_hashes(session: AsyncSession, *, parameters: str) -> list[str]:
    """Return hashes with other parameters. Scans the table if there are none."""
    query = select(User.password).where(User.password.not_like(f"{parameters}$%")).limit(SAMPLES)
    return [stored for stored in await session.scalars(query) if stored]
