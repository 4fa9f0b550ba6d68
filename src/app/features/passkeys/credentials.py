"""Check new credentials, and convert stored ones to the types of fido2."""

from typing import Any

from cryptography.exceptions import InvalidSignature
from fido2 import cbor
from fido2.cose import CoseKey
from fido2.utils import websafe_decode, websafe_encode
from fido2.webauthn import (
    Aaguid,
    AttestedCredentialData,
    AuthenticatorData,
    AuthenticatorTransport,
    PublicKeyCredentialDescriptor,
    PublicKeyCredentialType,
)

from app.features.passkeys.errors import PasskeyRefused
from app.features.passkeys.models import MAX_CREDENTIAL_ID_BYTES, PUBLIC_KEY_LENGTH, Passkey

ALGORITHMS = {-8, -7, -257}  # EdDSA, ES256 and RS256, as WebAuthn recommends
TRANSPORTS = {str(transport) for transport in AuthenticatorTransport}


def check(credential: AttestedCredentialData) -> None:
    """Check that the public key can verify a login. Raises PasskeyRefused. The library accepts any key here."""
    key = credential.public_key
    if key.ALGORITHM not in ALGORITHMS or len(encoded_key(credential)) > PUBLIC_KEY_LENGTH:
        raise PasskeyRefused("the public key has another algorithm, or is too long")
    if not 0 < len(credential.credential_id) <= MAX_CREDENTIAL_ID_BYTES:
        raise PasskeyRefused("the credential id is too long, or empty")
    try:
        key.verify(b"", b"")
    except InvalidSignature:
        return  # the expected result
    raise PasskeyRefused("the public key verifies an empty signature")


def check_backup_flags(data: AuthenticatorData) -> None:
    """Raise PasskeyRefused for a key that is backed up, but not eligible for backup (WebAuthn, 7.1 and 7.2).

    Otherwise an attacker with a copy could claim that the key is backed up, and the sign count would not be compared.
    """
    if data.is_backed_up() and not data.is_backup_eligible():
        raise PasskeyRefused("the backup flags contradict each other")


def encoded_key(credential: AttestedCredentialData) -> str:
    return websafe_encode(cbor.encode(credential.public_key))


def known_transports(data: Any) -> str:
    """Return the known transports in the JSON of a registration, separated by commas."""
    return ",".join(sorted({each for each in data["response"].get("transports", ()) if each in TRANSPORTS}))


def stored(passkey: Passkey) -> AttestedCredentialData:
    key: Any = cbor.decode(websafe_decode(passkey.public_key))
    return AttestedCredentialData.create(Aaguid.NONE, websafe_decode(passkey.credential_id), CoseKey.parse(key))


def descriptor(passkey: Passkey) -> PublicKeyCredentialDescriptor:
    """Return the descriptor with which a browser finds a passkey."""
    transports = [AuthenticatorTransport(each) for each in passkey.transports.split(",") if each]
    id_ = websafe_decode(passkey.credential_id)
    return PublicKeyCredentialDescriptor(type=PublicKeyCredentialType.PUBLIC_KEY, id=id_, transports=transports or None)
