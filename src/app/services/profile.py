"""The profile of a user: name, phone number and language."""

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from app.lib.db import db
from app.lib.errors import validate_single_line
from app.models import User
from app.models.user import NAME_LENGTH
from app.services import audit_log, users
from app.services.client import Client
from app.services.phone_numbers import count_change, set_phone
from app.services.users import UnknownUser


async def update_profile(user: User, *, name: str | None, phone: str | None, client: Client) -> None:
    """Change the name and the phone number. Raises InvalidText, PhoneTaken, RateLimitExceeded."""
    if phone != user.phone:
        await count_change(user, client=client)
    await db.write(change_profile, user.id, name=name, phone=phone, client=client)


async def change_profile(
    session: AsyncSession, user_id: int, *, name: str | None, phone: str | None, client: Client
) -> None:
    """Change the name and the phone number. Raises InvalidText, PhoneTaken; ValueError for an invalid number."""
    user = await users.lock(session, user_id)
    if user is None:
        raise UnknownUser
    if name is not None:
        validate_single_line("name", name, max_length=NAME_LENGTH)
    user.name = name
    await set_phone(session, user, phone, client=client)
    audit_log.log(session, "profile_changed", user=user.id)


async def choose_language(session: AsyncSession, user_id: int, code: str) -> None:
    """Set the language of the e-mails to a user."""
    await session.execute(update(User).where(User.id == user_id).values(language=code))
