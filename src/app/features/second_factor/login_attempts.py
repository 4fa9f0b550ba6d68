"""Pending logins: the password was correct, and the code is still required."""

import hashlib
import secrets
from typing import Any, NamedTuple

from sqlalchemy import delete, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import contains_eager

from app.auth.pending_login import LIFETIME
from app.features.second_factor import codes, factors, recovery_codes
from app.features.second_factor.codes import CheckedCode
from app.features.second_factor.models import LoginAttempt
from app.lib import clock
from app.lib.db import db
from app.lib.errors import ServiceError
from app.models import User
from app.services import audit_log, login, users
from app.services.client import NewSession
from app.services.extension_points import PendingLogin

MAX_TRIES = 5
MAX_ATTEMPTS = 10  # pending logins of a user at a time


class UnknownAttempt(ServiceError):
    """The pending login has expired, was completed, or has no attempts left."""

    message = "Log in again."


class CompletedLogin(NamedTuple):
    """The token of the session, the user's e-mail address, and how many recovery codes are left if one was used."""

    token: str
    email: str
    remember: bool
    target: str
    codes_left: int | None


async def begin(session: AsyncSession, user: User, new: NewSession) -> PendingLogin | None:
    """Store and return a pending login, or return None if the user has no second factor."""
    if not await factors.is_enrolled(session, user_id=user.id):
        return None
    token, expires_on = secrets.token_urlsafe(32), clock.now() + LIFETIME
    row = LoginAttempt(user_id=user.id, digest=_digest(token), password_digest=_digest(user.password or ""))
    row.remember, row.target, row.expires_on = new.remember, new.target or "/", expires_on
    session.add(row)
    await session.flush()
    await _end_oldest(session, user.id)
    audit_log.log(session, "second_factor_required", user=user.id)
    return PendingLogin("second_factor_login.new", token)


async def find(session: AsyncSession, token: str) -> LoginAttempt:
    """Return a pending login with its user. Raises UnknownAttempt."""
    query = (
        select(LoginAttempt)
        .join(LoginAttempt.user)
        .options(contains_eager(LoginAttempt.user))
        .where(LoginAttempt.digest == _digest(token), LoginAttempt.expires_on > clock.now())
        .where(LoginAttempt.tries < MAX_TRIES, User.active.is_(True))
    )
    row = await session.scalar(query)
    if row is None:
        raise UnknownAttempt
    return row


async def complete(token: str, typed: str, *, new: NewSession, is_trusted_device: bool) -> CompletedLogin:
    """Complete a pending login with a code, and start its session.

    Raises WrongCode, ClockWrong, UnknownAttempt, RateLimitExceeded. Every attempt is counted before its code is
    checked, so simultaneous guesses cannot exceed the limit.
    """
    attempt = await db.read(find, token)
    await db.write(_count_try, attempt.id)
    async with codes.counted(attempt.user_id, new.client) as hits:
        checked = await codes.check(attempt.user_id, typed, hits=hits)
        return await db.write(_start_session, attempt.id, checked, new=new, is_trusted_device=is_trusted_device)


async def end_all(session: AsyncSession, *, user_id: int) -> None:
    await session.execute(delete(LoginAttempt).where(LoginAttempt.user_id == user_id))


async def _end_oldest(session: AsyncSession, user_id: int) -> None:
    age, is_own = (LoginAttempt.created_on, LoginAttempt.id), LoginAttempt.user_id == user_id
    newest = select(*age).where(is_own).order_by(*(column.desc() for column in age))
    if first_to_end := (await session.execute(newest.offset(MAX_ATTEMPTS).limit(1))).one_or_none():
        await session.execute(delete(LoginAttempt).where(is_own, tuple_(*age) <= tuple(first_to_end)))


async def _count_try(session: AsyncSession, attempt_id: int) -> None:
    has_tries = (LoginAttempt.id == attempt_id) & (LoginAttempt.tries < MAX_TRIES)
    counted: Any = await session.execute(update(LoginAttempt).where(has_tries).values(tries=LoginAttempt.tries + 1))
    if counted.rowcount != 1:
        raise UnknownAttempt


async def _start_session(
    session: AsyncSession, attempt_id: int, checked: CheckedCode, *, new: NewSession, is_trusted_device: bool
) -> CompletedLogin:
    """Consume the code and the pending login, unless the password was changed since it was verified."""
    user = await users.lock(session, checked.user_id)
    attempt = await session.get(LoginAttempt, attempt_id)
    if user is None or not user.active or attempt is None or attempt.password_digest != _digest(user.password or ""):
        raise UnknownAttempt
    remember, target = attempt.remember, attempt.target
    deleted: Any = await session.execute(delete(LoginAttempt).where(LoginAttempt.id == attempt_id))
    if deleted.rowcount != 1:
        raise UnknownAttempt
    await codes.consume(session, checked)
    codes_left = None
    if checked.recovery_hash is not None:
        codes_left = await recovery_codes.count(session, user_id=user.id)
        await codes.report(session, user, "recovery_code_used", new.client)
    token = await login.start_session(
        session, user, new=new._replace(remember=remember), is_trusted_device=is_trusted_device
    )
    return CompletedLogin(token, user.email, remember, target, codes_left)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
