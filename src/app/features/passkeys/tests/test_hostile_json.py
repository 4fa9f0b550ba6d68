"""JSON that is no response of an authenticator is refused."""

from typing import Any

import pytest
from fido2 import cbor
from fido2.utils import websafe_encode
from hypothesis import HealthCheck, given
from hypothesis import settings as tuned
from hypothesis import strategies as st
from quart import Quart

from app.features.passkeys.tests.authenticator import JSON, PAGE, Authenticator, options_of, send
from support.actions import enter

LOGIN, VERIFY = "/login/passkey", "/verify/passkey"


HOSTILE: list[Any] = [None, [], 7, "x", {}, {"credential": []}, {"credential": {"rawId": 7, "response": {}}}]


KEYS = ["clientDataJSON", "authenticatorData", "signature", "userHandle", "attestationObject", "transports"]


TOO_MANY_BYTES = 2**50  # more than an address space holds


VALUES = st.none() | st.integers() | st.text() | st.binary().map(websafe_encode) | st.lists(st.text())


@pytest.mark.parametrize("action", [LOGIN, VERIFY, PAGE])
async def test_hostile_json_is_refused(app: Quart, laptop: Authenticator, action: str) -> None:
    client = await enter(app)
    for body in HOSTILE:
        assert (await client.post(action, json=body, headers=JSON)).status_code in (400, 422)
    for data in (b"", b"\xff", b"[" * 9000, b'{"credential": ' + b"[" * 9000):
        headers = JSON | {"Content-Type": "application/json"}
        assert (await client.post(action, data=data, headers=headers)).status_code == 400
    assert (await client.post(action, json={"x": "x" * 16_384}, headers=JSON)).status_code == 413


@pytest.mark.parametrize("action", [LOGIN, VERIFY, PAGE])
async def test_a_number_in_place_of_bytes_uses_no_memory(app: Quart, laptop: Authenticator, action: str) -> None:
    client = await enter(app)
    options = await options_of(client, action)
    respond = laptop.create if action == PAGE else laptop.get
    real = respond(options)
    credentials = [respond(options, challenge=TOO_MANY_BYTES)]
    credentials += [real | {name: TOO_MANY_BYTES} for name in ("id", "rawId", "type")]
    credentials += [real | {"response": real["response"] | {name: TOO_MANY_BYTES}} for name in KEYS[:5]]
    attestation = cbor.encode({"fmt": "none", "authData": TOO_MANY_BYTES, "attStmt": {}})
    credentials.append(real | {"response": real["response"] | {"attestationObject": websafe_encode(attestation)}})

    for credential in credentials:
        status = (await send(client, action, credential, name="Laptop")).status_code
        assert status in (200, 201, 422), credential  # and no MemoryError


@given(st.sampled_from([LOGIN, VERIFY, PAGE]), st.dictionaries(st.sampled_from(KEYS), VALUES), VALUES)
@tuned(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_no_response_causes_an_error(
    app: Quart, laptop: Authenticator, action: str, parts: dict[str, Any], value: Any
) -> None:
    client = await enter(app)
    options = await options_of(client, action)
    real = (laptop.create if action == PAGE else laptop.get)(options)
    credential = real | {"response": real["response"] | parts, "type": value, "clientExtensionResults": value}
    if not parts:
        credential["rawId"] = value

    assert (await send(client, action, credential, name="Laptop", next=value)).status_code in (200, 201, 422)
