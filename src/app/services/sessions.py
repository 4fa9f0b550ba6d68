"""Log-ins: a row for each browser, named by a secret that only the browser's cookie holds."""

import hashlib
import secrets
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, NamedTuple

from sqlalchemy import bindparam, delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import contains_eager, defer, joinedload

from app.models import User, UserSession, clock
from app.models.user_session import IP_LENGTH, USER_AGENT_LENGTH
from app.services import activity
from app.services.activity import Origin

SEEN_EVERY = timedelta(minutes=1)

# One query for every request with a cookie, so it is compiled once. No page needs the digests and hashes of secrets.
FIND = (
    select(UserSession)
    .join(UserSession.user)
    .where(UserSession.digest == bindparam("digest"), UserSession.expires_on > bindparam("now"), User.active.is_(True))
    .options(
        defer(UserSession.digest, raiseload=True),
        contains_eager(UserSession.user).options(defer(User.password, raiseload=True), joinedload(User.roles)),
    )
)


class Lifetime(NamedTuple):
    """How long a log-in lasts: without a request, and at the longest."""

    idle: timedelta
    absolute: timedelta


class NewLogIn(NamedTuple):
    """What a log-in is to be: from where, for how long, and in place of which secret."""

    origin: Origin
    lifetime: Lifetime
    remember: bool = False
    former_secret: str | None = None
    known_browser: bool = True  # somebody has logged in to this account with it before


async def start(session: AsyncSession, *, user_id: int, log_in: NewLogIn) -> str:
    """Log a browser in and return its secret. The log-in that it had before ends."""
    if log_in.former_secret is not None:
        await end(session, secret=log_in.former_secret)
    secret = secrets.token_urlsafe(32)
    now, (ip, user_agent) = clock.now(), log_in.origin
    row = UserSession(user_id=user_id, digest=_digest(secret), remember=log_in.remember)
    row.created_on = row.last_seen_on = row.authenticated_on = now
    row.expires_on = now + min(log_in.lifetime)
    row.ip, row.user_agent = ip[:IP_LENGTH], user_agent[:USER_AGENT_LENGTH]
    session.add(row)
    return secret


async def find(session: AsyncSession, *, secret: str) -> UserSession | None:
    """Return a secret's session with its user and their roles. None if it has expired or the account is inactive."""
    found = await session.scalars(FIND, {"digest": _digest(secret), "now": clock.now()})
    return found.unique().one_or_none()


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


async def prove(session: AsyncSession, session_id: int) -> None:
    """Write down that the person has just shown their password again, in this browser."""
    await session.execute(update(UserSession).where(UserSession.id == session_id).values(authenticated_on=clock.now()))


def is_recent(row: UserSession, *, within: timedelta) -> bool:
    """Say whether the person has shown their password in this browser lately."""
    return clock.now() - row.authenticated_on <= within


async def list_of(session: AsyncSession, *, user_id: int) -> Sequence[UserSession]:
    """Return the log-ins of a user, the one seen last first."""
    theirs = (UserSession.user_id == user_id) & (UserSession.expires_on > clock.now())
    query = select(UserSession).where(theirs).order_by(UserSession.last_seen_on.desc(), UserSession.id.desc())
    return (await session.scalars(query)).all()


async def end_one(session: AsyncSession, session_id: int, *, user_id: int, origin: Origin) -> bool:
    """End a log-in, if it is this user's; say whether there was one."""
    await session.get(User, user_id, with_for_update=True)  # while it is noted down, nobody deletes the account
    theirs = (UserSession.id == session_id) & (UserSession.user_id == user_id)
    ended: Any = await session.execute(delete(UserSession).where(theirs))
    if ended.rowcount:
        await activity.note(session, user_id, "session_ended", origin)
    return bool(ended.rowcount)


async def end_others(session: AsyncSession, session_id: int, *, user_id: int, origin: Origin) -> None:
    """End every log-in of a user but one."""
    others = (UserSession.user_id == user_id) & (UserSession.id != session_id)
    await session.execute(delete(UserSession).where(others))
    if await session.get(User, user_id, with_for_update=True):
        await activity.note(session, user_id, "other_sessions_ended", origin)


async def end(session: AsyncSession, *, secret: str) -> None:
    await session.execute(delete(UserSession).where(UserSession.digest == _digest(secret)))


async def end_all(session: AsyncSession, *, user_id: int) -> None:
    await session.execute(delete(UserSession).where(UserSession.user_id == user_id))


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
