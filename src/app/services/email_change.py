"""Change the e-mail address of an account: the new one is confirmed first, the former one can revert it for a week."""

from datetime import UTC, datetime

from sqlalchemy.ext.asyncio import AsyncSession

from app.lib import clock
from app.lib.db import db
from app.lib.db.unique import flush_unique
from app.lib.email_address import email_key, valid_email
from app.lib.errors import ServiceError
from app.lib.i18n.catalogs import lazy_gettext as _
from app.lib.uniform_time import uniform_response_time
from app.models import User
from app.models.user_token import TokenPurpose
from app.services import attempts, audit_log, outbox, password_reset, rate_limits, security_alerts, tokens, users
from app.services.client import Client
from app.services.tokens import InvalidToken
from app.services.users import EmailTaken

BEFORE_EVERYTHING = datetime(1970, 1, 1, tzinfo=UTC)


class SameEmail(ServiceError):
    """The account has this e-mail address already."""

    message = _("This is already your e-mail address.")


async def request(user: User, email: str, *, client: Client) -> None:
    """Send a link to the new e-mail address, or an e-mail to its owner if there is one. Raises SameEmail."""
    if email_key(email) == user.email_key:
        raise SameEmail
    async with uniform_response_time():
        await db.write(_send_link, user.id, valid_email(email), client=client)


async def confirm(session: AsyncSession, token: str, *, user_id: int, client: Client) -> User:
    """Set the e-mail address that the token was sent to. Raises InvalidToken, also for another user's token."""
    row = await tokens.consume(session, token, purpose=TokenPurpose.CHANGE_EMAIL)
    user, former = row.user, row.user.email
    if user.id != user_id:
        raise InvalidToken
    since = await _unreported_since(session, user)
    await tokens.revoke(session, user.id)
    await tokens.revoke(session, user.id, TokenPurpose.NOT_ME)  # the former e-mail address receives UNDO_EMAIL
    await _set_email(session, user, row.email)
    facts = security_alerts.describe_event(client) | {"new_email": user.email}
    # If the user has returned to a former e-mail address, that of an attacker gets no token to undo it.
    if undo := await tokens.find_undo_token(session, user):
        await tokens.revoke_alerts_since(session, undo)
        await outbox.enqueue(session, "email_changed", user, to=former, facts=facts, client=client)
    else:
        purpose = TokenPurpose.UNDO_EMAIL
        await tokens.send(
            session, user, purpose, "email_changed", email=former, facts=facts, since=since, client=client
        )
    await audit_log.record(session, user.id, "email_changed", client)
    return user


async def revert(session: AsyncSession, token: str, *, client: Client) -> None:
    """Restore the former e-mail address, and end all other access. Raises InvalidToken.

    Later changes are reverted with it, so a second change by an attacker is undone too.
    """
    row = await tokens.consume(session, token, purpose=TokenPurpose.UNDO_EMAIL)
    user, former = row.user, row.user.email
    await tokens.revoke_alerts_since(session, row)
    await _set_email(session, user, row.email)
    facts = security_alerts.describe_event(client) | {"new_email": user.email}
    await outbox.enqueue(session, "email_changed", user, to=former, facts=facts, client=client)
    await password_reset.lock_and_send_reset(session, row, event="email_change_reverted", client=client)


async def _send_link(session: AsyncSession, user_id: int, email: str, *, client: Client) -> None:
    user = await users.lock(session, user_id)
    owner = await users.find_by_email(session, email=email, lock=True)
    purpose = TokenPurpose.CHANGE_EMAIL
    silent_limit = attempts.for_email(email_key(email), f"{purpose} by {user_id}")
    if user is None or not await rate_limits.is_allowed(session, silent_limit):
        return
    await audit_log.record(session, user.id, "email_change_requested", client)
    await tokens.revoke(session, user.id, purpose)  # in every case: otherwise the former link reveals the account
    taken = attempts.for_email(email_key(email), "taken")
    if owner is not None and owner.active and await rate_limits.is_allowed(session, taken):
        await outbox.enqueue(session, "email_taken", owner, client=client)
    elif owner is None and await rate_limits.is_allowed(session, attempts.for_email(email_key(email), purpose)):
        await tokens.send(session, user, purpose, "change_email", email=email, client=client)


async def _unreported_since(session: AsyncSession, user: User) -> datetime | None:
    """Return since when an attacker may have added to the account what only the token that undoes a change can remove.

    The change revokes the links of the alerts about it. If the e-mail address was never confirmed, the attacker may
    have registered the account.
    """
    return BEFORE_EVERYTHING if user.confirmed_on is None else await tokens.oldest_alert(session, user.id)


async def _set_email(session: AsyncSession, user: User, email: str) -> None:
    """Set the e-mail address. Raises InvalidToken if another account was faster."""
    user.email, user.email_key, user.confirmed_on = email, email_key(email), clock.now()
    await flush_unique(session, User.email_key, taken=InvalidToken())
    if await users.is_reserved(session, user.email_key, except_for=user.id):
        raise InvalidToken from EmailTaken()
