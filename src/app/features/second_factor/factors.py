"""The second factor of a user: its row, with the encrypted secret, and the recovery codes."""

from collections.abc import Sequence
from datetime import datetime
from logging import ERROR

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.features.second_factor import encryption
from app.features.second_factor.models import RecoveryCode, SecondFactor
from app.lib import logs


async def find(session: AsyncSession, *, user_id: int) -> SecondFactor | None:
    return await session.scalar(select(SecondFactor).where(SecondFactor.user_id == user_id))


async def is_enrolled(session: AsyncSession, *, user_id: int) -> bool:
    return await session.scalar(select(SecondFactor.id).where(SecondFactor.user_id == user_id)) is not None


async def list_all(session: AsyncSession) -> Sequence[SecondFactor]:
    return (await session.scalars(select(SecondFactor).order_by(SecondFactor.created_on, SecondFactor.id))).all()


async def delete_since(session: AsyncSession, user_id: int, since: datetime | None) -> None:
    """Delete the factor and the recovery codes that were added since a time, or all of them if it is None.

    If no factor remains, all recovery codes are deleted.
    """
    for table in (SecondFactor, RecoveryCode):
        rows = delete(table).where(table.user_id == user_id)
        await session.execute(rows if since is None else rows.where(table.created_on >= since))
    if await find(session, user_id=user_id) is None:
        await session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user_id))


def encrypt(secret: bytes, *, user_id: int) -> str:
    return encryption.encrypt(secret, purpose=_purpose(user_id))


def decrypt(factor: SecondFactor) -> bytes | None:
    """Return the secret, or None if SECRET_KEY was replaced. Then only recovery codes work."""
    try:
        return encryption.decrypt(factor.secret, purpose=_purpose(factor.user_id))
    except encryption.Undecryptable:
        logs.record("second_factor_undecryptable", level=ERROR, user=factor.user_id)
        return None


def encrypt_again(factor: SecondFactor) -> bool:
    """Encrypt a secret with the current SECRET_KEY, and return whether that was needed."""
    is_current = encryption.is_current(factor.secret, purpose=_purpose(factor.user_id))
    if is_current or (secret := decrypt(factor)) is None:
        return False
    factor.secret = encrypt(secret, user_id=factor.user_id)
    return True


def _purpose(user_id: int) -> str:
    return f"secret of {user_id}"
