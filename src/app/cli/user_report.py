"""The report of `quart --app run users show`: what support needs to know about an account."""

from collections.abc import Iterable

from sqlalchemy.ext.asyncio import AsyncSession

from app.lib.logs import escaped
from app.lib.passwords.schemes import OLDER
from app.services import audit_log, outbox, sessions, users


async def report_on(session: AsyncSession, email: str) -> dict[str, object]:
    """Return facts by name, without secrets and hashes. Raises UnknownUser."""
    user = await users.get_by_email(session, email=email)
    active = await sessions.list_of(session, user_id=user.id)
    emails = await outbox.list_of(session, user_id=user.id, limit=5)
    scheme = (OLDER.identify(user.password) or "unknown") if user.password else "none"
    events = await audit_log.list_recent(session, user_id=user.id, limit=5)
    facts: dict[str, object] = {"id": user.id, "name": user.name, "email": user.email}
    facts["phone"] = user.phone
    facts |= {"created": user.created_on, "confirmed": user.confirmed_on or "no"}
    facts["active"] = yes_or_no(is_true=user.active)
    facts |= {"roles": ", ".join(map(str, user.roles)), "password": scheme}
    facts["sessions"] = f"{len(active)}{f', last seen {active[0].last_seen_on}' if active else ''}"
    facts["e-mails"] = lines(f"{row.created_on} {row.template}: {escaped(row.error or row.state)}" for row in emails)
    facts["events"] = lines(f"{event.created_on} {event.event}" for event in events)
    return facts


def yes_or_no(*, is_true: bool) -> str:
    return "yes" if is_true else "no"


def lines(facts: Iterable[str]) -> str:
    return ("\n" + " " * 10).join(facts)
