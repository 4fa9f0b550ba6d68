"""The ceremonies of WebAuthn: how the response of a browser is verified, with the library fido2.

A response may be forged, so every fault in it raises PasskeyRefused. `options.py` has the other half of a ceremony.
"""

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from cryptography.exceptions import UnsupportedAlgorithm
from fido2.utils import websafe_encode
from fido2.webauthn import AuthenticationResponse, CollectedClientData, UserVerificationRequirement

from app.features.passkeys import challenges, credentials, responses
from app.features.passkeys.challenges import Challenge, Purpose
from app.features.passkeys.errors import PasskeyRefused
from app.features.passkeys.models import Passkey
from app.features.passkeys.relying_party import server
from app.models import UserSession

REQUIRED = UserVerificationRequirement.REQUIRED
# The exceptions that fido2 and cryptography raise for a malformed response.
MALFORMED = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, AssertionError)
UNSUPPORTED = (struct.error, RecursionError, NotImplementedError, UnsupportedAlgorithm)


class Credential(NamedTuple):
    """A new credential, and the challenge that its response contains. The key is encoded as it is stored."""

    challenge: Challenge
    id: bytes
    public_key: str
    sign_count: int
    backup_eligible: bool
    backed_up: bool
    transports: str


class Assertion(NamedTuple):
    """A verified response to a request for a passkey."""

    challenge: Challenge
    sign_count: int
    backed_up: bool


def verify_registration(data: Any, *, session: UserSession) -> Credential:
    """Return the credential in the JSON of a RegistrationResponse. Raises PasskeyRefused, ChallengeExpired."""
    with refused_if_malformed():
        response = responses.registration(data)
        challenge = _verify_challenge(response.response.client_data, Purpose.REGISTRATION, session)
        found = server().register_complete(_state_of(response.response.client_data), response)
        credentials.check_backup_flags(found)
        if found.credential_data is None:
            raise PasskeyRefused("there is no public key")
        credentials.check(found.credential_data)
        return Credential(
            challenge=challenge,
            id=found.credential_data.credential_id,
            public_key=credentials.encoded_key(found.credential_data),
            sign_count=found.counter,
            backup_eligible=found.is_backup_eligible(),
            backed_up=found.is_backed_up(),
            transports=credentials.known_transports(data),
        )


def parse_assertion(data: Any) -> AuthenticationResponse:
    """Return the JSON of an AuthenticationResponse, not verified yet. Raises PasskeyRefused."""
    with refused_if_malformed():
        return responses.authentication(data)


def verify_assertion(
    response: AuthenticationResponse,
    passkey: Passkey,
    *,
    handle: str,
    purpose: Purpose,
    session: UserSession | None = None,
) -> Assertion:
    """Verify the response of a passkey: its signature, and the signed data. Raises PasskeyRefused, ChallengeExpired.

    A login requires the user handle. Browsers return it with discoverable credentials, and the site creates no others.
    """
    with refused_if_malformed():
        client_data, found = response.response.client_data, response.response.authenticator_data
        challenge = _verify_challenge(client_data, purpose, session)
        server().authenticate_complete(_state_of(client_data), [credentials.stored(passkey)], response)
        credentials.check_backup_flags(found)
        user_handle = response.response.user_handle
        if user_handle is None and purpose is Purpose.LOGIN:
            raise PasskeyRefused("there is no user handle")
        if user_handle is not None and websafe_encode(user_handle) != handle:
            raise PasskeyRefused("the user handle is that of another user")
        if found.is_backup_eligible() != passkey.backup_eligible:
            raise PasskeyRefused("the backup eligibility has changed")
        return Assertion(challenge, found.counter, found.is_backed_up())


@contextmanager
def refused_if_malformed() -> Iterator[None]:
    """Raise PasskeyRefused in place of an exception of the library."""
    try:
        yield
    except (*MALFORMED, *UNSUPPORTED) as error:
        raise PasskeyRefused(f"{type(error).__name__}: {error}") from error


def _verify_challenge(client_data: CollectedClientData, purpose: Purpose, session: UserSession | None) -> Challenge:
    if client_data.cross_origin:
        raise PasskeyRefused("the page is in a frame of another origin")
    return challenges.verify(client_data.challenge, purpose, session)


def _state_of(client_data: CollectedClientData) -> dict[str, Any]:
    """Return the state that the library expects, with the challenge that `challenges` has verified."""
    return {"challenge": websafe_encode(client_data.challenge), "user_verification": REQUIRED}
