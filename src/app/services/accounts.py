"""Accounts: opening them, finding them, changing what they may do. Each verb is one step inside a unit of work."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import selectinload

from app.models import User
from app.models.user import NAME_LENGTH, email_key, valid_email
from app.services import sessions
from app.services.refusals import Refusal, check_line


class EmailTaken(Refusal):
    """Another account has this address."""

    message = "There is an account with this address."


class UnknownUser(Refusal):
    """No account has this address."""

    message = "There is no account with this address."


async def register(session: AsyncSession, *, email: str, password_hash: str | None, name: str | None = None) -> User:
    """Open an account. Raises EmailTaken; of two that race for an address the database lets one in."""
    if name is not None:
        check_line("name", name, longest=NAME_LENGTH)
    user = User(email=valid_email(email), email_key=email_key(email), password=password_hash, name=name)
    session.add(user)
    try:
        await session.flush()
    except IntegrityError as error:
        raise EmailTaken from error
    return user


async def find_by_email(session: AsyncSession, *, email: str) -> User | None:
    return await session.scalar(select(User).where(User.email_key == email_key(email)))


async def get_by_email(session: AsyncSession, *, email: str, lock: bool = False) -> User:
    """Return the user with their roles; to change them, locked until the unit ends. Raises UnknownUser."""
    wanted = select(User).where(User.email_key == email_key(email)).options(selectinload(User.roles))
    user = await session.scalar(wanted.with_for_update() if lock else wanted)
    if user is None:
        raise UnknownUser
    return user


async def lock(session: AsyncSession, user_id: int) -> User | None:
    """Return the user as they are now; nobody else changes the row before the unit ends."""
    return await session.get(User, user_id, with_for_update=True, populate_existing=True)


async def list_all(session: AsyncSession) -> Sequence[User]:
    return (await session.scalars(select(User).order_by(User.id))).all()


async def activate(session: AsyncSession, *, email: str) -> None:
    """Open a closed account again."""
    user = await get_by_email(session, email=email, lock=True)
    user.active = True


async def deactivate(session: AsyncSession, *, email: str) -> None:
    """Close an account without deleting it: nobody logs in to it, and whoever is logged in is out."""
    user = await get_by_email(session, email=email, lock=True)
    user.active = False
    await sessions.end_all(session, user_id=user.id)


async def set_password(session: AsyncSession, *, email: str, password_hash: str) -> None:
    """Give an account another password and end its log-ins."""
    user = await get_by_email(session, email=email, lock=True)
    user.password = password_hash
    await sessions.end_all(session, user_id=user.id)
