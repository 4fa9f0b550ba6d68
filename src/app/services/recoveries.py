"""Recover an account with a mailed link: after a forgotten password (SECURITY_RECOVERABLE) or an intrusion."""

from sqlalchemy.ext.asyncio import AsyncSession

from app import events
from app.models import User, clock, db
from app.models.user_token import Purpose
from app.services import accounts, activity, credentials, links, throttling
from app.services.activity import Origin
from app.services.evening import evened_out
from app.services.links import InvalidLink
from app.services.throttling import Tries


async def ask(email: str, *, origin: Origin, limits: Tries) -> None:
    """Send a reset link if there is an account. The response is the same if there is none. Raises TooManyTries."""
    async with evened_out():
        await db.write(throttling.take, limits.all)
        await db.write(_mail_if_known, email, origin=origin, limits=limits)
    events.record("reset_asked")


async def reset(session: AsyncSession, secret: str, *, password_hash: str, origin: Origin) -> User:
    """Set the password that the reader of the link has chosen. Raises InvalidLink."""
    token = await links.redeem(session, secret, purpose=Purpose.RESET)
    user = token.user
    if token.email_key != user.email_key:
        raise InvalidLink
    await credentials.replace(session, user, password_hash, origin)
    user.confirmed_on = user.confirmed_on or clock.now()
    return user


async def disown(session: AsyncSession, secret: str, *, origin: Origin) -> User:
    """Handle "this was not me": end all access and send a reset link. Raises InvalidLink."""
    token = await links.redeem(session, secret, purpose=Purpose.NOT_ME)
    if token.email_key != token.user.email_key:
        raise InvalidLink
    await links.void(session, token.user_id, Purpose.NOT_ME)
    await start_over(session, token.user, "disowned", origin)
    return token.user


async def start_over(session: AsyncSession, user: User, event: str, origin: Origin) -> None:
    """End all access to an account and send its owner a reset link."""
    await credentials.revoke(session, user)
    await activity.note(session, user.id, event, origin)
    await links.mail(session, user, Purpose.RESET, "reset")


async def _mail_if_known(session: AsyncSession, email: str, *, origin: Origin, limits: Tries) -> None:
    user = await accounts.find_by_email(session, email=email, lock=True)
    if user is not None and user.active and await throttling.is_allowed(session, limits.quiet):
        await activity.note(session, user.id, "reset_asked", origin)
        await links.mail(session, user, Purpose.RESET, "reset")
