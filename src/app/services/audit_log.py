"""The audit log: what happened to an account, when, and from which client.

`record` writes the row that the user can read, and one line in the log under the same name.
"""

from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.lib import clock, logs
from app.lib.db.request_session import on_commit
from app.models import UserEvent
from app.services.client import COMMAND_LINE, Client

RETENTION = timedelta(days=365)
PAGE_LENGTH = 100  # events


async def record(session: AsyncSession, user_id: int, event: str, client: Client, **facts: Any) -> None:
    """Record an event in the transaction in which it happens. The log line, with the facts, follows the commit."""
    now = clock.now()
    row = UserEvent(user_id=user_id, event=event, created_on=now, expires_on=now + RETENTION)
    row.ip, row.user_agent = client.stored_ip, client.stored_user_agent
    session.add(row)
    log(session, event, user=user_id, **(facts | by(client)))


def log(session: AsyncSession, event: str, **facts: Any) -> None:
    """Log an event once the transaction is committed, without a row."""
    on_commit(session, partial(logs.record, event, **facts))


def by(client: Client) -> dict[str, str]:
    return {"by": "command line"} if client == COMMAND_LINE else {}


async def occurred_within(
    session: AsyncSession, user_id: int, event: str, client: Client, *, period: timedelta
) -> bool:
    """Return whether the same client caused this event within the last period."""
    is_same = (
        (UserEvent.user_id == user_id) & (UserEvent.event == event) & (UserEvent.created_on >= clock.now() - period)
    )
    rows = await session.execute(select(UserEvent.ip, UserEvent.user_agent).where(is_same))
    return (client.stored_ip, client.stored_user_agent) in [tuple(row) for row in rows]


async def list_recent(
    session: AsyncSession, *, user_id: int, limit: int = PAGE_LENGTH, offset: int = 0
) -> Sequence[UserEvent]:
    """Return the latest events of a user, newest first, without the first `offset` of them."""
    newest = select(UserEvent).where(UserEvent.user_id == user_id)
    newest = newest.order_by(UserEvent.created_on.desc(), UserEvent.id.desc()).limit(limit).offset(offset)
    return (await session.scalars(newest)).all()


async def list_page(session: AsyncSession, *, user_id: int, number: int) -> tuple[Sequence[UserEvent], bool]:
    """Return a page of the events of a user, and whether there are older ones. The first page has the number 1."""
    offset = (number - 1) * PAGE_LENGTH
    found = await list_recent(session, user_id=user_id, limit=PAGE_LENGTH + 1, offset=offset)
    return found[:PAGE_LENGTH], len(found) > PAGE_LENGTH
