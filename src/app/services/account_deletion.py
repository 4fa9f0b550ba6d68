"""Delete an account with all its data."""

from functools import partial

from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncSession

from app.lib.db import db
from app.lib.errors import ServiceError
from app.lib.i18n.catalogs import lazy_gettext as _
from app.lib.i18n.formatting import format_datetime
from app.models import User
from app.services import attempts, audit_log, authentication, outbox, tokens, users
from app.services.authentication import VerifiedPassword, lock_verified_user
from app.services.client import COMMAND_LINE, Client
from app.services.extension_points import AccessEnd, end_access


class DeletionTooEarly(ServiceError):
    """The e-mail address was changed within the last week. The former one can still be restored."""


async def delete_account(user: User, password: str, *, client: Client) -> None:
    """Delete an account after its password was verified again.

    Raises InvalidCredentials, RateLimitExceeded; DeletionTooEarly while a change of the e-mail address can be undone.
    Otherwise an attacker with a stolen session could change the e-mail address, and then delete the account for good.
    """
    find, limits = partial(users.find, user_id=user.id), attempts.for_reauthentication(user.id, client)
    verified = await authentication.authenticate(password, find=find, limits=limits)
    async with authentication.refunded_on_failure(verified.hits):
        await db.write(_delete_verified, verified, client=client)


async def delete_by_email(session: AsyncSession, *, email: str) -> None:
    """Delete an account from the command line. Raises UnknownUser."""
    user = await users.get_by_email(session, email=email, lock=True)
    await _delete(session, user, client=COMMAND_LINE)


async def _delete_verified(session: AsyncSession, verified: VerifiedPassword, *, client: Client) -> None:
    user = await lock_verified_user(session, verified)
    if (ends_on := await tokens.last_undo(session, user.id)) is not None:
        date = format_datetime(ends_on)
        message = _("Your e-mail address was changed recently. You can delete the account after %(date)s.", date=date)
        raise DeletionTooEarly(message)
    await _delete(session, user, client=client)


async def _delete(session: AsyncSession, user: User, *, client: Client) -> None:
    """Delete the user and, by foreign keys, every row that refers to them. An e-mail reports it."""
    await outbox.enqueue_account_deleted(session, user, client=client)
    await end_access(session, user, AccessEnd.DELETED)
    await session.execute(delete(User).where(User.id == user.id))
    audit_log.log(session, "account_deleted", user=user.id, **audit_log.by(client))
