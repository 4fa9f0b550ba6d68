"""Proving who one is: the flows of several units of work, with the hashing between them and outside of all."""

from sqlalchemy.ext.asyncio import AsyncSession

from app.models import User, db
from app.services import accounts, sessions
from app.services.passwords import hash_password, verify_password
from app.services.refusals import Refusal
from app.services.sessions import NewLogIn


class InvalidCredentials(Refusal):
    """The address, the password or both are wrong, or the account is closed: which of these, nobody learns."""

    message = "The address or the password is wrong."


class Superseded(InvalidCredentials):
    """The stored hash changed between the proof and its use."""


async def sign_up(email: str, password: str, *, log_in: NewLogIn) -> str:
    """Open an account and log its browser in. Returns the secret of the log-in; raises EmailTaken."""
    hashed = await hash_password(password)

    async def register_and_start(session: AsyncSession) -> str:
        user = await accounts.register(session, email=email, password_hash=hashed)
        return await sessions.start(session, user_id=user.id, log_in=log_in)

    return await db.write(register_and_start)


async def sign_in(email: str, password: str, *, salt: str, log_in: NewLogIn) -> str:
    """Check a password and log the browser in. Returns the secret of the log-in; raises InvalidCredentials."""
    try:
        return await _sign_in_once(email, password, salt=salt, log_in=log_in)
    except Superseded:  # another log-in has just replaced an old hash of the same password: look again
        return await _sign_in_once(email, password, salt=salt, log_in=log_in)


async def _sign_in_once(email: str, password: str, *, salt: str, log_in: NewLogIn) -> str:
    user = await db.read(accounts.find_by_email, email=email)
    proven, hashed = await _prove(user, password, salt=salt)

    async def keep_and_start(session: AsyncSession) -> str:
        await _keep(session, proven, hashed)
        return await sessions.start(session, user_id=proven.id, log_in=log_in)

    return await db.write(keep_and_start)


async def change_password(user: User, password: str, new_password: str, *, salt: str, log_in: NewLogIn) -> str:
    """Replace a password and end every log-in of the account. Returns the secret of this browser's new one.

    Raises InvalidCredentials when the old password is wrong. A copied cookie, also of this browser, is dead afterwards.
    """
    proven, _ = await _prove(user, password, salt=salt)
    hashed = await hash_password(new_password)

    async def change_and_start(session: AsyncSession) -> str:
        await _keep(session, proven, hashed)
        await sessions.end_all(session, user_id=proven.id)
        return await sessions.start(session, user_id=proven.id, log_in=log_in)

    return await db.write(change_and_start)


async def _prove(user: User | None, password: str, *, salt: str) -> tuple[User, str]:
    """Return the user and the hash to keep. A stranger and a closed account wait as long as an owner."""
    stored = user.password if user is not None and user.active else None
    hashed = await verify_password(password, stored, salt=salt)
    if user is None or hashed is None:
        raise InvalidCredentials
    return user, hashed


async def _keep(session: AsyncSession, proven: User, hashed: str) -> None:
    """Store the hash, if the account is still open and still has the password that was proven."""
    user = await accounts.lock(session, proven.id)
    if user is None or not user.active or user.password != proven.password:
        raise Superseded
    user.password = hashed
