"""Enrol and remove the second factor of a user, and replace the recovery codes."""

from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from app.features.second_factor import codes, factors, login_attempts, recovery_codes
from app.features.second_factor.models import SecondFactor
from app.lib import clock
from app.lib.db import db
from app.lib.db.unique import flush_unique
from app.lib.errors import ServiceError
from app.lib.i18n.catalogs import lazy_gettext as _
from app.models import User, UserSession
from app.services import authentication, sessions, users
from app.services.attempts import RateLimits
from app.services.client import COMMAND_LINE, Client
from app.services.extension_points import AccessEnd
from app.services.rate_limits import limit
from app.services.users import UnknownUser

ALERT_DELAY = timedelta(minutes=1)  # an alert is stored after the factor that it reports, and MySQL rounds to seconds


class NotConfirmed(ServiceError):
    """The e-mail address is not confirmed. An attacker may have registered it, and could lock its user out."""

    message = _("Confirm your e-mail address first.")


class AlreadyEnrolled(ServiceError):
    """The user has a second factor."""

    message = _("Two-factor authentication is already on.")


class NotEnrolled(ServiceError):
    """The user has no second factor."""

    message = "This account has no second factor."


async def enrol(current: UserSession, secret: bytes, typed: str, *, client: Client) -> list[str]:
    """Enrol an authenticator app with its secret and a correct code, and return the recovery codes.

    The other sessions end. They were started without a code, and one with a fresh login could remove the factor.
    Raises NotConfirmed, AlreadyEnrolled, WrongCode, ClockWrong, RateLimitExceeded, Overloaded.
    """
    user = current.user
    if user.confirmed_on is None:
        raise NotConfirmed
    step = codes.step_of(typed, secret)
    hashes, shown = await _new_codes(user, client=client)
    await db.write(_enrol, current, secret, step, hashes, client=client)
    return shown


async def replace_recovery_codes(current: UserSession, *, client: Client) -> list[str]:
    """Return new recovery codes; the former ones stop working. Raises NotEnrolled, RateLimitExceeded, Overloaded."""
    hashes, shown = await _new_codes(current.user, client=client)
    await db.write(_replace_codes, current, hashes, client=client)
    return shown


async def remove(session: AsyncSession, *, current: UserSession, client: Client) -> None:
    """Remove the second factor of a user. Raises NotEnrolled."""
    user = await _lock(session, current)
    await _delete(session, user, event="second_factor_removed", client=client)


async def reset(session: AsyncSession, *, email: str) -> None:
    """Remove the second factor of a user who has lost it, from the command line. Raises UnknownUser, NotEnrolled."""
    user = await users.get_by_email(session, email=email, lock=True)
    await _delete(session, user, event="second_factor_reset", client=COMMAND_LINE)


async def end_access(session: AsyncSession, user: User, reason: AccessEnd, *, since: datetime | None) -> None:
    """End the pending logins of a user, and remove a second factor that an attacker may have enrolled.

    A reset, or a password from an operator, keeps the second factor, unless the account was never confirmed. "This was
    not me" removes a factor that was added since the alert.
    """
    await login_attempts.end_all(session, user_id=user.id)
    if reason is AccessEnd.RECOVERED and user.confirmed_on is None:
        await factors.delete_since(session, user.id, None)
    elif reason is AccessEnd.COMPROMISE_REPORTED and since is not None:
        await factors.delete_since(session, user.id, since - ALERT_DELAY)


async def _new_codes(user: User, *, client: Client) -> tuple[list[tuple[int, str]], list[str]]:
    """Return the hashes of new recovery codes with their numbers, and the codes themselves."""
    per_account = limit("NEW_RECOVERY_CODES_PER_ACCOUNT", f"user {user.id}")
    per_ip = limit("NEW_RECOVERY_CODES_PER_IP", client.network)
    async with authentication.rate_limited(RateLimits((per_account, per_ip))):
        fresh = recovery_codes.new_codes()
        hashes = await recovery_codes.hash_codes(fresh)
    return hashes, [recovery_codes.format_code(*code) for code in fresh]


async def _lock(session: AsyncSession, current: UserSession) -> User:
    """Return the user, locked. Raises UnknownUser if the session has ended since the request began.

    Hashing ten codes takes a second. A password change in that time ends the session of an attacker.
    """
    user = await users.lock(session, current.user_id)
    if user is None or await session.get(UserSession, current.id) is None:
        raise UnknownUser
    return user


async def _enrol(
    session: AsyncSession,
    current: UserSession,
    secret: bytes,
    step: int,
    hashes: list[tuple[int, str]],
    *,
    client: Client,
) -> None:
    user = await _lock(session, current)
    if user.confirmed_on is None:
        raise NotConfirmed
    encrypted = factors.encrypt(secret, user_id=user.id)
    session.add(SecondFactor(user_id=user.id, secret=encrypted, last_step=step, created_on=clock.now()))
    await flush_unique(session, SecondFactor.user_id, taken=AlreadyEnrolled())
    await recovery_codes.replace_all(session, user.id, hashes)
    await sessions.end_others(session, current.id, user_id=user.id, client=client)
    await codes.report(session, user, "second_factor_added", client)


async def _replace_codes(
    session: AsyncSession, current: UserSession, hashes: list[tuple[int, str]], *, client: Client
) -> None:
    user = await _lock(session, current)
    if await factors.find(session, user_id=user.id) is None:
        raise NotEnrolled
    await recovery_codes.replace_all(session, user.id, hashes)
    await codes.report(session, user, "recovery_codes_replaced", client)


async def _delete(session: AsyncSession, user: User, *, event: str, client: Client) -> None:
    if await factors.find(session, user_id=user.id) is None:
        raise NotEnrolled
    await factors.delete_since(session, user.id, None)
    await login_attempts.end_all(session, user_id=user.id)
    await codes.report(session, user, event, client)
