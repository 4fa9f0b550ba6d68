"""Delete an account with all its data."""

from functools import partial

from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncSession

from app.lib.db import db
from app.models import User
from app.services import audit_log, authentication, outbox, rate_limits, users
from app.services.authentication import VerifiedPassword, lock_verified_user
from app.services.client import COMMAND_LINE, Client


async def delete_account(user: User, password: str, *, client: Client) -> None:
    """Delete the account of a user who enters the password. Raises InvalidCredentials, RateLimitExceeded."""
    find, limits = partial(users.find, user_id=user.id), rate_limits.for_reauthentication(user.id, client)
    verified = await authentication.authenticate(password, find=find, limits=limits)
    async with authentication.refunded_on_failure(verified.hits):
        await db.write(_delete_verified, verified, client=client)


async def delete_by_email(session: AsyncSession, *, email: str) -> None:
    """Delete an account from the command line. Raises UnknownUser."""
    user = await users.get_by_email(session, email=email, lock=True)
    await _delete(session, user, client=COMMAND_LINE)


async def _delete_verified(session: AsyncSession, verified: VerifiedPassword, *, client: Client) -> None:
    await _delete(session, await lock_verified_user(session, verified), client=client)


async def _delete(session: AsyncSession, user: User, *, client: Client) -> None:
    """Delete the user and, by foreign keys, every row that refers to them. An e-mail reports it."""
    await outbox.enqueue_account_deleted(session, user, client=client)
    await session.execute(delete(User).where(User.id == user.id))
    audit_log.log(session, "account_deleted", user=user.id, **audit_log.by(client))
