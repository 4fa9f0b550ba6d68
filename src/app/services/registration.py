"""Register an account."""

import hashlib
from contextlib import suppress
from datetime import timedelta
from functools import partial

from sqlalchemy.ext.asyncio import AsyncSession

from app.lib import clock, logs
from app.lib.db import db
from app.lib.db.retry import RetryTransaction
from app.lib.passwords.hasher import hash_password
from app.lib.passwords.policy import check_password
from app.lib.settings import current_settings
from app.lib.uniform_time import uniform_response_time
from app.models import User
from app.models.user_token import TokenPurpose
from app.services import attempts, audit_log, login, outbox, rate_limits, sessions, tokens, users
from app.services.authentication import InvalidCredentials, rate_limited
from app.services.client import COMMAND_LINE, Client, NewSession
from app.services.extension_points import PendingLogin
from app.services.users import EmailReserved, EmailTaken

RESUBMISSION_PERIOD = timedelta(minutes=1)  # an equal registration within it is a second press of the button


async def register(email: str, password: str, *, new: NewSession, device: str | None) -> str | PendingLogin:
    """Create an account and return the token of its first session. A registration that is sent twice logs in.

    Raises PasswordRefused, EmailTaken, EmailReserved, RateLimitExceeded.
    """
    check_password(password, email=email)
    async with rate_limited(attempts.for_registration(new.client)):
        password_hash = await hash_password(password)
    try:
        return await db.write(_create_with_session, email, password_hash=password_hash, new=new)
    except EmailTaken:
        return await _log_in_again(email, password, new=new, device=device)


async def register_unconfirmed(email: str, password: str, *, client: Client) -> str:
    """Create an account that must be confirmed, or send an e-mail to the user who has this e-mail address.

    The response does not reveal which. Raises PasswordRefused, RateLimitExceeded, Overloaded. Returns the fingerprint
    of the password, which the browser must present when it confirms the e-mail address to keep the password.
    """
    check_password(password, email=email)
    async with uniform_response_time():
        async with rate_limited(attempts.for_registration(client)):
            password_hash = await hash_password(password)
        with suppress(EmailReserved):
            await db.write(register_or_notify, email, password_hash=password_hash, client=client)
    logs.record("registration_requested")
    return fingerprint(password_hash)


async def register_or_notify(session: AsyncSession, email: str, *, password_hash: str, client: Client) -> None:
    user = await users.find_by_email(session, email=email, lock=True)
    if user is None:
        try:
            user = await users.create(session, email=email, password_hash=password_hash, client=client)
        except EmailTaken as error:
            raise RetryTransaction from error  # a simultaneous registration was first: this one notifies its user
    silent_limit = attempts.for_email(user.email_key, TokenPurpose.CONFIRM)
    if not user.active or not await rate_limits.is_allowed(session, silent_limit):
        return
    if user.confirmed_on is None:
        await tokens.send(session, user, TokenPurpose.CONFIRM, "confirm", client=client)
    else:
        await outbox.enqueue(session, "email_taken", user, client=client)


def fingerprint(password_hash: str) -> str:
    """Return a digest of the hash that is safe to give to a browser."""
    return hashlib.sha256(password_hash.encode()).hexdigest()


async def _create_with_session(session: AsyncSession, email: str, *, password_hash: str, new: NewSession) -> str:
    user = await users.create(session, email=email, password_hash=password_hash, client=new.client)
    silent_limit = attempts.for_email(user.email_key, "welcome")  # of all accounts with this address
    if current_settings()["SECURITY_SEND_REGISTER_EMAIL"] and await rate_limits.is_allowed(session, silent_limit):
        await outbox.enqueue(session, "welcome", user, client=new.client)
    return await sessions.start(session, user_id=user.id, new=new)


async def _log_in_again(email: str, password: str, *, new: NewSession, device: str | None) -> str | PendingLogin:
    """Log in the browser that has just registered, because it shows only the response to the second press.

    It counts as a login, so it allows no more guesses than a login. Raises EmailTaken, RateLimitExceeded.
    """
    find = partial(_find_just_registered, email=email, client=new.client)
    if await db.read(find) is None:
        raise EmailTaken
    try:
        limits = attempts.for_login(email, new.client, device=device)
        return await login.log_in_as(find, password, new=new, limits=limits, is_trusted_device=True)
    except InvalidCredentials:
        raise EmailTaken from None


async def _find_just_registered(session: AsyncSession, *, email: str, client: Client) -> User | None:
    user = await users.find_by_email(session, email=email)
    if user is None:
        return None
    is_new = await audit_log.occurred_within(session, user.id, "registered", client, period=RESUBMISSION_PERIOD)
    return user if is_new else None


async def create_confirmed(email: str, password: str, *, name: str | None) -> User:
    """Create a confirmed account from the command line. Raises PasswordRefused, EmailTaken, EmailReserved."""
    check_password(password, email=email)
    password_hash = await hash_password(password)
    return await db.write(
        users.create, email=email, password_hash=password_hash, client=COMMAND_LINE, name=name, confirmed_on=clock.now()
    )
