"""Mails that are to leave. A service posts one in the unit of work that it reports: neither is lost without the other.

Who delivers (mailer.py) claims a mail for a while and says afterwards what came of it. Whoever is killed in the middle
leaves a mail that is due again: it arrives at least once.
"""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.languages import known_language
from app.models import Mail, User, UserToken, clock
from app.models.mail import ERROR_LENGTH
from app.models.user_token import Purpose

POSTED = "mail_posted"  # in the info of a session that has put mails into the outbox
CLAIMED = timedelta(minutes=2)  # longer than a delivery may take
WORTH_SENDING = timedelta(days=5)  # RFC 5321, 4.5.4.1
KEPT = timedelta(days=7)  # after it was sent, for those who are asked where it is


class Link(NamedTuple):
    """The link that a mail carries, and how long it works."""

    purpose: Purpose
    secret: str
    lifetime: timedelta


async def post(
    session: AsyncSession,
    template: str,
    user: User,
    *,
    to: str | None = None,
    link: Link | None = None,
    facts: dict[str, str] | None = None,
) -> None:
    """Put a mail to a user into the outbox; `to` is another address of theirs."""
    mail = _new(template, to or user.email, user.language, worth_sending=link.lifetime if link else WORTH_SENDING)
    mail.user_id, mail.facts = user.id, facts or {}
    if link:
        mail.purpose, mail.secret = link.purpose, link.secret
    session.add(mail)
    session.info[POSTED] = True


async def post_farewell(session: AsyncSession, user: User) -> None:
    """Put a mail into the outbox that outlives the account, and throw away what else was to be sent to it.

    It goes also to every address that could have taken the account back.
    """
    await session.execute(delete(Mail).where(Mail.user_id == user.id))
    former = (UserToken.user_id == user.id) & (UserToken.purpose == Purpose.UNDO_EMAIL)
    addresses = (await session.scalars(select(UserToken.email).where(former, UserToken.expires_on > clock.now()))).all()
    everywhere = dict.fromkeys([user.email, *addresses])
    session.add_all(_new("account_deleted", address, user.language) for address in everywhere)
    session.info[POSTED] = True


async def withdraw(session: AsyncSession, user_id: int, purposes: Collection[Purpose]) -> None:
    """Throw away what would bring a user a link that does not work any more."""
    unsent = (Mail.user_id == user_id) & Mail.purpose.in_(purposes) & Mail.sent_on.is_(None)
    await session.execute(delete(Mail).where(unsent))


async def due(session: AsyncSession, *, most: int) -> list[tuple[int, int]]:
    """Return which mails could be sent now, and how often each was tried."""
    now = clock.now()
    query = select(Mail.id, Mail.tries).where(Mail.due_on <= now, Mail.expires_on > now).order_by(Mail.due_on)
    return [(id_, tries) for id_, tries in await session.execute(query.limit(most))]


async def claim(session: AsyncSession, id_: int, *, tries: int) -> Mail | None:
    """Take a mail, unless somebody was quicker. It is due again for others if nothing is heard of it."""
    # Whoever is quicker changes `tries`, so the condition of the slower one is false.
    mine = (Mail.id == id_) & (Mail.tries == tries) & Mail.due_on.is_not(None)
    claimed: Any = await session.execute(update(Mail).where(mine).values(tries=tries + 1, due_on=clock.now() + CLAIMED))
    return await session.get(Mail, id_) if claimed.rowcount == 1 else None


async def mark_sent(session: AsyncSession, mail: Mail) -> None:
    """Keep of a mail that has left only that it did; of a farewell nothing."""
    if mail.user_id is None:
        await session.execute(delete(Mail).where(_still(mail)))
        return
    now = clock.now()
    left = update(Mail).where(_still(mail)).values(sent_on=now, due_on=None, expires_on=now + KEPT)
    await session.execute(left.values(secret=None, facts={}, error=None))


async def put_off(session: AsyncSession, mail: Mail, *, error: str) -> None:
    """Try again later: after one minute, two, four, … at most an hour."""
    await _set_due(session, mail, clock.now() + timedelta(minutes=min(2 ** (mail.tries - 1), 60)), error)


async def give_up(session: AsyncSession, mail: Mail, *, error: str | None = None) -> None:
    """Leave a mail in the outbox that is not to be tried again."""
    await _set_due(session, mail, None, error)


async def kept(session: AsyncSession, *, most: int = 50) -> Sequence[Mail]:
    """Return the mails in the outbox that did not leave, the newest first."""
    return (
        await session.scalars(select(Mail).where(Mail.sent_on.is_(None)).order_by(Mail.id.desc()).limit(most))
    ).all()


async def list_of(session: AsyncSession, *, user_id: int, most: int = 10) -> Sequence[Mail]:
    """Return the latest mails to a user, the newest first."""
    newest = select(Mail).where(Mail.user_id == user_id).order_by(Mail.id.desc()).limit(most)
    return (await session.scalars(newest)).all()


def _new(template: str, recipient: str, spoken: str | None, *, worth_sending: timedelta = WORTH_SENDING) -> Mail:
    """Make a mail in the recipient's language; in that of whoever causes it, where theirs is not known."""
    now = clock.now()
    times = {"created_on": now, "due_on": now, "expires_on": now + worth_sending}
    return Mail(template=template, recipient=recipient, language=spoken or known_language(), facts={}, **times)


async def _set_due(session: AsyncSession, mail: Mail, due_on: datetime | None, error: str | None) -> None:
    error = error[:ERROR_LENGTH] if error else None
    await session.execute(update(Mail).where(_still(mail)).values(due_on=due_on, error=error))


def _still(mail: Mail) -> ColumnElement[bool]:
    """Return whether a mail is still claimed by us, and not by somebody who thought that we were dead."""
    return (Mail.id == mail.id) & (Mail.tries == mail.tries)
