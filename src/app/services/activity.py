"""What happened to an account, for its owner to read: what, when and from where."""

from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.models import UserEvent, clock
from app.models.user_session import IP_LENGTH, USER_AGENT_LENGTH

KEPT = timedelta(days=365)
SHOWN = 100


class Origin(NamedTuple):
    """Where a request comes from."""

    ip: str
    user_agent: str


COMMAND_LINE = Origin("command line", "")  # where a request has an address, so no browser passes for it


async def note(session: AsyncSession, user_id: int, event: str, origin: Origin) -> None:
    """Record what happened, in the transaction in which it happens."""
    now, client = clock.now(), _as_kept(origin)._asdict()
    session.add(UserEvent(user_id=user_id, event=event, created_on=now, expires_on=now + KEPT, **client))


async def was_just_now(session: AsyncSession, user_id: int, what: str, origin: Origin, *, within: timedelta) -> bool:
    """Say whether this happened lately, from there."""
    same = (UserEvent.user_id == user_id) & (UserEvent.event == what) & (UserEvent.created_on >= clock.now() - within)
    rows = await session.execute(select(UserEvent.ip, UserEvent.user_agent).where(same))
    return _as_kept(origin) in [Origin(*row) for row in rows]


async def list_recent(session: AsyncSession, *, user_id: int, most: int = SHOWN) -> Sequence[UserEvent]:
    """Return the latest events, the newest first."""
    newest = select(UserEvent).where(UserEvent.user_id == user_id).order_by(UserEvent.id.desc()).limit(most)
    return (await session.scalars(newest)).all()


def _as_kept(origin: Origin) -> Origin:
    return Origin(origin.ip[:IP_LENGTH], origin.user_agent[:USER_AGENT_LENGTH])
