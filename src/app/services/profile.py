"""The profile of a user: name, phone number and language."""

from sqlalchemy import update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app.lib.db import db
from app.lib.errors import ServiceError, validate_single_line
from app.lib.i18n.catalogs import lazy_gettext as _
from app.lib.phone import valid_phone
from app.models import User
from app.models.user import NAME_LENGTH
from app.services import audit_log, rate_limits, users
from app.services.client import Client
from app.services.users import UnknownUser


class PhoneTaken(ServiceError):
    """Another account has this phone number."""

    message = _("Another account uses this phone number.")


async def update_profile(user: User, *, name: str | None, phone: str | None, client: Client) -> None:
    """Change the name and the phone number. Raises InvalidText, PhoneTaken, RateLimitExceeded.

    PhoneTaken reveals that a number has an account. So changes are counted, in a transaction of their own: a refused
    change is rolled back.
    """
    if phone != user.phone:
        per_account = rate_limits.limit("PHONE_CHANGES_PER_ACCOUNT", f"user {user.id}")
        per_ip = rate_limits.limit("PHONE_CHANGES_PER_IP", client.network)  # accounts are free
        await db.write(rate_limits.hit, [per_account, per_ip])
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
    user.name, former = name, user.phone
    user.phone = valid_phone(phone) if phone else None
    try:
        await session.flush()
    except IntegrityError as error:
        raise PhoneTaken from error
    audit_log.log(session, "profile_changed", user=user.id)
    if user.phone != former:
        await audit_log.record(session, user.id, "phone_changed", client)


async def choose_language(session: AsyncSession, user_id: int, code: str) -> None:
    """Set the language of the e-mails to a user."""
    await session.execute(update(User).where(User.id == user_id).values(language=code))
