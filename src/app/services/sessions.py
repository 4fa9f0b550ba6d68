"""Sessions: one row for each browser that is logged in. Only the browser's cookie has the session token."""

import hashlib
import secrets
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, NamedTuple

from sqlalchemy import bindparam, delete, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import contains_eager, defer, joinedload

from app.lib import clock
from app.lib.settings import current_settings
from app.models import User, UserSession
from app.services import audit_log
from app.services.client import Client, NewSession

TOUCH_INTERVAL = timedelta(minutes=1)
MAX_SESSIONS = 100  # of an account; /sessions lists all of them

# One query for each request with a cookie, compiled once. No page needs the digest or the password hash.
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
    """How long a session lasts: without a request, and at most."""

    idle: timedelta
    absolute: timedelta


def lifetime(*, remember: bool) -> Lifetime:
    settings, prefix = current_settings(), "REMEMBER" if remember else "SESSION"
    return Lifetime(settings[f"{prefix}_IDLE"], settings[f"{prefix}_LIFETIME"])


async def start(session: AsyncSession, *, user_id: int, new: NewSession) -> str:
    """Start a session and return its token. The session that it replaces ends."""
    if new.replaces is not None:
        await end(session, token=new.replaces)
    token, now = _new_token(), clock.now()
    row = UserSession(user_id=user_id, digest=_digest(token), remember=new.remember)
    row.created_on = row.last_seen_on = now
    row.authenticated_on = new.authenticated_on or now
    row.expires_on = now + min(lifetime(remember=new.remember))
    row.ip, row.user_agent = new.client.stored_ip, new.client.stored_user_agent
    session.add(row)
    await _end_oldest(session, user_id)
    return token


async def _end_oldest(session: AsyncSession, user_id: int) -> None:
    """Keep the newest sessions of a user. The caller has locked the user's row."""
    await session.flush()
    age, is_own = (UserSession.created_on, UserSession.id), UserSession.user_id == user_id
    newest = select(*age).where(is_own).order_by(*(column.desc() for column in age))
    if first_to_end := (await session.execute(newest.offset(MAX_SESSIONS).limit(1))).one_or_none():
        await session.execute(delete(UserSession).where(is_own, tuple_(*age) <= tuple(first_to_end)))


async def find(session: AsyncSession, *, token: str) -> UserSession | None:
    """Return the session with its user and their roles. None if it has expired or the account may not log in."""
    found = await session.scalars(FIND, {"digest": _digest(token), "now": clock.now()})
    row = found.unique().one_or_none()
    needs_confirmation = current_settings()["SECURITY_CONFIRMABLE"]
    return None if row is not None and needs_confirmation and row.user.confirmed_on is None else row


def needs_touch(row: UserSession) -> bool:
    return clock.now() - row.last_seen_on >= TOUCH_INTERVAL


async def touch(session: AsyncSession, row: UserSession) -> None:
    """Record that the browser sent a request, which extends the session. A deleted row stays deleted."""
    now, limits = clock.now(), lifetime(remember=row.remember)
    expires_on = min(now + limits.idle, row.created_on + limits.absolute)
    await session.execute(
        update(UserSession).where(UserSession.id == row.id).values(last_seen_on=now, expires_on=expires_on)
    )


async def mark_reauthenticated(session: AsyncSession, session_id: int, *, user_id: int) -> str:
    """Make a session fresh and return its new token. A copy of the former cookie is of no use (OWASP ASVS 7.2.4)."""
    token = _new_token()
    is_own = (UserSession.id == session_id) & (UserSession.user_id == user_id)
    await session.execute(update(UserSession).where(is_own).values(authenticated_on=clock.now(), digest=_digest(token)))
    return token


def is_fresh(row: UserSession, *, within: timedelta) -> bool:
    """Return whether the user has entered the password in this session within a period."""
    return clock.now() - row.authenticated_on <= within


async def list_of(session: AsyncSession, *, user_id: int) -> Sequence[UserSession]:
    """Return the active sessions of a user, the latest used first."""
    is_active = (UserSession.user_id == user_id) & (UserSession.expires_on > clock.now())
    query = select(UserSession).where(is_active).order_by(UserSession.last_seen_on.desc(), UserSession.id.desc())
    return (await session.scalars(query)).all()


async def end_one(session: AsyncSession, session_id: int, *, user_id: int, client: Client) -> None:
    """End a session if it belongs to the user."""
    await session.get(User, user_id, with_for_update=True)  # the event needs the account, which could be deleted now
    is_own = (UserSession.id == session_id) & (UserSession.user_id == user_id)
    ended: Any = await session.execute(delete(UserSession).where(is_own))
    if ended.rowcount:
        await audit_log.record(session, user_id, "session_ended", client)


async def end_others(session: AsyncSession, session_id: int, *, user_id: int, client: Client) -> None:
    """End every session of a user except one."""
    is_other = (UserSession.user_id == user_id) & (UserSession.id != session_id)
    user = await session.get(User, user_id, with_for_update=True)  # first, as in every transaction: no deadlock
    ended: Any = await session.execute(delete(UserSession).where(is_other))
    if ended.rowcount and user:
        await audit_log.record(session, user_id, "other_sessions_ended", client)


async def log_out(session: AsyncSession, *, token: str, user_id: int | None) -> None:
    await end(session, token=token)
    audit_log.log(session, "logged_out", user=user_id)


async def end(session: AsyncSession, *, token: str) -> None:
    await session.execute(delete(UserSession).where(UserSession.digest == _digest(token)))


async def end_all(session: AsyncSession, *, user_id: int) -> None:
    await session.execute(delete(UserSession).where(UserSession.user_id == user_id))


def _new_token() -> str:
    return secrets.token_urlsafe(32)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
