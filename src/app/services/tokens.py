"""Single-use tokens of e-mailed links.

The database has the SHA-256 of a token. The outbox needs the token until its e-mail is delivered. The link contains it
with a signature (auth/email_links.py), so an attacker who can read the database cannot make a link.
"""

import hashlib
import secrets
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import contains_eager

from app.lib import clock
from app.lib.email_address import email_key
from app.lib.errors import ServiceError
from app.models import User, UserToken
from app.models.user_token import USER_REQUESTED, TokenPurpose
from app.services import outbox, users
from app.services.client import Client
from app.services.outbox import EmailedToken

LIFETIME = {
    TokenPurpose.CONFIRM: timedelta(days=5),
    TokenPurpose.RESET: timedelta(hours=1),
    TokenPurpose.CHANGE_EMAIL: timedelta(hours=2),
    TokenPurpose.UNDO_EMAIL: timedelta(days=7),
    TokenPurpose.NOT_ME: timedelta(days=7),
}
OLDEST_FIRST = (UserToken.created_on, UserToken.id)


class InvalidToken(ServiceError):
    """The token is forged, used, revoked or expired. The response does not reveal which."""

    message = "This link does not work."


async def send(
    session: AsyncSession,
    user: User,
    purpose: TokenPurpose,
    template: str,
    *,
    client: Client,
    email: str | None = None,
    facts: dict[str, str] | None = None,
    since: datetime | None = None,
) -> None:
    """Create a token and enqueue the e-mail with its link, to the user's e-mail address or to `email`.

    `since` is when an attacker may have gained access, if that was earlier.
    """
    if purpose in USER_REQUESTED:
        await revoke(session, user.id, purpose)
    token, email, lifetime, now = secrets.token_urlsafe(32), email or user.email, LIFETIME[purpose], clock.now()
    row = UserToken(user_id=user.id, purpose=purpose, digest=_digest(token), expires_on=now + lifetime)
    row.email, row.email_key, row.since = email, email_key(email), since
    row.created_on = max(now, await _last_created_on(session, user.id) or now)
    session.add(row)
    emailed = EmailedToken(purpose, token, lifetime)
    await outbox.enqueue(session, template, user, to=email, token=emailed, facts=facts, client=client)


async def find(session: AsyncSession, token: str, *, purpose: TokenPurpose) -> UserToken:
    """Return a valid token with its user. Raises InvalidToken."""
    query = (
        select(UserToken)
        .join(UserToken.user)
        .options(contains_eager(UserToken.user))
        .where(UserToken.digest == _digest(token), UserToken.purpose == purpose)
        .where(UserToken.expires_on > clock.now(), User.active.is_(True))
    )
    row = await session.scalar(query)
    if row is None:
        raise InvalidToken
    return row


async def consume(session: AsyncSession, token: str, *, purpose: TokenPurpose) -> UserToken:
    """Consume a token, and return it with its user, locked. Raises InvalidToken.

    Of two simultaneous requests, only the one whose DELETE finds the row succeeds.
    """
    row = await find(session, token, purpose=purpose)
    user = await users.lock(session, row.user_id)
    deleted: Any = await session.execute(delete(UserToken).where(UserToken.id == row.id))
    if deleted.rowcount != 1 or user is None or not user.active:
        raise InvalidToken
    return row


async def revoke(session: AsyncSession, user_id: int, *purposes: TokenPurpose) -> None:
    """Revoke the tokens for these purposes, or all that the user requested. Undelivered e-mails are cancelled."""
    purposes = purposes or USER_REQUESTED
    await session.execute(delete(UserToken).where(UserToken.user_id == user_id, UserToken.purpose.in_(purposes)))
    await outbox.cancel(session, user_id, purposes)


async def revoke_alerts_since(session: AsyncSession, row: UserToken, *purposes: TokenPurpose) -> None:
    """Revoke the tokens of security alerts that are not older than this one, which undoes what came later."""
    is_meant = UserToken.purpose.in_(purposes) if purposes else UserToken.purpose.not_in(USER_REQUESTED)
    is_earlier = tuple_(*OLDEST_FIRST) < (row.created_on, row.id)
    await session.execute(delete(UserToken).where(UserToken.user_id == row.user_id, is_meant, ~is_earlier))


async def oldest_alert(session: AsyncSession, user_id: int) -> datetime | None:
    """Return when the oldest alert was sent whose link works."""
    is_alert = (UserToken.user_id == user_id) & (UserToken.purpose == TokenPurpose.NOT_ME)
    query = select(func.min(UserToken.created_on)).where(is_alert, UserToken.expires_on > clock.now())
    return await session.scalar(query)


async def find_undo_token(session: AsyncSession, user: User) -> UserToken | None:
    """Return the oldest token that reverts the e-mail address to the present one."""
    is_present = (UserToken.user_id == user.id) & (UserToken.email_key == user.email_key)
    is_undo = (UserToken.purpose == TokenPurpose.UNDO_EMAIL) & (UserToken.expires_on > clock.now())
    return await session.scalar(select(UserToken).where(is_present, is_undo).order_by(*OLDEST_FIRST).limit(1))


async def last_undo(session: AsyncSession, user_id: int) -> datetime | None:
    """Return when the last token expires that can restore a former e-mail address of the user."""
    is_undo = (UserToken.user_id == user_id) & (UserToken.purpose == TokenPurpose.UNDO_EMAIL)
    query = select(UserToken.expires_on).where(is_undo, UserToken.expires_on > clock.now())
    return await session.scalar(query.order_by(UserToken.expires_on.desc()).limit(1))


async def _last_created_on(session: AsyncSession, user_id: int) -> datetime | None:
    """Return when the newest token of a user was created: by another machine, whose clock may be ahead of this one."""
    return await session.scalar(select(func.max(UserToken.created_on)).where(UserToken.user_id == user_id))


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
