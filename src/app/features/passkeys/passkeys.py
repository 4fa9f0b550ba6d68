"""The passkeys of a user: list, add, rename and remove them. Each function runs inside a transaction."""

import hashlib
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from fido2.utils import websafe_encode
from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.features.passkeys import challenges
from app.features.passkeys.ceremonies import Credential
from app.features.passkeys.errors import PasskeyRefused, PasskeyTaken, TooManyPasskeys, UnknownPasskey
from app.features.passkeys.models import NAME_LENGTH, Passkey, PasskeyHandle
from app.lib import clock
from app.lib.db.unique import flush_unique
from app.lib.errors import validate_single_line
from app.lib.i18n.catalogs import noop as _
from app.models import User, UserSession
from app.services import audit_log, security_alerts, users
from app.services.client import COMMAND_LINE, Client
from app.services.extension_points import AccessEnd

MAX_PASSKEYS = 20  # of an account; one page lists all of them
HANDLE_BYTES = 32
CLOCK_TOLERANCE = timedelta(minutes=1)  # between a passkey and the alert about it
EVENT_LABELS = {
    "passkey_added": _("Passkey added"),
    "passkey_removed": _("Passkey removed"),
    "passkey_count_decreased": _("Passkey refused: it may have been copied"),
}


class KnownPasskey(NamedTuple):
    """A passkey, with the handle and the e-mail address of its user."""

    passkey: Passkey
    handle: str
    email: str


async def list_of(session: AsyncSession, *, user_id: int) -> Sequence[Passkey]:
    """Return the passkeys of a user, the oldest first."""
    query = select(Passkey).where(Passkey.user_id == user_id).order_by(Passkey.created_on, Passkey.id)
    return (await session.scalars(query)).all()


async def find_own(session: AsyncSession, passkey_id: int, *, user_id: int) -> Passkey | None:
    """Return a passkey if it belongs to the user."""
    return await session.scalar(select(Passkey).where(Passkey.id == passkey_id, Passkey.user_id == user_id))


async def find(session: AsyncSession, credential_id: bytes) -> KnownPasskey:
    """Return the passkey with a credential id. Raises UnknownPasskey."""
    owners = (PasskeyHandle.user_id == Passkey.user_id) & (User.id == Passkey.user_id)
    query = select(Passkey, PasskeyHandle.handle, User.email).where(owners, Passkey.digest == _digest(credential_id))
    found = (await session.execute(query)).one_or_none()
    if found is None:
        raise UnknownPasskey("no account has this passkey")
    return KnownPasskey(*found)


async def prepare(session: AsyncSession, *, user_id: int) -> tuple[str, Sequence[Passkey]]:
    """Return the handle of a user and the passkeys. Creates the handle if there is none. Raises UnknownUser."""
    if await users.lock(session, user_id) is None:
        raise users.UnknownUser
    row = await session.get(PasskeyHandle, user_id)
    if row is None:
        row = PasskeyHandle(user_id=user_id, handle=secrets.token_urlsafe(HANDLE_BYTES))
        session.add(row)
    return row.handle, await list_of(session, user_id=user_id)


async def add(
    session: AsyncSession, credential: Credential, *, name: str, current: UserSession, client: Client
) -> None:
    """Add a passkey. Raises PasskeyRefused, PasskeyTaken, TooManyPasskeys, InvalidText."""
    validate_single_line("name", name, max_length=NAME_LENGTH)
    user = await users.lock(session, current.user_id)
    # "This was not me" may have ended the session since the request began.
    if user is None or await session.get(UserSession, current.id) is None:
        raise PasskeyRefused("the session has ended")
    await challenges.claim(session, credential.challenge)
    number = select(func.count()).select_from(Passkey).where(Passkey.user_id == user.id)
    if (await session.scalar(number) or 0) >= MAX_PASSKEYS:
        raise TooManyPasskeys(f"the account has {MAX_PASSKEYS}")
    session.add(_row_of(credential, user_id=user.id, name=name))
    await flush_unique(session, Passkey.digest, taken=PasskeyTaken("an account has this credential"))
    await audit_log.record(session, user.id, "passkey_added", client)
    await security_alerts.send_alert(session, user, "passkey_added", client)


async def rename(session: AsyncSession, passkey_id: int, *, user_id: int, name: str) -> None:
    """Rename a passkey if it belongs to the user. Raises InvalidText."""
    validate_single_line("name", name, max_length=NAME_LENGTH)
    is_own = (Passkey.id == passkey_id) & (Passkey.user_id == user_id)
    await session.execute(update(Passkey).where(is_own).values(name=name))


async def remove(session: AsyncSession, passkey_id: int, *, user_id: int, client: Client) -> None:
    """Remove a passkey if it belongs to the user. The password remains."""
    user = await users.lock(session, user_id)
    is_own = (Passkey.id == passkey_id) & (Passkey.user_id == user_id)
    removed: Any = await session.execute(delete(Passkey).where(is_own))
    if removed.rowcount and user:
        await audit_log.record(session, user.id, "passkey_removed", client)
        await security_alerts.send_alert(session, user, "passkey_removed", client)


async def remove_all(session: AsyncSession, *, email: str) -> int:
    """Remove every passkey of a user from the command line, and return how many there were. Raises UnknownUser."""
    user = await users.get_by_email(session, email=email, lock=True)
    removed: Any = await session.execute(delete(Passkey).where(Passkey.user_id == user.id))
    if removed.rowcount:
        await audit_log.record(session, user.id, "passkey_removed", COMMAND_LINE, passkeys=removed.rowcount)
        await security_alerts.send_alert(session, user, "passkey_removed", COMMAND_LINE)
    return int(removed.rowcount)


async def end_access(session: AsyncSession, user: User, reason: AccessEnd, *, since: datetime | None) -> None:
    """Remove the passkeys that an attacker may have added.

    The report of a security alert removes the passkeys that were added since the alert. An attacker may have registered
    an account whose e-mail address was never confirmed, so its recovery, by e-mail or by an operator, removes all.
    """
    is_removed = Passkey.user_id == user.id
    if reason is AccessEnd.COMPROMISE_REPORTED:
        is_removed &= Passkey.created_on >= since - CLOCK_TOLERANCE if since else Passkey.id.is_not(None)
    elif reason is not AccessEnd.RECOVERED or user.confirmed_on is not None:
        return
    removed: Any = await session.execute(delete(Passkey).where(is_removed))
    if removed.rowcount:
        audit_log.log(session, "passkeys_revoked", user=user.id, passkeys=removed.rowcount)


def _row_of(credential: Credential, *, user_id: int, name: str) -> Passkey:
    row = Passkey(user_id=user_id, name=name, digest=_digest(credential.id), sign_count=credential.sign_count)
    row.credential_id, row.public_key = websafe_encode(credential.id), credential.public_key
    row.backup_eligible, row.backed_up = credential.backup_eligible, credential.backed_up
    row.transports, row.created_on = credential.transports, clock.now()
    return row


def _digest(credential_id: bytes) -> str:
    return hashlib.sha256(credential_id).hexdigest()
