"""What support needs to know of an account, in one look. No secret, and no hash."""

from collections.abc import Iterable

from sqlalchemy.ext.asyncio import AsyncSession

from app.events import escaped
from app.services import accounts, activity, outbox, sessions
from app.services.passwords import OLDER


async def facts_of(session: AsyncSession, email: str) -> dict[str, object]:
    """Return the facts by their names. Raises UnknownUser."""
    user = await accounts.get_by_email(session, email=email)
    browsers = await sessions.list_of(session, user_id=user.id)
    mails = await outbox.list_of(session, user_id=user.id, most=5)
    scheme = (OLDER.identify(user.password) or "unknown") if user.password else "none"
    happened = await activity.list_recent(session, user_id=user.id, most=5)
    facts: dict[str, object] = {"id": user.id, "name": user.name, "email": user.email, "phone": user.phone}
    facts |= {"created": user.created_on, "confirmed": user.confirmed_on or "no", "active": yes(is_so=user.active)}
    facts |= {"roles": ", ".join(map(str, user.roles)), "password": scheme}
    facts["browsers"] = f"{len(browsers)}{f', last seen {browsers[0].last_seen_on}' if browsers else ''}"
    facts["mails"] = lines(f"{mail.created_on} {mail.template}: {escaped(mail.error or mail.state)}" for mail in mails)
    facts["activity"] = lines(f"{event.created_on} {event.event}" for event in happened)
    return facts


def yes(*, is_so: bool) -> str:
    return "yes" if is_so else "no"


def lines(facts: Iterable[str]) -> str:
    return ("\n" + " " * 9).join(facts)
