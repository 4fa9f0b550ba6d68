"""Purge expired rows."""

from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.lib import clock
from app.models import Email, RateLimit, UserEvent, UserSession, UserToken
from app.services.extension_points import Expiring, extension_points

EXPIRING = [
    Expiring(RateLimit.key, RateLimit.resets_on),
    Expiring(UserSession.id, UserSession.expires_on),
    Expiring(UserToken.id, UserToken.expires_on),
    Expiring(UserEvent.id, UserEvent.expires_on),
    Expiring(Email.id, Email.expires_on),
]
BATCH_SIZE = 1000  # rows of a table: the transaction stays short


def expiring_tables() -> list[Expiring]:
    return [*extension_points().expiring, *EXPIRING]


async def purge_expired(session: AsyncSession, table: Expiring) -> int:
    """Delete one batch of expired rows of a table, and return how many were deleted."""
    key, expires_on = table
    query = select(key).where(expires_on <= clock.now()).order_by(expires_on).limit(BATCH_SIZE)
    expired = (await session.scalars(query)).all()
    # The condition is repeated, because a row may have been extended since.
    deleted: Any = await session.execute(delete(key.class_).where(key.in_(expired), expires_on <= clock.now()))
    return int(deleted.rowcount)
