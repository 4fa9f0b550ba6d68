"""The phone number of a user. docs/how-to/remove-a-part.md removes it."""

from sqlalchemy.ext.asyncio import AsyncSession

from app.lib.db import db
from app.lib.db.unique import flush_unique
from app.lib.errors import ServiceError
from app.lib.i18n.catalogs import lazy_gettext as _
from app.lib.phone import valid_phone
from app.models import User
from app.services import audit_log, rate_limits
from app.services.client import Client


class PhoneTaken(ServiceError):
    """Another account has this phone number."""

    message = _("Another account uses this phone number.")


async def count_change(user: User, *, client: Client) -> None:
    """Count a change. Raises RateLimitExceeded.

    PhoneTaken reveals that a number has an account. So changes are counted, in a transaction of their own: a refused
    change is rolled back.
    """
    per_account = rate_limits.limit("PHONE_CHANGES_PER_ACCOUNT", f"user {user.id}")
    per_ip = rate_limits.limit("PHONE_CHANGES_PER_IP", client.network)  # accounts are free
    await db.write(rate_limits.hit, [per_account, per_ip])


async def set_phone(session: AsyncSession, user: User, phone: str | None, *, client: Client) -> None:
    """Set the phone number of a locked user. Raises PhoneTaken; ValueError for an invalid number."""
    former, user.phone = user.phone, valid_phone(phone) if phone else None
    await flush_unique(session, User.phone, taken=PhoneTaken())
    if user.phone != former:
        await audit_log.record(session, user.id, "phone_changed", client)
