"""Users: create, find and change them. Each function runs inside a transaction."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import bindparam, delete, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import selectinload

from app.lib import clock
from app.lib.db.unique import flush_unique
from app.lib.email_address import email_key, valid_email
from app.lib.errors import ServiceError, validate_single_line
from app.lib.i18n.catalogs import lazy_gettext as _
from app.models import User, UserToken
from app.models.user import NAME_LENGTH
from app.models.user_token import USER_REQUESTED, TokenPurpose
from app.services import audit_log, outbox, sessions
from app.services.client import COMMAND_LINE, Client
from app.services.extension_points import AccessEnd, end_access

BY_EMAIL = select(User).where(User.email_key == bindparam("key"))
LOCK = select(User).where(User.id == bindparam("user_id")).with_for_update().execution_options(populate_existing=True)


class EmailTaken(ServiceError):
    """Another account has this e-mail address."""

    message = _("An account with this e-mail address already exists.")


class EmailReserved(ServiceError):
    """Another account had this e-mail address until recently, and may take it back."""

    message = _(
        "Another account recently used this e-mail address. To recover that account, use the link in our last e-mail."
    )


class UnknownUser(ServiceError):
    """There is no such account."""

    message = "There is no account with this e-mail address."


async def create(
    session: AsyncSession,
    *,
    email: str,
    password_hash: str | None,
    client: Client,
    name: str | None = None,
    confirmed_on: datetime | None = None,
) -> User:
    """Create an account. Raises EmailTaken, EmailReserved. Of two simultaneous ones the database accepts one."""
    if name is not None:
        validate_single_line("name", name, max_length=NAME_LENGTH)
    user = User(email=valid_email(email), email_key=email_key(email), password=password_hash, name=name)
    user.confirmed_on, user.language = confirmed_on, client.language
    session.add(user)
    await flush_unique(session, User.email_key, taken=EmailTaken())
    if await is_reserved(session, user.email_key, except_for=user.id):  # checked last: it may have been released before
        raise EmailReserved
    await audit_log.record(session, user.id, "registered", client)
    return user


async def is_reserved(session: AsyncSession, key: str, *, except_for: int) -> bool:
    """Return whether another account may take an e-mail address back."""
    is_undo = (UserToken.email_key == key) & (UserToken.purpose == TokenPurpose.UNDO_EMAIL)
    query = select(UserToken.id).where(is_undo, UserToken.user_id != except_for, UserToken.expires_on > clock.now())
    return await session.scalar(query.limit(1)) is not None


async def find(session: AsyncSession, user_id: int) -> User | None:
    return await session.get(User, user_id)


async def find_for_login(session: AsyncSession, *, email: str, confirmed_only: bool) -> User | None:
    """Return the user who may log in with an e-mail address and the correct password."""
    user = await find_by_email(session, email=email)
    return None if user is not None and confirmed_only and user.confirmed_on is None else user


async def find_by_email(session: AsyncSession, *, email: str, lock: bool = False) -> User | None:
    """Return the user. Lock the row to write rows that refer to it."""
    return await session.scalar(BY_EMAIL.with_for_update() if lock else BY_EMAIL, {"key": email_key(email)})


async def find_password(session: AsyncSession, *, email: str) -> str | None:
    """Return the password hash of the user. None without a user or a password."""
    return await session.scalar(select(User.password).where(User.email_key == email_key(email)))


async def get_by_email(session: AsyncSession, *, email: str, lock: bool = False) -> User:
    """Return the user with their roles. Lock the row to change them. Raises UnknownUser."""
    query = select(User).where(User.email_key == email_key(email)).options(selectinload(User.roles))
    user = await session.scalar(query.with_for_update() if lock else query)
    if user is None:
        raise UnknownUser
    return user


async def lock(session: AsyncSession, user_id: int) -> User | None:
    """Return the user with the current values, locked until the transaction ends."""
    return await session.scalar(LOCK, {"user_id": user_id})


async def list_all(session: AsyncSession) -> Sequence[User]:
    return (await session.scalars(select(User).order_by(User.created_on, User.id))).all()


async def confirm(session: AsyncSession, *, email: str) -> User:
    """Confirm the e-mail address of an account without an e-mail. Raises UnknownUser."""
    user = await get_by_email(session, email=email, lock=True)
    if user.confirmed_on is None:
        user.confirmed_on = clock.now()
        await audit_log.record(session, user.id, "email_confirmed", COMMAND_LINE)
    return user


async def activate(session: AsyncSession, *, email: str) -> User:
    """Activate a deactivated account. Raises UnknownUser."""
    user = await get_by_email(session, email=email, lock=True)
    user.active = True
    await audit_log.record(session, user.id, "activated", COMMAND_LINE)
    return user


async def deactivate(session: AsyncSession, *, email: str) -> User:
    """End the sessions of an account, and refuse logins until it is activated. Raises UnknownUser."""
    user = await get_by_email(session, email=email, lock=True)
    user.active = False
    await sessions.end_all(session, user_id=user.id)
    await end_access(session, user, AccessEnd.DEACTIVATED)
    requested = (UserToken.user_id == user.id) & UserToken.purpose.in_(USER_REQUESTED)
    await session.execute(delete(UserToken).where(requested))
    await outbox.cancel(session, user.id, USER_REQUESTED)
    await audit_log.record(session, user.id, "deactivated", COMMAND_LINE)
    return user
