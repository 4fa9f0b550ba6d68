"""Accounts: opening them, finding them, changing what they may do. Each verb is one step inside a unit of work."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import bindparam, select, update
from sqlalchemy import delete as sql_delete
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import selectinload

from app.languages import known_language
from app.languages import lazy_gettext as _
from app.models import User, UserToken, clock
from app.models.user import NAME_LENGTH, email_key, valid_email, valid_phone
from app.models.user_token import ASKED_FOR, Purpose
from app.services import activity, outbox, sessions
from app.services.activity import COMMAND_LINE, Origin
from app.services.refusals import Refusal, check_line

BY_EMAIL = select(User).where(User.email_key == bindparam("key"))
LOCK = select(User).where(User.id == bindparam("user_id")).with_for_update().execution_options(populate_existing=True)


class EmailTaken(Refusal):
    """Another account has this address."""

    message = _("There is an account with this address.")


class EmailReserved(Refusal):
    """The address was another account's until lately, and may go back to it."""

    message = _("This address was another account's until lately. The mail about the change says how to get it back.")


class PhoneTaken(Refusal):
    """Another account has this number."""

    message = _("Another account has this number.")


class UnknownUser(Refusal):
    """No account has this address."""

    message = "There is no account with this address."


async def register(
    session: AsyncSession,
    *,
    email: str,
    password_hash: str | None,
    name: str | None = None,
    confirmed_on: datetime | None = None,
    origin: Origin | None = None,
) -> User:
    """Open an account. Raises EmailTaken, EmailReserved; of two that race for an address the database lets one in."""
    if name is not None:
        check_line("name", name, longest=NAME_LENGTH)
    user = User(email=valid_email(email), email_key=email_key(email), password=password_hash, name=name)
    user.confirmed_on = confirmed_on
    user.language = known_language()
    session.add(user)
    try:
        await session.flush()
    except IntegrityError as error:
        raise EmailTaken from error
    if await is_reserved(session, user.email_key, but_for=user.id):  # only now: it may have become free just before
        raise EmailReserved
    if origin is not None:
        await activity.note(session, user.id, "signed_up", origin)
    return user


async def is_reserved(session: AsyncSession, key: str, *, but_for: int) -> bool:
    """Say whether an address may still go back to another account that had it."""
    undo = (UserToken.email_key == key) & (UserToken.purpose == Purpose.UNDO_EMAIL) & (UserToken.user_id != but_for)
    return (
        await session.scalar(select(UserToken.id).where(undo, UserToken.expires_on > clock.now()).limit(1)) is not None
    )


async def find(session: AsyncSession, user_id: int) -> User | None:
    return await session.get(User, user_id)


async def find_for_log_in(session: AsyncSession, *, email: str, confirmed_only: bool) -> User | None:
    """Return who may log in with an address, if their password is right."""
    user = await find_by_email(session, email=email)
    return None if user is not None and confirmed_only and user.confirmed_on is None else user


async def find_by_email(session: AsyncSession, *, email: str, lock: bool = False) -> User | None:
    """Return the user; to write what points at them, locked until the unit ends."""
    return await session.scalar(BY_EMAIL.with_for_update() if lock else BY_EMAIL, {"key": email_key(email)})


async def get_by_email(session: AsyncSession, *, email: str, lock: bool = False) -> User:
    """Return the user with their roles; to change them, locked until the unit ends. Raises UnknownUser."""
    wanted = select(User).where(User.email_key == email_key(email)).options(selectinload(User.roles))
    user = await session.scalar(wanted.with_for_update() if lock else wanted)
    if user is None:
        raise UnknownUser
    return user


async def lock(session: AsyncSession, user_id: int) -> User | None:
    """Return the user as they are now; nobody else changes the row before the unit ends."""
    return await session.scalar(LOCK, {"user_id": user_id})


async def list_all(session: AsyncSession) -> Sequence[User]:
    return (await session.scalars(select(User).order_by(User.id))).all()


async def change_profile(
    session: AsyncSession, user_id: int, *, name: str | None, phone: str | None, origin: Origin
) -> None:
    """Change what a person says of themselves. Raises NotALine, ValueError for no number, and PhoneTaken."""
    user = await lock(session, user_id)
    if user is None:
        raise UnknownUser
    if name is not None:
        check_line("name", name, longest=NAME_LENGTH)
    user.name, former = name, user.phone
    user.phone = valid_phone(phone) if phone else None
    try:
        await session.flush()
    except IntegrityError as error:
        raise PhoneTaken from error
    if user.phone != former:
        await activity.note(session, user.id, "phone_changed", origin)


async def choose_language(session: AsyncSession, user_id: int, code: str) -> None:
    """Have mails to a person written in a language."""
    await session.execute(update(User).where(User.id == user_id).values(language=code))


async def delete(session: AsyncSession, user: User) -> None:
    """Delete an account. Whatever has a foreign key to it goes too; a mail says good-bye."""
    await outbox.post_farewell(session, user)
    await session.execute(sql_delete(User).where(User.id == user.id))


async def delete_by_email(session: AsyncSession, *, email: str) -> User:
    """Delete an account for somebody at the command line."""
    user = await get_by_email(session, email=email, lock=True)
    await delete(session, user)
    return user


async def confirm(session: AsyncSession, *, email: str) -> User:
    """Take an address for confirmed."""
    user = await get_by_email(session, email=email, lock=True)
    if user.confirmed_on is None:
        user.confirmed_on = clock.now()
        await activity.note(session, user.id, "confirmed", COMMAND_LINE)
    return user


async def activate(session: AsyncSession, *, email: str) -> User:
    """Open a closed account again."""
    user = await get_by_email(session, email=email, lock=True)
    user.active = True
    await activity.note(session, user.id, "activated", COMMAND_LINE)
    return user


async def deactivate(session: AsyncSession, *, email: str) -> User:
    """Close an account without deleting it: nobody logs in to it, and whoever is logged in is out."""
    user = await get_by_email(session, email=email, lock=True)
    user.active = False
    await sessions.end_all(session, user_id=user.id)
    links = (UserToken.user_id == user.id) & UserToken.purpose.in_(ASKED_FOR)
    await session.execute(sql_delete(UserToken).where(links))
    await outbox.withdraw(session, user.id, ASKED_FOR)
    await activity.note(session, user.id, "deactivated", COMMAND_LINE)
    return user
