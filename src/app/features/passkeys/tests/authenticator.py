"""A software authenticator with responses that a test can forge, and the actions of its user."""

import hashlib
import json
import secrets
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from fido2.cose import ES256
from fido2.utils import websafe_decode, websafe_encode
from fido2.webauthn import AttestationObject, AttestedCredentialData, AuthenticatorData
from quart import Quart, Response
from quart.typing import TestClientProtocol
from sqlalchemy import select

from app.features.passkeys.models import Passkey
from support.actions import scalars

ORIGIN = "http://localhost:5000"
FLAG = AuthenticatorData.FLAG
SEEN = FLAG.UP | FLAG.UV
SYNCED = FLAG.BE | FLAG.BS
JSON = {"Accept": "application/json"}
PAGE = "/account/passkeys"


@dataclass
class Authenticator:
    """A device with one passkey. `count` is its sign count."""

    flags: int = SEEN
    count: int = 1
    id: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    handle: str | None = None

    def create(self, options: dict[str, Any], *, cose: Any = None, **forged: Any) -> dict[str, Any]:
        """Return the RegistrationResponse to the options, with these parts forged."""
        self.handle = options["user"]["id"]
        es256: Any = ES256
        cose = cose or es256.from_cryptography_key(self.key.public_key())
        attested = AttestedCredentialData.create(b"\0" * 16, self.id, cose)
        data = self._data(forged.pop("rp_id", options["rp"]["id"]), forged.pop("flags", self.flags) | FLAG.AT, attested)
        attestation = websafe_encode(AttestationObject.create("none", data, {}))
        client_data = self._client_data(options, "webauthn.create", forged)
        return self._credential({"attestationObject": attestation, "transports": ["internal", "new"]}, client_data)

    def get(self, options: dict[str, Any], **forged: Any) -> dict[str, Any]:
        """Return the AuthenticationResponse to the options, with these parts forged."""
        self.count = forged.pop("count", self.count + 1)
        data = self._data(forged.pop("rp_id", options["rpId"]), forged.pop("flags", self.flags))
        handle, key = forged.pop("handle", self.handle), forged.pop("key", self.key)
        client_data = self._client_data(options, "webauthn.get", forged)
        signature = key.sign(data + hashlib.sha256(client_data).digest(), ec.ECDSA(SHA256()))
        response = {"authenticatorData": websafe_encode(data), "signature": websafe_encode(signature)}
        return self._credential(response | ({"userHandle": handle} if handle else {}), client_data)

    def _data(self, rp_id: str, flags: int, attested: bytes = b"") -> Any:
        return b"" + AuthenticatorData.create(
            hashlib.sha256(rp_id.encode()).digest(), FLAG(flags), self.count, attested
        )

    def _client_data(self, options: dict[str, Any], type_: str, forged: dict[str, Any]) -> bytes:
        parts = {"type": type_, "challenge": options["challenge"], "origin": ORIGIN, "crossOrigin": False}
        return json.dumps(parts | forged).encode()

    def _credential(self, response: dict[str, Any], client_data: bytes) -> dict[str, Any]:
        id_ = websafe_encode(self.id)
        response["clientDataJSON"] = websafe_encode(client_data)
        return {"id": id_, "rawId": id_, "type": "public-key", "response": response, "clientExtensionResults": {}}


async def options_of(client: TestClientProtocol, action: str) -> dict[str, Any]:
    response = await client.post(f"{action}/options", headers=JSON)
    assert response.status_code == 200
    return dict(await response.get_json())


async def send(client: TestClientProtocol, action: str, credential: Any, **more: Any) -> Response:
    return await client.post(action, json={"credential": credential, **more}, headers=JSON)


async def add(client: TestClientProtocol, authenticator: Authenticator, *, name: str = "Laptop") -> Response:
    """Add a passkey to the account of the user who is logged in."""
    credential = authenticator.create(await options_of(client, PAGE))
    return await send(client, PAGE, credential, name=name)


async def added(client: TestClientProtocol, **device: Any) -> Authenticator:
    authenticator = Authenticator(**device)
    assert (await add(client, authenticator)).status_code == 201
    return authenticator


async def use(client: TestClientProtocol, authenticator: Authenticator, action: str = "/login/passkey") -> Response:
    """Log in with a passkey, or reauthenticate."""
    return await send(client, action, authenticator.get(await options_of(client, action)))


async def code_of(response: Response) -> str:
    """Return the code of a refusal."""
    assert response.status_code == 422
    return str((await response.get_json())["error"]["code"])


def tampered(credential: dict[str, Any], part: str) -> dict[str, Any]:
    """Return a credential in which one bit in a part of the response is flipped."""
    changed = bytearray(websafe_decode(credential["response"][part]))
    changed[-1] ^= 1
    return credential | {"response": credential["response"] | {part: websafe_encode(bytes(changed))}}


async def names(app: Quart) -> list[str]:
    """Return the names of all passkeys."""
    return await scalars(app, select(Passkey.name).order_by(Passkey.id))
