"""Another address for an account: the new one is proven first, and the old one can take it back for a week."""

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app import events
from app.languages import lazy_gettext as _
from app.models import User, clock, db
from app.models.user import email_key, valid_email
from app.models.user_token import Purpose
from app.services import accounts, activity, links, notices, outbox, recoveries, throttling
from app.services.accounts import EmailTaken
from app.services.activity import Origin
from app.services.evening import evened_out
from app.services.links import InvalidLink
from app.services.refusals import Refusal
from app.services.throttling import Tries


class SameEmail(Refusal):
    """It is the account's address already."""

    message = _("This is your address already.")


async def ask(user: User, email: str, *, origin: Origin, limits: Tries) -> None:
    """Mail a link to the new address; to the owner of an account that has it, a mail that says so.

    Raises SameEmail, TooManyTries.
    """
    if email_key(email) == user.email_key:
        raise SameEmail
    async with evened_out():
        await db.write(throttling.take, limits.all)
        await db.write(_mail_link, user.id, valid_email(email), origin=origin, limits=limits)
    events.record("email_change_asked", user=user.id)


async def change(session: AsyncSession, secret: str, *, user_id: int, origin: Origin) -> User:
    """Give an account the address that a link was sent to. Raises InvalidLink, also to another user, and EmailTaken."""
    token = await links.redeem(session, secret, purpose=Purpose.CHANGE_EMAIL)
    user, former = token.user, token.user.email
    if user.id != user_id:
        raise InvalidLink
    await links.void(session, user.id)
    await links.void(session, user.id, Purpose.NOT_ME)  # sent to the former address, which gets a stronger one
    await _move(session, user, token.email)
    facts = notices.circumstances(origin) | {"new_email": user.email}
    if back := await links.find_way_back(session, user):  # an owner has gone back: a thief's address gets no way to it
        await links.void_alarms_since(session, back)
        await outbox.post(session, "email_changed", user, to=former, facts=facts)
    else:
        await links.mail(session, user, Purpose.UNDO_EMAIL, "email_changed", email=former, facts=facts)
    await activity.note(session, user.id, "email_changed", origin)
    return user


async def undo(session: AsyncSession, secret: str, *, origin: Origin) -> User:
    """Give an account its former address back, and let nobody in but who can read mail there. Raises InvalidLink.

    What was changed later is undone with it: a thief who changed the address twice has gained nothing.
    """
    token = await links.redeem(session, secret, purpose=Purpose.UNDO_EMAIL)
    user, former = token.user, token.user.email
    await links.void_alarms_since(session, token)
    await _move(session, user, token.email)
    facts = notices.circumstances(origin) | {"new_email": user.email}
    await outbox.post(session, "email_changed", user, to=former, facts=facts)
    await recoveries.start_over(session, user, "email_change_undone", origin)
    return user


async def _mail_link(session: AsyncSession, user_id: int, email: str, *, origin: Origin, limits: Tries) -> None:
    user = await accounts.lock(session, user_id)
    owner = await accounts.find_by_email(session, email=email, lock=True)
    if user is None or not await throttling.is_allowed(session, limits.quiet):
        return
    await activity.note(session, user.id, "email_change_asked", origin)
    await links.void(session, user.id, Purpose.CHANGE_EMAIL)  # also if no other is sent: else that would tell why
    if owner is not None and owner.active:
        await outbox.post(session, "address_taken", owner)
    elif owner is None:
        await links.mail(session, user, Purpose.CHANGE_EMAIL, "change_email", email=email)


async def _move(session: AsyncSession, user: User, email: str) -> None:
    """Change the address. Of two who want one the database lets one have it. Raises EmailTaken."""
    user.email, user.email_key, user.confirmed_on = email, email_key(email), clock.now()
    try:
        await session.flush()
    except IntegrityError as error:
        raise EmailTaken from error
    if await accounts.is_reserved(session, user.email_key, but_for=user.id):
        raise EmailTaken
