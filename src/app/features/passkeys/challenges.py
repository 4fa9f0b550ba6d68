"""Challenges: the random values that an authenticator signs.

The site signs each challenge with SECRET_KEY, and stores it only when it is used, so the login page needs no query. A
challenge for a logged-in user is valid in one session only.
"""

import secrets
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from itsdangerous import BadSignature, Signer
from sqlalchemy.ext.asyncio import AsyncSession

from app.features.passkeys.errors import ChallengeExpired, PasskeyRefused
from app.features.passkeys.models import PasskeyChallenge
from app.lib import clock
from app.lib.db.unique import flush_unique
from app.lib.web.signing import signer
from app.models import UserSession

LIFETIME = timedelta(minutes=5)
NONCE_BYTES = 16


class Purpose(StrEnum):
    LOGIN = "login"
    REAUTHENTICATION = "reauthentication"
    REGISTRATION = "registration"


class Challenge(NamedTuple):
    nonce: str
    expires_on: datetime


def issue(purpose: Purpose, session: UserSession | None = None) -> bytes:
    """Return a new challenge. With a session, it is valid only in this session."""
    expires_on = clock.now() + LIFETIME
    nonce = secrets.token_urlsafe(NONCE_BYTES)
    return _signer(purpose, session).sign(f"{nonce}.{int(expires_on.timestamp())}")


def verify(challenge: bytes, purpose: Purpose, session: UserSession | None = None) -> Challenge:
    """Verify a challenge of `issue` for the same purpose and session. Raises PasskeyRefused, ChallengeExpired."""
    try:
        nonce, _dot, expires = _signer(purpose, session).unsign(challenge).decode().partition(".")
    except BadSignature:
        raise PasskeyRefused("the challenge belongs to another site, purpose or session") from None
    expires_on = datetime.fromtimestamp(int(expires), UTC)
    if expires_on <= clock.now():
        raise ChallengeExpired("the challenge has expired")
    return Challenge(nonce, expires_on)


async def claim(session: AsyncSession, challenge: Challenge) -> None:
    """Mark a challenge as used. Raises PasskeyRefused if it was used before.

    The nonce is the primary key, so that of two simultaneous requests only one succeeds.
    """
    session.add(PasskeyChallenge(nonce=challenge.nonce, expires_on=challenge.expires_on))
    await flush_unique(session, PasskeyChallenge.nonce, taken=PasskeyRefused("the challenge was used before"))


def _signer(purpose: Purpose, session: UserSession | None) -> Signer:
    subject = f" {session.user_id} {session.id}" if session else ""
    return signer(f"passkey {purpose}{subject}")
