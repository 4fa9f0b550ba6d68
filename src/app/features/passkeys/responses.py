"""Check the responses of browsers before fido2 parses them.

If a response has a number n in place of text or bytes, fido2 calls `bytes(n)`, which creates n zero bytes. Without
these checks, a request of 100 bytes could use up the memory of the machine.
"""

import json
from typing import Any

from fido2 import cbor
from fido2.utils import websafe_decode
from fido2.webauthn import AuthenticationResponse, RegistrationResponse

from app.features.passkeys.errors import PasskeyRefused


def registration(data: Any) -> RegistrationResponse:
    """Parse the JSON of a new credential. Raises PasskeyRefused, and the exceptions of the library."""
    texts = _texts(data, "clientDataJSON", "attestationObject")
    attestation: Any = cbor.decode(websafe_decode(texts["response"]["attestationObject"]))
    if not isinstance(attestation["authData"], bytes):
        raise PasskeyRefused("authData is not bytes")
    return RegistrationResponse.from_dict(texts)


def authentication(data: Any) -> AuthenticationResponse:
    """Parse the JSON of an assertion. Raises PasskeyRefused, and the exceptions of the library."""
    has_handle = data["response"].get("userHandle") is not None
    names = ("clientDataJSON", "authenticatorData", "signature", *(["userHandle"] if has_handle else []))
    return AuthenticationResponse.from_dict(_texts(data, *names))


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
