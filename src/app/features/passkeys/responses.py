"""Check the responses of browsers before fido2 parses them.

If a response has a number n in place of text or bytes, fido2 calls `bytes(n)`, which creates n zero bytes. Without
these checks, a request of 100 bytes could use up the memory of the machine. fido2 also parses and encodes a public key
several times, which takes 0.1 s for a key of 12 KB.
"""

import json
from typing import Any

from fido2 import cbor
from fido2.utils import websafe_decode
from fido2.webauthn import AuthenticationResponse, RegistrationResponse

from app.features.passkeys.errors import PasskeyRefused

MAX_AUTHENTICATOR_DATA_BYTES = 4096  # one with the longest credential id and an RSA key of 4096 bits has 1,700


def registration(data: Any) -> RegistrationResponse:
    """Parse the JSON of a new credential. Raises PasskeyRefused, and the exceptions of the library."""
    texts = _texts(data, "clientDataJSON", "attestationObject")
    attestation: Any = cbor.decode(websafe_decode(texts["response"]["attestationObject"]))
    if not isinstance(attestation["authData"], bytes):
        raise PasskeyRefused("authData is not bytes")
    _check_length(attestation["authData"])
    return RegistrationResponse.from_dict(texts)


def authentication(data: Any) -> AuthenticationResponse:
    """Parse the JSON of an assertion. Raises PasskeyRefused, and the exceptions of the library."""
    has_handle = data["response"].get("userHandle") is not None
    names = ("clientDataJSON", "authenticatorData", "signature", *(["userHandle"] if has_handle else []))
    texts = _texts(data, *names)
    _check_length(websafe_decode(texts["response"]["authenticatorData"]))
    return AuthenticationResponse.from_dict(texts)


def _texts(data: Any, *names: str) -> dict[str, Any]:
    """Return the parts of a credential that the library needs. Each of them is text."""
    credential = {name: _text(data[name], name) for name in ("id", "rawId", "type")}
    response = {name: _text(data["response"][name], name) for name in names}
    _text(json.loads(websafe_decode(response["clientDataJSON"]))["challenge"], "challenge")
    return credential | {"response": response}


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise PasskeyRefused(f"{name} is not text")
    return value


def _check_length(authenticator_data: bytes) -> None:
    if len(authenticator_data) > MAX_AUTHENTICATOR_DATA_BYTES:
        raise PasskeyRefused("the authenticator data is too long")
