"""Responses that are hostile to the library: nested, long, and with keys that no authenticator has."""

from typing import Any

import pytest
from fido2 import cbor
from fido2.cose import ES256, RS256
from fido2.utils import websafe_decode, websafe_encode
from quart import Quart

from app.features.passkeys.tests.authenticator import PAGE, Authenticator, added, code_of, options_of, send, use
from support.actions import create_user, enter

LOGIN, VERIFY = "/login/passkey", "/verify/passkey"
LONG_KEY = ES256({1: 2, 3: -7, -1: 1, -2: b"\1" * 32, -3: b"\1" * 32, 5: [{}] * 10_000})
MAX_PARSED_ITEMS = 15_000  # about 20 ms
LONG_RSA_KEY = RS256({1: 3, 3: -257, -1: b"\xff" * 1024, -2: b"\1\0\1"})


@pytest.mark.parametrize("action", [LOGIN, VERIFY, PAGE])
async def test_no_response_takes_long_to_parse(app: Quart, monkeypatch: pytest.MonkeyPatch, action: str) -> None:
    """fido2 parses and encodes a public key several times, also one in the response of a login."""
    await create_user(app)
    ada = await enter(app)
    laptop, parsed = await added(ada), list[bytes]()
    options = await options_of(ada, action)
    credential = laptop.create(await options_of(ada, PAGE), cose=LONG_KEY)
    if action != PAGE:
        attestation: Any = cbor.decode(websafe_decode(credential["response"]["attestationObject"]))
        credential = laptop.get(options)
        credential["response"]["authenticatorData"] = websafe_encode(attestation["authData"])
    decode_from = cbor.decode_from

    def count_item(data: bytes) -> Any:
        parsed.append(data[:1])
        return decode_from(data)

    monkeypatch.setattr(cbor, "decode_from", count_item)
    assert await code_of(await send(ada, action, credential, name="x")) == "passkey_refused"
    assert len(parsed) < MAX_PARSED_ITEMS


@pytest.mark.parametrize(
    ("action", "part", "nested"),
    [
        (LOGIN, "clientDataJSON", b"[" * 5000),
        (PAGE, "clientDataJSON", b"[" * 5000),
        (PAGE, "attestationObject", b"\x81" * 5000),
    ],
)
async def test_a_nested_response_is_refused(app: Quart, action: str, part: str, nested: bytes) -> None:
    await create_user(app)
    ada = await enter(app)
    laptop = await added(ada)
    credential = (laptop.create if action == PAGE else laptop.get)(await options_of(ada, action))
    credential["response"][part] = websafe_encode(nested)

    assert await code_of(await send(ada, action, credential, name="x")) == "passkey_refused"


async def test_a_key_that_cannot_be_stored_is_refused(app: Quart) -> None:
    await create_user(app)
    ada = await enter(app)

    credential = Authenticator().create(await options_of(ada, PAGE), cose=LONG_RSA_KEY)
    assert await code_of(await send(ada, PAGE, credential, name="x")) == "passkey_refused"


async def test_no_id_of_a_credential_is_logged(app: Quart, log: pytest.LogCaptureFixture) -> None:
    await create_user(app)
    ada = await enter(app)
    laptop = await added(ada)
    assert (await use(ada, laptop)).status_code == 200

    assert [id_ for id_ in (laptop.id.hex(), websafe_encode(laptop.id)) if id_ in log.text] == []
