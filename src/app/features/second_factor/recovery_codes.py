"""Recovery codes: each user has ten, and each works once in place of a code of the authenticator app.

A code looks like 07-K3XJ9-2PQRM. The number names the hash, so that only one hash is verified. The rest has 49 random
bits.
"""

import re
import secrets
from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.features.second_factor.models import RecoveryCode
from app.lib import clock
from app.lib.passwords.hasher import hash_password

ALPHABET = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"  # without letters and digits that look alike
COUNT = 10
SECRET_LENGTH = 10
CODE = re.compile(rf"([0-9]{{2}})([{ALPHABET}]{{{SECRET_LENGTH}}})", re.ASCII)


def new_codes() -> list[tuple[int, str]]:
    """Return ten numbers with their secrets."""
    return [(number, "".join(secrets.choice(ALPHABET) for _ in range(SECRET_LENGTH))) for number in range(1, COUNT + 1)]


def format_code(number: int, secret: str) -> str:
    return f"{number:02}-{secret[:5]}-{secret[5:]}"


def parse_code(typed: str) -> tuple[int, str] | None:
    """Return the number and the secret of a normalized code, or None."""
    match = CODE.fullmatch(typed)
    return (int(match[1]), match[2]) if match else None


async def hash_codes(codes: list[tuple[int, str]]) -> list[tuple[int, str]]:
    """Return the number and the hash of each code. Raises Overloaded."""
    return [(number, await hash_password(secret)) for number, secret in codes]


async def replace_all(session: AsyncSession, user_id: int, hashes: list[tuple[int, str]]) -> None:
    """Store new codes in place of the former ones. The caller has locked the user's row."""
    await session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user_id))
    now = clock.now()
    rows = [RecoveryCode(user_id=user_id, number=number, hash=hashed, created_on=now) for number, hashed in hashes]
    session.add_all(rows)


async def find(session: AsyncSession, user_id: int, *, number: int) -> RecoveryCode | None:
    is_named = (RecoveryCode.user_id == user_id) & (RecoveryCode.number == number)
    return await session.scalar(select(RecoveryCode).where(is_named))


async def consume(session: AsyncSession, user_id: int, *, hashed: str) -> bool:
    """Delete a code by its hash, and return whether it existed.

    SQLite may give the id of a deleted code to a new one, so the id cannot identify it.
    """
    is_meant = (RecoveryCode.user_id == user_id) & (RecoveryCode.hash == hashed)
    deleted: Any = await session.execute(delete(RecoveryCode).where(is_meant))
    return bool(deleted.rowcount)


async def count(session: AsyncSession, *, user_id: int) -> int:
    counted = select(func.count()).select_from(RecoveryCode).where(RecoveryCode.user_id == user_id)
    return await session.scalar(counted) or 0
