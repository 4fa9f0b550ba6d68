"""Log-ins: a row for each browser, named by a secret that only the browser's cookie holds."""

import hashlib
import secrets
from datetime import timedelta
from typing import NamedTuple

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import contains_eager

from app.models import User, UserSession, clock
from app.models.user_session import IP_LENGTH, USER_AGENT_LENGTH

SEEN_EVERY = timedelta(minutes=1)


class Lifetime(NamedTuple):
    """How long a log-in lasts: without a request, and at the longest."""

    idle: timedelta
    absolute: timedelta


class NewLogIn(NamedTuple):
    """What a log-in is to be: from where, for how long, and in place of which secret."""

    ip: str
    user_agent: str
    lifetime: Lifetime
    remember: bool = False
    former_secret: str | None = None


async def start(session: AsyncSession, *, user_id: int, log_in: NewLogIn) -> str:
    """Log a browser in and return its secret. The log-in that it had before ends."""
    if log_in.former_secret is not None:
        await end(session, secret=log_in.former_secret)
    secret = secrets.token_urlsafe(32)
    now = clock.now()
    row = UserSession(
        user_id=user_id,
        digest=_digest(secret),
        remember=log_in.remember,
        created_on=now,
        last_seen_on=now,
        authenticated_on=now,
        expires_on=now + min(log_in.lifetime),
        ip=log_in.ip[:IP_LENGTH],
        user_agent=log_in.user_agent[:USER_AGENT_LENGTH],
    )
    session.add(row)
    await session.flush()
    return secret


async def find(session: AsyncSession, *, secret: str) -> UserSession | None:
    """Return the log-in of a secret with its user, if it has not expired and the account is active."""
    query = (
        select(UserSession)
        .join(UserSession.user)
        .options(contains_eager(UserSession.user))
        .where(UserSession.digest == _digest(secret), UserSession.expires_on > clock.now(), User.active.is_(True))
    )
    return await session.scalar(query)


def is_due(row: UserSession) -> bool:
    """Say whether the row should hear that its browser was here."""
    return clock.now() - row.last_seen_on >= SEEN_EVERY


async def touch(session: AsyncSession, row: UserSession, *, lifetime: Lifetime) -> None:
    """Write down that the browser was here, which puts off its expiry. A row that has gone stays gone."""
    now = clock.now()
    expires_on = min(now + lifetime.idle, row.created_on + lifetime.absolute)
    await session.execute(
        update(UserSession).where(UserSession.id == row.id).values(last_seen_on=now, expires_on=expires_on)
    )


async def end(session: AsyncSession, *, secret: str) -> None:
    await session.execute(delete(UserSession).where(UserSession.digest == _digest(secret)))


async def end_all(session: AsyncSession, *, user_id: int) -> None:
    await session.execute(delete(UserSession).where(UserSession.user_id == user_id))


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
