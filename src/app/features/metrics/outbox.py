"""How many e-mails wait in the outbox, and for how long."""

from typing import NamedTuple

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.lib import clock
from app.models import Email


class Waiting(NamedTuple):
    """Undelivered e-mails that wait for an attempt."""

    emails: int
    oldest_age_seconds: float  # 0 if there are none


async def count_waiting(session: AsyncSession) -> dict[str, Waiting]:
    """Return the e-mails that wait for their first attempt, and those that wait for a retry."""
    now = clock.now()
    is_tried = (Email.tries > 0).label("is_tried")
    query = select(is_tried, func.count(), func.min(Email.created_on)).group_by(is_tried)
    rows = await session.execute(query.where(Email.due_on.is_not(None), Email.expires_on > now))
    found = {
        "yes" if tried else "no": Waiting(emails, max(0, (now - oldest).total_seconds()))
        for tried, emails, oldest in rows
    }
    return {tried: found.get(tried, Waiting(0, 0)) for tried in ("no", "yes")}
