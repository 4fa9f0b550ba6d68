"""Reset a forgotten password with an e-mailed link (SECURITY_RECOVERABLE), or end the access of an attacker."""

from sqlalchemy.ext.asyncio import AsyncSession

from app.lib import clock, logs
from app.lib.db import db
from app.lib.passwords.hasher import hash_password
from app.lib.passwords.policy import check_password
from app.lib.uniform_time import uniform_response_time
from app.models import User, UserToken
from app.models.user_token import TokenPurpose
from app.services import attempts, audit_log, authentication, credentials, outbox, rate_limits, tokens, users
from app.services.client import Client
from app.services.extension_points import AccessEnd
from app.services.tokens import InvalidToken


async def request_reset(email: str, *, client: Client) -> None:
    """Send a reset link if there is an account. The response does not reveal it."""
    async with uniform_response_time():
        await db.write(_send_if_registered, email, client=client)
    logs.record("password_reset_requested")


async def reset(token: str, new_password: str, *, client: Client) -> User:
    """Set a new password, and end every session. Raises InvalidToken, PasswordRefused, RateLimitExceeded."""
    user = (await db.read(tokens.find, token, purpose=TokenPurpose.RESET)).user
    check_password(new_password, email=user.email)
    async with authentication.rate_limited(attempts.for_new_password(user.id, client)):
        password_hash = await hash_password(new_password)
    return await db.write(_reset, token, password_hash=password_hash, client=client)


async def report_compromise(session: AsyncSession, token: str, *, client: Client) -> None:
    """Handle "This was not me": end all access, and send a reset link. Raises InvalidToken.

    The links of older alerts stay valid, because an attacker may have added something before the reported one.
    """
    row = await tokens.consume(session, token, purpose=TokenPurpose.NOT_ME)
    if row.email_key != row.user.email_key:
        raise InvalidToken
    await tokens.revoke_alerts_since(session, row, TokenPurpose.NOT_ME)
    await outbox.cancel(session, row.user_id, [TokenPurpose.NOT_ME], since=row.created_on)
    await lock_and_send_reset(session, row, event="compromise_reported", client=client)


async def lock_and_send_reset(session: AsyncSession, row: UserToken, *, event: str, client: Client) -> None:
    """End all access to an account, and send its user a reset link. `row` is the token of the security alert."""
    user = row.user
    await credentials.revoke(session, user, AccessEnd.COMPROMISE_REPORTED, since=row.since or row.created_on)
    await audit_log.record(session, user.id, event, client)
    await tokens.send(session, user, TokenPurpose.RESET, "reset", client=client)


async def _reset(session: AsyncSession, token: str, *, password_hash: str, client: Client) -> User:
    row = await tokens.consume(session, token, purpose=TokenPurpose.RESET)
    user = row.user
    if row.email_key != user.email_key:
        raise InvalidToken
    await credentials.replace(session, user, password_hash, reason=AccessEnd.RECOVERED, client=client)
    user.confirmed_on = user.confirmed_on or clock.now()
    return user


async def _send_if_registered(session: AsyncSession, email: str, *, client: Client) -> None:
    user = await users.find_by_email(session, email=email, lock=True)
    if user is None or not user.active:
        return
    if await rate_limits.is_allowed(session, attempts.for_email(user.email_key, TokenPurpose.RESET)):
        await audit_log.record(session, user.id, "password_reset_requested", client)
        await tokens.send(session, user, TokenPurpose.RESET, "reset", client=client)
