"""Credentials: change the password, and revoke all access."""

from datetime import datetime
from functools import partial

from sqlalchemy.ext.asyncio import AsyncSession

from app.lib.db import db
from app.lib.passwords.executor import executor
from app.lib.passwords.hasher import hash_password
from app.lib.passwords.policy import check_password
from app.models import User, UserSession
from app.services import attempts, audit_log, authentication, security_alerts, sessions, tokens, users
from app.services.authentication import VerifiedPassword, lock_verified_user
from app.services.client import COMMAND_LINE, Client, NewSession
from app.services.extension_points import AccessEnd, end_access

EVENTS = {AccessEnd.PASSWORD_CHANGED: "password_changed", AccessEnd.RECOVERED: "password_reset"}


async def change_password(current: UserSession, password: str, new_password: str, *, new: NewSession) -> str:
    """Replace the password, end every session of the account, and return the token of a new one.

    A stolen cookie, also one of this browser, is of no use afterwards. The new session is as fresh as the current one,
    because a fresh login may need further proofs. Raises PasswordRefused, InvalidCredentials, RateLimitExceeded.
    """
    user, new = current.user, new._replace(authenticated_on=current.authenticated_on)
    check_password(new_password, email=user.email)
    find, limits = partial(users.find, user_id=user.id), attempts.for_reauthentication(user.id, new.client)
    verified = await authentication.authenticate(password, find=find, limits=limits)
    async with authentication.refunded_on_failure(verified.hits):
        with executor.slot():
            password_hash = await hash_password(new_password)
        return await db.write(_replace_verified, verified, password_hash=password_hash, new=new)


async def set_password(email: str, password: str) -> None:
    """Replace the password of an account from the command line. Raises PasswordRefused, UnknownUser."""
    check_password(password, email=email)
    await db.write(_replace_by_email, email=email, password_hash=await hash_password(password))


async def end_sessions(session: AsyncSession, *, email: str) -> None:
    """End every session of an account. Raises UnknownUser."""
    user = await users.get_by_email(session, email=email, lock=True)
    await sessions.end_all(session, user_id=user.id)
    await end_access(session, user, AccessEnd.SESSIONS_ENDED)
    await audit_log.record(session, user.id, "sessions_ended", COMMAND_LINE)


async def replace(session: AsyncSession, user: User, password_hash: str, *, reason: AccessEnd, client: Client) -> None:
    """Set another password, end the sessions, revoke the tokens that were requested, and alert the user."""
    await revoke(session, user, reason)
    user.password = password_hash
    await audit_log.record(session, user.id, EVENTS[reason], client)
    await security_alerts.send_alert(session, user, "password_changed", client)


async def revoke(session: AsyncSession, user: User, reason: AccessEnd, *, since: datetime | None = None) -> None:
    """End all access: the password, the sessions, the tokens that were requested, and what features have given."""
    user.password = None
    await sessions.end_all(session, user_id=user.id)
    await tokens.revoke(session, user.id)
    await end_access(session, user, reason, since=since)


async def _replace_verified(
    session: AsyncSession, verified: VerifiedPassword, *, password_hash: str, new: NewSession
) -> str:
    user = await lock_verified_user(session, verified)
    await replace(session, user, password_hash, reason=AccessEnd.PASSWORD_CHANGED, client=new.client)
    return await sessions.start(session, user_id=user.id, new=new)


async def _replace_by_email(session: AsyncSession, *, email: str, password_hash: str) -> None:
    user = await users.get_by_email(session, email=email, lock=True)
    await end_access(session, user, AccessEnd.RECOVERED)
    await replace(session, user, password_hash, reason=AccessEnd.PASSWORD_CHANGED, client=COMMAND_LINE)
