"""Confirm e-mail addresses before the first login (SECURITY_CONFIRMABLE). Registering does not reveal accounts.

An attacker may register the e-mail address of another user with a password of their own. So the link confirms that
password only in the browser in which it was chosen. In any other browser the reader of the e-mail chooses one.
"""

import hashlib
import hmac
from contextlib import suppress

from sqlalchemy.ext.asyncio import AsyncSession

from app import events
from app.models import User, clock, db
from app.models.races import LostRace
from app.models.user_token import Purpose
from app.services import accounts, activity, credentials, links, outbox, throttling
from app.services.activity import Origin
from app.services.evening import evened_out
from app.services.links import InvalidLink
from app.services.passwords import hash_password
from app.services.proof import counted
from app.services.refusals import Refusal
from app.services.throttling import Tries


class PasswordNeeded(Refusal):
    """The password was chosen in another browser, maybe by an attacker."""

    message = "Choose a password."


async def sign_up(email: str, password: str, *, origin: Origin, limits: Tries) -> str:
    """Create an unconfirmed account, or e-mail the owner of the existing one. Raises TooManyTries, Overloaded.

    Returns the text that the browser must present for `confirm` to keep the password.
    """
    async with evened_out():
        async with counted(limits):
            hashed = await hash_password(password)
        with suppress(accounts.EmailReserved):
            await db.write(open_or_tell, email, password_hash=hashed, origin=origin, limits=limits)
    events.record("sign_up_asked")
    return _fingerprint(hashed)


async def ask_again(email: str, *, limits: Tries) -> None:
    """Send another link if there is an unconfirmed account. Raises TooManyTries."""
    async with evened_out():
        await db.write(throttling.take, limits.all)
        await db.write(_mail_again, email, limits=limits)
    events.record("confirmation_asked")


async def open_or_tell(session: AsyncSession, email: str, *, password_hash: str, origin: Origin, limits: Tries) -> None:
    user = await accounts.find_by_email(session, email=email, lock=True)
    user = user or await _open(session, email, password_hash=password_hash, origin=origin)
    if not user.active or not await throttling.is_allowed(session, limits.quiet):
        return
    if user.confirmed_on is None:
        await links.mail(session, user, Purpose.CONFIRM, "confirm")
    else:
        await outbox.post(session, "address_taken", user)


async def confirm(
    session: AsyncSession, secret: str, *, chosen: str | None, new_hash: str | None, origin: Origin
) -> User:
    """Confirm the e-mail address that a link was sent to, and end every session of the account.

    Raises InvalidLink. Raises PasswordNeeded and changes nothing, if there is no new password and the account's was not
    chosen in this browser.
    """
    token = await links.redeem(session, secret, purpose=Purpose.CONFIRM)
    user, kept = token.user, new_hash or token.user.password
    if token.email_key != user.email_key:
        raise InvalidLink
    if new_hash is None and not was_chosen_here(user, chosen):
        raise PasswordNeeded
    await credentials.revoke(session, user)
    user.password = kept
    user.confirmed_on = clock.now()
    await activity.note(session, user.id, "confirmed", origin)
    return user


def was_chosen_here(user: User, chosen: str | None) -> bool:
    """Return whether the account's password was chosen in the browser that presents this."""
    return bool(user.password and chosen) and hmac.compare_digest(_fingerprint(str(user.password)), str(chosen))


async def _open(session: AsyncSession, email: str, *, password_hash: str, origin: Origin) -> User:
    try:
        return await accounts.register(session, email=email, password_hash=password_hash, origin=origin)
    except accounts.EmailTaken as error:
        raise LostRace from error  # another registration was first: run again, which sends its owner an e-mail


async def _mail_again(session: AsyncSession, email: str, *, limits: Tries) -> None:
    user = await accounts.find_by_email(session, email=email, lock=True)
    if user is None or user.confirmed_on is not None or not user.active:
        return
    if await throttling.is_allowed(session, limits.quiet):
        await links.mail(session, user, Purpose.CONFIRM, "confirm")


def _fingerprint(password_hash: str) -> str:
    """Return a digest of the hash, safe to give to a browser."""
    return hashlib.sha256(password_hash.encode()).hexdigest()
