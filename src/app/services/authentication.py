"""Signing up, logging in, and what a logged-in person proves again: the flows around the password."""

from datetime import timedelta
from functools import partial

from sqlalchemy.ext.asyncio import AsyncSession

from app import events
from app.languages import known_language
from app.models import User, db
from app.services import accounts, activity, credentials, notices, outbox, sessions
from app.services.accounts import EmailTaken
from app.services.activity import Origin
from app.services.passwords import hash_password
from app.services.proof import InvalidCredentials, Proof, counted, with_password
from app.services.sessions import NewLogIn
from app.services.throttling import Tries

PRESSED_TWICE = timedelta(minutes=1)  # within which a form that comes again is the same one


async def sign_up(
    email: str, password: str, *, log_in: NewLogIn, limits: Tries, log_in_limits: Tries, welcome: bool
) -> str:
    """Open an account and log its browser in; also the browser that has just opened it. Returns the log-in's secret.

    Raises EmailTaken, EmailReserved, TooManyTries.
    """
    async with counted(limits):
        hashed = await hash_password(password)

    async def open_account(session: AsyncSession) -> tuple[User, str]:
        user = await accounts.register(session, email=email, password_hash=hashed, origin=log_in.origin)
        if welcome:
            await outbox.post(session, "welcome", user)
        return user, await sessions.start(session, user_id=user.id, log_in=log_in)

    try:
        user, secret = await db.write(open_account)
    except EmailTaken:
        return await _log_in_again(email, password, log_in=log_in, limits=log_in_limits)
    events.record("signed_up", user=user.id)
    return secret


async def sign_in(
    email: str, password: str, *, salt: str, log_in: NewLogIn, limits: Tries, confirmed_only: bool
) -> str:
    """Check a password and log the browser in. Returns the secret of the log-in.

    Raises InvalidCredentials, and TooManyTries before anything is looked at.
    """

    async def start(session: AsyncSession, proof: Proof) -> tuple[User, str]:
        user = proof.user
        if not user.language:
            user.language = known_language()
        await activity.note(session, user.id, "logged_in", log_in.origin)
        if not log_in.known_browser:
            await notices.alarm(session, user, "new_log_in", log_in.origin)
        return user, await sessions.start(session, user_id=user.id, log_in=log_in)

    find = partial(db.read, accounts.find_for_log_in, email=email, confirmed_only=confirmed_only)
    user, secret = await with_password(find, password, start, salt=salt, limits=limits)
    events.record("logged_in", user=user.id)
    return secret


async def prove_again(user: User, password: str, *, session_id: int, salt: str, limits: Tries, origin: Origin) -> None:
    """Check the password of whoever is logged in, for this log-in alone. Raises InvalidCredentials, TooManyTries."""

    async def renew(session: AsyncSession, proof: Proof) -> None:
        await sessions.prove(session, session_id)
        await activity.note(session, proof.user.id, "verified", origin)

    await with_password(partial(db.read, accounts.find, user.id), password, renew, salt=salt, limits=limits)
    events.record("verified", user=user.id)


async def change_password(
    user: User, password: str, new_password: str, *, salt: str, log_in: NewLogIn, limits: Tries
) -> str:
    """Replace a password and end every log-in of the account. Returns the secret of this browser's new one.

    Raises InvalidCredentials when the old password is wrong, and TooManyTries. A copied cookie, also of this browser,
    is dead afterwards.
    """

    async def change(session: AsyncSession, proof: Proof) -> str:
        await credentials.replace(session, proof.user, proof.new_hash, log_in.origin)
        return await sessions.start(session, user_id=proof.user.id, log_in=log_in)

    find = partial(db.read, accounts.find, user.id)
    secret = await with_password(find, password, change, salt=salt, limits=limits, new_password=new_password)
    events.record("password_changed", user=user.id)
    return secret


async def delete_account(user: User, password: str, *, salt: str, limits: Tries) -> None:
    """Delete an account with all that is theirs. Raises InvalidCredentials, TooManyTries."""

    async def delete(session: AsyncSession, proof: Proof) -> None:
        await accounts.delete(session, proof.user)

    await with_password(partial(db.read, accounts.find, user.id), password, delete, salt=salt, limits=limits)
    events.record("account_deleted", user=user.id)


async def _log_in_again(email: str, password: str, *, log_in: NewLogIn, limits: Tries) -> str:
    """Log in who pressed the button twice: the browser shows only the second answer. Raises EmailTaken.

    Counted as a log-in is, so it guesses no passwords that a log-in would not.
    """

    async def find(session: AsyncSession) -> User | None:
        user = await accounts.find_by_email(session, email=email)
        just_opened = user is not None and await activity.was_just_now(
            session, user.id, "signed_up", log_in.origin, within=PRESSED_TWICE
        )
        return user if just_opened else None

    async def start(session: AsyncSession, proof: Proof) -> tuple[User, str]:
        await activity.note(session, proof.user.id, "logged_in", log_in.origin)
        return proof.user, await sessions.start(session, user_id=proof.user.id, log_in=log_in)

    if await db.read(find) is None:
        raise EmailTaken
    try:  # the hash is of our own kind: it needs no salt
        user, secret = await with_password(partial(db.read, find), password, start, salt="", limits=limits)
    except InvalidCredentials:
        raise EmailTaken from None
    events.record("logged_in", user=user.id)
    return secret
