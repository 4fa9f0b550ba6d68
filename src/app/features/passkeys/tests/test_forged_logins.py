"""Forged responses do not log in."""

from collections.abc import Callable
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from fido2.utils import websafe_encode
from quart import Quart
from quart.typing import TestClientProtocol

from app.features.passkeys.models import PasskeyChallenge
from app.features.passkeys.tests.authenticator import (
    FLAG,
    SEEN,
    SYNCED,
    Authenticator,
    code_of,
    options_of,
    send,
    tampered,
    use,
)
from app.models import UserSession
from support.actions import count
from support.app import both_databases

LOGIN = "/login/passkey"
Forge = Callable[[Authenticator, dict[str, Any]], dict[str, Any]]


def forged(**parts: Any) -> Forge:
    return lambda device, options: device.get(options, **parts)


FORGERIES: dict[str, Forge] = {
    "made-up challenge": forged(challenge=websafe_encode(b"x" * 80)),
    "origin of another site": forged(origin="http://evil.example"),
    "origin with another port": forged(origin="http://localhost:5001"),
    "origin with a longer port": forged(origin="http://localhost:50001"),
    "origin with a longer host": forged(origin="http://localhost:5000.evil.example"),
    "origin with another scheme": forged(origin="https://localhost:5000"),
    "origin that is no text": forged(origin=["http://localhost:5000"]),
    "frame of another site": forged(crossOrigin=True),
    "RP id of another site": forged(rp_id="evil.example"),
    "type of a registration": forged(type="webauthn.create"),
    "no user verification": forged(flags=FLAG.UP),
    "no user presence": forged(flags=FLAG.UV),
    "another backup eligibility": forged(flags=SEEN | SYNCED),
    "no user handle": forged(handle=None),
    "handle of another user": forged(handle=websafe_encode(b"x" * 32)),
    "another key": forged(key=ec.generate_private_key(ec.SECP256R1())),
    "altered signature": lambda device, options: tampered(device.get(options), "signature"),
    "altered sign count": lambda device, options: tampered(device.get(options), "authenticatorData"),
    "altered client data": lambda device, options: tampered(device.get(options), "clientDataJSON"),
    "id of another passkey": lambda device, options: device.get(options) | {"id": "eA", "rawId": "eA"},
    "two ids": lambda device, options: device.get(options) | {"id": "eA"},
}


@both_databases
async def test_no_forged_response_logs_in(app: Quart, client: TestClientProtocol, laptop: Authenticator) -> None:
    for name, forge in FORGERIES.items():
        response = await send(client, LOGIN, forge(laptop, await options_of(client, LOGIN)))
        expected = "unknown_passkey" if name == "id of another passkey" else "passkey_refused"
        assert (name, await code_of(response)) == (name, expected)
        assert "Set-Cookie" not in response.headers

    assert (await count(app, UserSession), await count(app, PasskeyChallenge)) == (1, 1)
    assert (await use(client, laptop)).status_code == 200
