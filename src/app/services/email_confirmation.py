"""Confirm e-mail addresses before the first login (SECURITY_CONFIRMABLE).

An attacker may register the e-mail address of another user with a password of the attacker's choice. So the link
confirms the password only in the browser that registered. In any other browser the user chooses a new one.
"""

import hmac

from sqlalchemy.ext.asyncio import AsyncSession

from app.lib import clock, logs
from app.lib.db import db
from app.lib.errors import ServiceError
from app.lib.passwords.hasher import hash_password
from app.lib.passwords.policy import check_password
from app.lib.uniform_time import uniform_response_time
from app.models import User
from app.models.user_token import TokenPurpose
from app.services import attempts, audit_log, authentication, credentials, rate_limits, tokens, users
from app.services.client import Client
from app.services.extension_points import AccessEnd
from app.services.registration import fingerprint
from app.services.tokens import InvalidToken


class PasswordNeeded(ServiceError):
    """The password was set in another browser, maybe by an attacker."""

    message = "Choose a password."


async def resend(email: str, *, client: Client) -> None:
    """Send another link if there is an unconfirmed account. The response does not reveal it."""
    async with uniform_response_time():
        await db.write(_resend_if_unconfirmed, email, client=client)
    logs.record("confirmation_requested")


async def confirm(token: str, *, fingerprint: str | None, new_password: str | None, client: Client) -> User:
    """Confirm the e-mail address that a token was sent to, and end every session of the account.

    Raises InvalidToken, PasswordRefused, RateLimitExceeded. Raises PasswordNeeded, and changes nothing, if there is no
    new password and the fingerprint does not show that this browser has set the password.
    """
    new_hash = None
    if new_password is not None:
        user = (await db.read(tokens.find, token, purpose=TokenPurpose.CONFIRM)).user
        check_password(new_password, email=user.email)
        async with authentication.rate_limited(attempts.for_new_password(user.id, client)):
            new_hash = await hash_password(new_password)
    return await db.write(_confirm, token, fingerprint=fingerprint, new_hash=new_hash, client=client)


async def confirm_own(session: AsyncSession, token: str, *, client: Client) -> User:
    """Confirm the e-mail address of a user who is logged in. Raises InvalidToken."""
    row = await tokens.consume(session, token, purpose=TokenPurpose.CONFIRM)
    user = row.user
    if row.email_key != user.email_key:
        raise InvalidToken
    user.confirmed_on = clock.now()
    await audit_log.record(session, user.id, "email_confirmed", client)
    return user


def password_set_in_this_browser(user: User, presented: str | None) -> bool:
    """Return whether the browser that presents this fingerprint has set the password of the account."""
    return bool(user.password and presented) and hmac.compare_digest(fingerprint(str(user.password)), str(presented))


async def _confirm(
    session: AsyncSession, token: str, *, fingerprint: str | None, new_hash: str | None, client: Client
) -> User:
    row = await tokens.consume(session, token, purpose=TokenPurpose.CONFIRM)
    user, password_hash = row.user, new_hash or row.user.password
    if row.email_key != user.email_key:
        raise InvalidToken
    if new_hash is None and not password_set_in_this_browser(user, fingerprint):
        raise PasswordNeeded
    await credentials.revoke(session, user, AccessEnd.RECOVERED)
    user.password = password_hash
    user.confirmed_on = clock.now()
    await audit_log.record(session, user.id, "email_confirmed", client)
    return user


async def _resend_if_unconfirmed(session: AsyncSession, email: str, *, client: Client) -> None:
    user = await users.find_by_email(session, email=email, lock=True)
    if user is None or user.confirmed_on is not None or not user.active:
        return
    if await rate_limits.is_allowed(session, attempts.for_email(user.email_key, TokenPurpose.CONFIRM)):
        await tokens.send(session, user, TokenPurpose.CONFIRM, "confirm", client=client)
