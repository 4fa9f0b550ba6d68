"""Purge expired rows."""

from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from app.lib import clock
from app.models import Email, RateLimit, UserEvent, UserSession, UserToken

EXPIRING: list[tuple[InstrumentedAttribute[Any], InstrumentedAttribute[Any]]] = [
    (RateLimit.key, RateLimit.resets_on),
    (UserSession.id, UserSession.expires_on),
    (UserToken.id, UserToken.expires_on),
    (UserEvent.id, UserEvent.expires_on),
    (Email.id, Email.expires_on),
]
BATCH_SIZE = 1000  # rows of a table: the transaction stays short


async def purge_expired(session: AsyncSession) -> int:
    """Delete one batch of expired rows of each table, and return how many were deleted."""
    purged = 0
    for key, expires_on in EXPIRING:
        query = select(key).where(expires_on <= clock.now()).order_by(expires_on).limit(BATCH_SIZE)
        expired = (await session.scalars(query)).all()
        # The condition is repeated, because a row may have been extended since.
        deleted: Any = await session.execute(delete(key.class_).where(key.in_(expired), expires_on <= clock.now()))
        purged += deleted.rowcount
    return purged
