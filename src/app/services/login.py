"""Log in, and reauthenticate."""

from functools import partial

from sqlalchemy.ext.asyncio import AsyncSession

from app.lib.db import db
from app.lib.settings import current_settings
from app.models import User
from app.services import attempts, audit_log, authentication, security_alerts, sessions, users
from app.services.attempts import RateLimits
from app.services.authentication import Find, VerifiedPassword, lock_verified_user
from app.services.client import Client
from app.services.sessions import NewSession


async def log_in(email: str, password: str, *, new: NewSession, device: str | None) -> str:
    """Return the token of a new session. Raises InvalidCredentials, RateLimitExceeded.

    `device` is the name of the trusted device. Without one, the user gets a security alert about the login.
    """
    confirmed_only = current_settings()["SECURITY_CONFIRMABLE"]
    find = partial(users.find_for_login, email=email, confirmed_only=confirmed_only)
    limits = attempts.for_login(email, new.client, device=device)
    return await log_in_as(find, password, new=new, limits=limits, is_trusted_device=device is not None)


async def log_in_as(find: Find, password: str, *, new: NewSession, limits: RateLimits, is_trusted_device: bool) -> str:
    """Log in the user that `find` returns. Raises InvalidCredentials, RateLimitExceeded."""
    verified = await authentication.authenticate(password, find=find, limits=limits)
    async with authentication.refunded_on_failure(verified.hits):
        return await db.write(start_verified_session, verified, new=new, is_trusted_device=is_trusted_device)


async def reauthenticate(user: User, password: str, *, session_id: int, client: Client) -> None:
    """Verify the password again, which makes the session fresh. Raises InvalidCredentials, RateLimitExceeded."""
    find, limits = partial(users.find, user_id=user.id), attempts.for_reauthentication(user.id, client)
    verified = await authentication.authenticate(password, find=find, limits=limits)
    async with authentication.refunded_on_failure(verified.hits):
        await db.write(_mark_reauthenticated, verified, session_id=session_id, client=client)


async def start_verified_session(
    session: AsyncSession, verified: VerifiedPassword, *, new: NewSession, is_trusted_device: bool
) -> str:
    user = await lock_verified_user(session, verified)
    if not user.language:
        user.language = new.client.language
    await audit_log.record(session, user.id, "logged_in", new.client)
    if not is_trusted_device:
        await security_alerts.send_alert(session, user, "new_login", new.client)
    return await sessions.start(session, user_id=user.id, new=new)


async def _mark_reauthenticated(
    session: AsyncSession, verified: VerifiedPassword, *, session_id: int, client: Client
) -> None:
    user = await lock_verified_user(session, verified)
    await sessions.mark_reauthenticated(session, session_id, user_id=user.id)
    await audit_log.record(session, user.id, "reauthenticated", client)
