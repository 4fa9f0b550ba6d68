"""The outbox: e-mails are enqueued in the transaction that they report, so both are committed or rolled back.

A worker (mail/worker.py) claims an e-mail for a while, delivers it, and stores the result. If the worker is killed,
the claim expires and the e-mail is due again: delivery is at least once.
"""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.lib import clock
from app.lib.email_address import email_key
from app.models import Email, User, UserToken
from app.models.email import ERROR_LENGTH
from app.models.user_token import TokenPurpose
from app.services import attempts, rate_limits
from app.services.client import Client

ENQUEUED = "email_enqueued"  # key in session.info: the worker is woken after the request
CLAIM_DURATION = timedelta(minutes=2)  # longer than a delivery may take
RETRY_PERIOD = timedelta(days=5)  # RFC 5321, 4.5.4.1
RETENTION = timedelta(days=7)  # after delivery, for support
RESERVED_FACTS = {"email", "link", "where", "site", "config"}
NEWEST_FIRST = (Email.created_on.desc(), Email.id.desc())


class EmailedToken(NamedTuple):
    """The token whose link an e-mail contains."""

    purpose: TokenPurpose
    token: str
    lifetime: timedelta


async def enqueue(
    session: AsyncSession,
    template: str,
    user: User,
    *,
    client: Client,
    to: str | None = None,
    token: EmailedToken | None = None,
    facts: dict[str, str] | None = None,
) -> None:
    """Enqueue an e-mail to a user; `to` is an e-mail address other than that of the account.

    It is in the user's language, or in that of the client if the user has none. Raises ValueError for a fact with the
    name of a variable that mail/rendering.py sets.
    """
    if reserved := RESERVED_FACTS & set(facts or ()):
        raise ValueError(f"give these facts another name: {', '.join(sorted(reserved))}")
    language, period = user.language or client.language, token.lifetime if token else RETRY_PERIOD
    email = _new(template, to or user.email, language=language, retry_period=period)
    email.user_id, email.facts = user.id, facts or {}
    if token:
        email.purpose, email.secret = token.purpose, token.token
    session.add(email)
    session.info[ENQUEUED] = True


async def enqueue_account_deleted(session: AsyncSession, user: User, *, client: Client) -> None:
    """Enqueue the e-mail about the deletion of an account, and delete every other e-mail of the account.

    It is sent also to the former e-mail addresses that could have taken the account back.
    """
    await session.execute(delete(Email).where(Email.user_id == user.id))
    is_undo = (UserToken.user_id == user.id) & (UserToken.purpose == TokenPurpose.UNDO_EMAIL)
    former = (await session.scalars(select(UserToken.email).where(is_undo, UserToken.expires_on > clock.now()))).all()
    language = user.language or client.language
    recipients = dict.fromkeys([user.email, *former])
    for recipient in recipients:
        limit = attempts.for_email(email_key(recipient), "account_deleted")  # of all accounts with this address
        if await rate_limits.is_allowed(session, limit):
            session.add(_new("account_deleted", recipient, language=language))
    session.info[ENQUEUED] = True


async def cancel(
    session: AsyncSession, user_id: int, purposes: Collection[TokenPurpose], *, since: datetime | None = None
) -> None:
    """Delete the undelivered e-mails with a token for these purposes; with `since`, only those enqueued since then."""
    undelivered = (Email.user_id == user_id) & Email.purpose.in_(purposes) & Email.sent_on.is_(None)
    query = delete(Email).where(undelivered)
    await session.execute(query.where(Email.created_on >= since) if since else query)


async def list_due(session: AsyncSession, *, limit: int) -> list[tuple[int, int]]:
    """Return the ids of e-mails that are due, each with the number of its tries."""
    now = clock.now()
    query = select(Email.id, Email.tries).where(Email.due_on <= now, Email.expires_on > now).order_by(Email.due_on)
    return [(id_, tries) for id_, tries in await session.execute(query.limit(limit))]


async def claim(session: AsyncSession, id_: int, *, tries: int) -> Email | None:
    """Claim an e-mail, and return it. None if another worker has claimed it."""
    # The faster worker has changed `tries`, so the condition of the slower one is false.
    is_unclaimed = (Email.id == id_) & (Email.tries == tries) & Email.due_on.is_not(None)
    claim_end = clock.now() + CLAIM_DURATION
    claimed: Any = await session.execute(update(Email).where(is_unclaimed).values(tries=tries + 1, due_on=claim_end))
    return await session.get(Email, id_) if claimed.rowcount == 1 else None


async def mark_sent(session: AsyncSession, email: Email) -> None:
    """Store that an e-mail was delivered, and delete its content. One about a deleted account is deleted."""
    if email.user_id is None:
        await session.execute(delete(Email).where(_is_claimed(email)))
        return
    now = clock.now()
    sent = update(Email).where(_is_claimed(email)).values(sent_on=now, due_on=None, expires_on=now + RETENTION)
    await session.execute(sent.values(secret=None, facts={}, error=None))


async def reschedule(session: AsyncSession, email: Email, *, error: str) -> None:
    """Try again after 1, 2, 4, … minutes, at most after an hour."""
    await _set_due(session, email, clock.now() + timedelta(minutes=min(2 ** (email.tries - 1), 60)), error)


async def mark_failed(session: AsyncSession, email: Email, *, error: str | None = None) -> None:
    """Keep an e-mail that is not tried again."""
    await _set_due(session, email, None, error)


async def list_undelivered(session: AsyncSession, *, limit: int = 50) -> Sequence[Email]:
    """Return the e-mails that were not delivered, newest first."""
    newest = select(Email).where(Email.sent_on.is_(None)).order_by(*NEWEST_FIRST).limit(limit)
    return (await session.scalars(newest)).all()


async def list_of(session: AsyncSession, *, user_id: int, limit: int = 10) -> Sequence[Email]:
    """Return the latest e-mails to a user, newest first."""
    newest = select(Email).where(Email.user_id == user_id).order_by(*NEWEST_FIRST).limit(limit)
    return (await session.scalars(newest)).all()


def _new(template: str, recipient: str, *, language: str | None, retry_period: timedelta = RETRY_PERIOD) -> Email:
    now = clock.now()
    times = {"created_on": now, "due_on": now, "expires_on": now + retry_period}
    return Email(template=template, recipient=recipient, language=language, facts={}, **times)


async def _set_due(session: AsyncSession, email: Email, due_on: datetime | None, error: str | None) -> None:
    error = error[:ERROR_LENGTH] if error else None
    await session.execute(update(Email).where(_is_claimed(email)).values(due_on=due_on, error=error))


def _is_claimed(email: Email) -> ColumnElement[bool]:
    """Match the e-mail only while the claim of this worker is the latest."""
    return (Email.id == email.id) & (Email.tries == email.tries)
