"""Log in, and reauthenticate."""

from collections.abc import Mapping
from functools import partial

from sqlalchemy.ext.asyncio import AsyncSession

from app.lib.db import db
from app.lib.settings import current_settings
from app.models import User
from app.services import attempts, audit_log, authentication, security_alerts, sessions, users
from app.services.attempts import RateLimits
from app.services.authentication import Find, VerifiedPassword, lock_verified_user
from app.services.client import Client, NewSession
from app.services.extension_points import PendingLogin, Proof, extension_points

NO_PROOFS: Mapping[str, str] = {}


async def log_in(email: str, password: str, *, new: NewSession, device: str | None) -> str | PendingLogin:
    """Return the token of a new session, or what else the login needs. Raises InvalidCredentials, RateLimitExceeded.

    `device` is the name of the trusted device. Without one, the user gets a security alert about the login.
    """
    confirmed_only = current_settings()["SECURITY_CONFIRMABLE"]
    find = partial(users.find_for_login, email=email, confirmed_only=confirmed_only)
    limits = attempts.for_login(email, new.client, device=device)
    return await log_in_as(find, password, new=new, limits=limits, is_trusted_device=device is not None)


async def log_in_as(
    find: Find, password: str, *, new: NewSession, limits: RateLimits, is_trusted_device: bool
) -> str | PendingLogin:
    """Log in the user that `find` returns. Raises InvalidCredentials, RateLimitExceeded."""
    verified = await authentication.authenticate(password, find=find, limits=limits)
    async with authentication.refunded_on_failure(verified.hits):
        return await db.write(start_verified_session, verified, new=new, is_trusted_device=is_trusted_device)


async def required_proofs(session: AsyncSession, *, user_id: int) -> list[Proof]:
    """Return the proofs that a user needs besides the password to reauthenticate."""
    return [proof for proof in extension_points().proofs if await proof.is_required(session, user_id)]


async def reauthenticate(
    user: User, password: str, *, session_id: int, client: Client, proofs: Mapping[str, str] = NO_PROOFS
) -> str:
    """Verify the password again, and the further proofs by their names. Return the new token of the session.

    The session is fresh afterwards. Raises InvalidCredentials, WrongProof, RateLimitExceeded.
    """
    find, limits = partial(users.find, user_id=user.id), attempts.for_reauthentication(user.id, client)
    verified = await authentication.authenticate(password, find=find, limits=limits)
    async with authentication.refunded_on_failure(verified.hits):
        for proof in await db.read(required_proofs, user_id=user.id):
            await proof.verify(user, proofs.get(proof.name, ""), client)
        return await db.write(_mark_verified_user, verified, session_id=session_id, client=client)


async def start_verified_session(
    session: AsyncSession, verified: VerifiedPassword, *, new: NewSession, is_trusted_device: bool
) -> str | PendingLogin:
    user = await lock_verified_user(session, verified)
    for step in extension_points().login_steps:
        if pending := await step(session, user, new):
            return pending
    return await start_session(session, user, new=new, is_trusted_device=is_trusted_device)


async def start_session(session: AsyncSession, user: User, *, new: NewSession, is_trusted_device: bool) -> str:
    """Start the session of a user who has given every proof, and return its token. The user's row is locked."""
    if not user.language:
        user.language = new.client.language
    await audit_log.record(session, user.id, "logged_in", new.client)
    if not is_trusted_device:
        await security_alerts.send_alert(session, user, "new_login", new.client)
    return await sessions.start(session, user_id=user.id, new=new)


async def _mark_verified_user(
    session: AsyncSession, verified: VerifiedPassword, *, session_id: int, client: Client
) -> str:
    user = await lock_verified_user(session, verified)
    return await mark_reauthenticated(session, user, session_id=session_id, client=client)


async def mark_reauthenticated(session: AsyncSession, user: User, *, session_id: int, client: Client) -> str:
    """Make a session fresh and return its new token. The user's row is locked."""
    await audit_log.record(session, user.id, "reauthenticated", client)
    return await sessions.mark_reauthenticated(session, session_id, user_id=user.id)
