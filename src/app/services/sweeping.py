"""Rows that have served their time."""

from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from app.models import Mail, Throttle, UserEvent, UserSession, UserToken, clock

EXPIRING: list[tuple[InstrumentedAttribute[Any], InstrumentedAttribute[Any]]] = [
    (Throttle.key, Throttle.resets_on),
    (UserSession.id, UserSession.expires_on),
    (UserToken.id, UserToken.expires_on),
    (UserEvent.id, UserEvent.expires_on),
    (Mail.id, Mail.expires_on),
]
AT_ONCE = 1000  # rows of a table: a unit of work stays short


async def sweep(session: AsyncSession) -> int:
    """Delete what has expired, some of it at a time, and return how many rows that were."""
    swept = 0
    for key, expires_on in EXPIRING:
        expired = (
            await session.scalars(select(key).where(expires_on <= clock.now()).order_by(expires_on).limit(AT_ONCE))
        ).all()
        # Asked again: a row may have been renewed since.
        deleted: Any = await session.execute(delete(key.class_).where(key.in_(expired), expires_on <= clock.now()))
        swept += deleted.rowcount
    return swept
