"""Links that are mailed: each does one thing, once, for whoever can read the mail.

The database keeps the SHA-256 of the secret. The outbox needs the secret until its mail has left, but what stands in a
link is signed (middleware/mailed_links.py), so who can read the database still has no link.
"""

import hashlib
import secrets
from datetime import timedelta
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import contains_eager

from app.models import User, UserToken, clock
from app.models.user import email_key
from app.models.user_token import ASKED_FOR, Purpose
from app.services import accounts, outbox
from app.services.outbox import Link
from app.services.refusals import Refusal

LIFETIME = {
    Purpose.CONFIRM: timedelta(days=5),
    Purpose.RESET: timedelta(hours=1),
    Purpose.CHANGE_EMAIL: timedelta(hours=2),
    Purpose.UNDO_EMAIL: timedelta(days=7),
    Purpose.NOT_ME: timedelta(days=7),
}


class InvalidLink(Refusal):
    """The link was never ours, was used, replaced or made void, or is too old: which of these, nobody learns."""

    message = "This link does not work."


async def mail(
    session: AsyncSession,
    user: User,
    purpose: Purpose,
    template: str,
    *,
    email: str | None = None,
    facts: dict[str, str] | None = None,
) -> None:
    """Make a link and post the mail that carries it, to the user's address or to another of theirs."""
    if purpose in ASKED_FOR:
        await void(session, user.id, purpose)
    secret, email, lifetime = secrets.token_urlsafe(32), email or user.email, LIFETIME[purpose]
    token = UserToken(user_id=user.id, purpose=purpose, digest=_digest(secret), expires_on=clock.now() + lifetime)
    token.email, token.email_key = email, email_key(email)
    session.add(token)
    await outbox.post(session, template, user, to=email, link=Link(purpose, secret, lifetime), facts=facts)


async def find(session: AsyncSession, secret: str, *, purpose: Purpose) -> UserToken:
    """Return a link that works, with its user. Raises InvalidLink."""
    query = (
        select(UserToken)
        .join(UserToken.user)
        .options(contains_eager(UserToken.user))
        .where(UserToken.digest == _digest(secret), UserToken.purpose == purpose)
        .where(UserToken.expires_on > clock.now(), User.active.is_(True))
    )
    token = await session.scalar(query)
    if token is None:
        raise InvalidLink
    return token


async def redeem(session: AsyncSession, secret: str, *, purpose: Purpose) -> UserToken:
    """Spend a link, and return it with its user, locked. One DELETE, so of two clicks one wins. Raises InvalidLink."""
    token = await find(session, secret, purpose=purpose)
    user = await accounts.lock(session, token.user_id)
    spent: Any = await session.execute(delete(UserToken).where(UserToken.id == token.id))
    if spent.rowcount != 1 or user is None or not user.active:
        raise InvalidLink
    return token


async def void(session: AsyncSession, user_id: int, *purposes: Purpose) -> None:
    """Make links void; all that a person asked for, if no purpose is named. Those that wait to be mailed stay here."""
    purposes = purposes or ASKED_FOR
    await session.execute(delete(UserToken).where(UserToken.user_id == user_id, UserToken.purpose.in_(purposes)))
    await outbox.withdraw(session, user_id, purposes)


async def void_alarms_since(session: AsyncSession, token: UserToken) -> None:
    """Make void what raises an alarm and is not older than this: an older link undoes what came after it."""
    since = (UserToken.user_id == token.user_id) & (UserToken.id >= token.id) & UserToken.purpose.not_in(ASKED_FOR)
    await session.execute(delete(UserToken).where(since))


async def find_way_back(session: AsyncSession, user: User) -> UserToken | None:
    """Return the oldest link that leads back to the address which the user has now."""
    here = (UserToken.user_id == user.id) & (UserToken.email_key == user.email_key)
    undo = (UserToken.purpose == Purpose.UNDO_EMAIL) & (UserToken.expires_on > clock.now())
    return await session.scalar(select(UserToken).where(here, undo).order_by(UserToken.id).limit(1))


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
