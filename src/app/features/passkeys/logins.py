"""Log in and reauthenticate with a passkey, which needs two factors: the device, and its screen lock or PIN."""

from fido2.webauthn import AuthenticationResponse
from sqlalchemy.ext.asyncio import AsyncSession

from app.features.passkeys import ceremonies, challenges, passkeys
from app.features.passkeys.ceremonies import Assertion
from app.features.passkeys.challenges import Purpose
from app.features.passkeys.errors import PasskeyRefused, UnknownPasskey
from app.features.passkeys.models import Passkey
from app.features.passkeys.passkeys import KnownPasskey
from app.lib import clock
from app.lib.db import db
from app.lib.settings import current_settings
from app.models import User, UserSession
from app.services import audit_log, login, security_alerts, users
from app.services.client import Client, NewSession

COPIED = "the sign count has not increased"


async def log_in(
    known: KnownPasskey, response: AuthenticationResponse, *, new: NewSession, is_trusted_device: bool
) -> str:
    """Return the token of a new session. Raises PasskeyRefused, ChallengeExpired, UnknownPasskey."""
    purpose = Purpose.LOGIN
    assertion = ceremonies.verify_assertion(response, known.passkey, handle=known.handle, purpose=purpose)
    token = await db.write(_start_session, known.passkey, assertion, new=new, is_trusted_device=is_trusted_device)
    if token is None:  # the transaction has recorded the refusal
        raise PasskeyRefused(COPIED)
    return token


async def reauthenticate(
    known: KnownPasskey, response: AuthenticationResponse, *, current: UserSession, client: Client
) -> str:
    """Reauthenticate a session and return its new token. Raises PasskeyRefused, ChallengeExpired, UnknownPasskey.

    The passkey must belong to the user of the session, and the challenge is valid in this session only.
    """
    if known.passkey.user_id != current.user_id:
        raise PasskeyRefused("the passkey is that of another user")
    assertion = ceremonies.verify_assertion(
        response, known.passkey, handle=known.handle, purpose=Purpose.REAUTHENTICATION, session=current
    )
    token = await db.write(_mark_reauthenticated, known.passkey, assertion, current=current, client=client)
    if token is None:
        raise PasskeyRefused(COPIED)
    return token


async def _start_session(
    session: AsyncSession, passkey: Passkey, assertion: Assertion, *, new: NewSession, is_trusted_device: bool
) -> str | None:
    user = await _use(session, passkey, assertion, client=new.client)
    return await login.start_session(session, user, new=new, is_trusted_device=is_trusted_device) if user else None


async def _mark_reauthenticated(
    session: AsyncSession, passkey: Passkey, assertion: Assertion, *, current: UserSession, client: Client
) -> str | None:
    user = await _use(session, passkey, assertion, client=client)
    return await login.mark_reauthenticated(session, user, session_id=current.id, client=client) if user else None


async def _use(session: AsyncSession, passkey: Passkey, assertion: Assertion, *, client: Client) -> User | None:
    """Use a passkey and return its user, locked. Returns None if the sign count shows a copy. Raises PasskeyRefused.

    The copy is recorded in the same transaction, which an exception would roll back. The account may have been
    deactivated since the passkey was looked up, or the passkey removed.
    """
    user = await users.lock(session, passkey.user_id)
    row = await passkeys.find_own(session, passkey.id, user_id=passkey.user_id)
    if user is None or row is None:
        raise UnknownPasskey("the passkey was removed")
    needs_confirmation = current_settings()["SECURITY_CONFIRMABLE"]
    if not user.active or (needs_confirmation and user.confirmed_on is None):
        raise PasskeyRefused("the account is deactivated, or not confirmed")
    await challenges.claim(session, assertion.challenge)
    if is_copied(row, assertion.sign_count):
        await audit_log.record(session, user.id, "passkey_count_decreased", client, passkey=row.id)
        await security_alerts.send_alert(session, user, "passkey_copied", client)
        return None
    row.sign_count, row.backed_up, row.last_used_on = assertion.sign_count, assertion.backed_up, clock.now()
    return user


def is_copied(passkey: Passkey, sign_count: int) -> bool:
    """Return whether a sign count shows that another device has used the same key (WebAuthn, 6.1.1).

    A key that is backed up is on several devices by design. An authenticator that does not count sends 0.
    """
    is_counted = not passkey.backed_up and (passkey.sign_count or sign_count)
    return bool(is_counted) and sign_count <= passkey.sign_count
