"""Register, log in, reauthenticate, change the password, delete the account: each needs a password.

Each function verifies or hashes the password first, then runs the rest in one transaction (proof.py).
"""

from datetime import timedelta
from functools import partial

from sqlalchemy.ext.asyncio import AsyncSession

from app import events
from app.languages import known_language
from app.models import User, db
from app.services import accounts, activity, credentials, notices, outbox, proof, sessions
from app.services.accounts import EmailTaken
from app.services.activity import Origin
from app.services.passwords import hash_password
from app.services.proof import Find, InvalidCredentials, VerifiedPassword, lock_verified_user
from app.services.sessions import NewLogIn
from app.services.throttling import Tries

RESUBMISSION_PERIOD = timedelta(minutes=1)  # within which a second, equal registration is a second press of the button


async def sign_up(
    email: str, password: str, *, log_in: NewLogIn, limits: Tries, log_in_limits: Tries, welcome: bool
) -> str:
    """Create an account and return the token of its first session. A registration sent twice logs in.

    Raises EmailTaken, EmailReserved, TooManyTries.
    """
    async with proof.counted(limits):
        hashed = await hash_password(password)
    try:
        user, secret = await db.write(_register, email, password_hash=hashed, log_in=log_in, welcome=welcome)
    except EmailTaken:
        return await _log_in_again(email, password, log_in=log_in, limits=log_in_limits)
    events.record("signed_up", user=user.id)
    return secret


async def sign_in(email: str, password: str, *, log_in: NewLogIn, limits: Tries, confirmed_only: bool) -> str:
    """Return the token of a new session. Raises InvalidCredentials, TooManyTries."""
    find = partial(accounts.find_for_log_in, email=email, confirmed_only=confirmed_only)
    return await _log_in(password, find=find, log_in=log_in, limits=limits)


async def prove_again(user: User, password: str, *, session_id: int, limits: Tries, origin: Origin) -> None:
    """Reauthenticate the user for one session. Raises InvalidCredentials, TooManyTries."""
    verified = await proof.authenticate(password, find=partial(accounts.find, user_id=user.id), limits=limits)
    async with proof.refunded_on_failure(verified.hits):
        await db.write(_renew, verified, session_id=session_id, origin=origin)
    events.record("verified", user=user.id)


async def change_password(user: User, password: str, new_password: str, *, log_in: NewLogIn, limits: Tries) -> str:
    """Replace the password, end every session of the account and return the token of a new one.

    A copied cookie, also of this browser, is dead afterwards. Raises InvalidCredentials, TooManyTries.
    """
    verified = await proof.authenticate(password, find=partial(accounts.find, user_id=user.id), limits=limits)
    async with proof.refunded_on_failure(verified.hits):
        new_hash = await hash_password(new_password)
        secret = await db.write(_replace_password, verified, new_hash=new_hash, log_in=log_in)
    events.record("password_changed", user=user.id)
    return secret


async def delete_account(user: User, password: str, *, limits: Tries) -> None:
    """Delete an account with all its data. Raises InvalidCredentials, TooManyTries."""
    verified = await proof.authenticate(password, find=partial(accounts.find, user_id=user.id), limits=limits)
    async with proof.refunded_on_failure(verified.hits):
        await db.write(_delete, verified)
    events.record("account_deleted", user=user.id)


async def _log_in_again(email: str, password: str, *, log_in: NewLogIn, limits: Tries) -> str:
    """Log in the browser that has just registered: it shows only the response to the second press of the button.

    Counted as a login, so it allows no more guesses than a login. Raises EmailTaken, TooManyTries.
    """
    find = partial(_find_just_registered, email=email, origin=log_in.origin)
    if await db.read(find) is None:
        raise EmailTaken
    try:
        return await _log_in(password, find=find, log_in=log_in, limits=limits)
    except InvalidCredentials:
        raise EmailTaken from None


async def _log_in(password: str, *, find: Find, log_in: NewLogIn, limits: Tries) -> str:
    verified = await proof.authenticate(password, find=find, limits=limits)
    async with proof.refunded_on_failure(verified.hits):
        user, secret = await db.write(_start_session, verified, log_in=log_in)
    events.record("logged_in", user=user.id)
    return secret


async def _find_just_registered(session: AsyncSession, *, email: str, origin: Origin) -> User | None:
    user = await accounts.find_by_email(session, email=email)
    if user is None:
        return None
    is_new = await activity.was_just_now(session, user.id, "signed_up", origin, within=RESUBMISSION_PERIOD)
    return user if is_new else None


async def _register(
    session: AsyncSession, email: str, *, password_hash: str, log_in: NewLogIn, welcome: bool
) -> tuple[User, str]:
    user = await accounts.register(session, email=email, password_hash=password_hash, origin=log_in.origin)
    if welcome:
        await outbox.post(session, "welcome", user)
    return user, await sessions.start(session, user_id=user.id, log_in=log_in)


async def _start_session(session: AsyncSession, verified: VerifiedPassword, *, log_in: NewLogIn) -> tuple[User, str]:
    user = await lock_verified_user(session, verified)
    if not user.language:
        user.language = known_language()
    await activity.note(session, user.id, "logged_in", log_in.origin)
    if not log_in.known_browser:
        await notices.alarm(session, user, "new_log_in", log_in.origin)
    return user, await sessions.start(session, user_id=user.id, log_in=log_in)


async def _renew(session: AsyncSession, verified: VerifiedPassword, *, session_id: int, origin: Origin) -> None:
    user = await lock_verified_user(session, verified)
    await sessions.prove(session, session_id)
    await activity.note(session, user.id, "verified", origin)


async def _replace_password(
    session: AsyncSession, verified: VerifiedPassword, *, new_hash: str, log_in: NewLogIn
) -> str:
    user = await lock_verified_user(session, verified)
    await credentials.replace(session, user, new_hash, log_in.origin)
    return await sessions.start(session, user_id=user.id, log_in=log_in)


async def _delete(session: AsyncSession, verified: VerifiedPassword) -> None:
    await accounts.delete(session, await lock_verified_user(session, verified))
