"""Log in and reauthenticate with a passkey. Forged, replayed and stolen responses are refused."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from fido2 import cbor
from fido2.utils import websafe_encode
from hypothesis import HealthCheck, given
from hypothesis import settings as tuned
from hypothesis import strategies as st
from quart import Quart
from quart.typing import TestClientProtocol
from sqlalchemy import select

from app.features.passkeys.models import Passkey, PasskeyChallenge
from app.features.passkeys.tests.authenticator import (
    FLAG,
    JSON,
    PAGE,
    SEEN,
    SYNCED,
    Authenticator,
    added,
    code_of,
    options_of,
    send,
    tampered,
    use,
)
from app.models import UserSession
from app.services import users
from app.services.extension_points import PendingLogin
from support.actions import EMAIL, at_once, count, create_user, enter, is_logged_in, log_in, page, scalars, write
from support.app import both_databases, serving
from support.email_links import events
from support.frozen_clock import FrozenClock
from support.mail_helpers import mails
from support.statements import kind, sent_statements

LOGIN, VERIFY = "/login/passkey", "/verify/passkey"
BOB = "bob@example.com"
Forge = Callable[[Authenticator, dict[str, Any]], dict[str, Any]]


def forged(**parts: Any) -> Forge:
    return lambda device, options: device.get(options, **parts)


FORGERIES: dict[str, Forge] = {
    "made-up challenge": forged(challenge=websafe_encode(b"x" * 80)),
    "origin of another site": forged(origin="http://evil.example"),
    "origin with another port": forged(origin="http://localhost:5001"),
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


@pytest.fixture
async def laptop(app: Quart) -> Authenticator:
    """Return a device with a passkey of a user. No e-mail is delivered."""
    await app.extensions["mail_worker"].stop()
    await create_user(app)
    return await added(await enter(app))


@both_databases
async def test_a_user_logs_in_with_a_passkey_and_without_another_step(
    app: Quart, client: TestClientProtocol, laptop: Authenticator
) -> None:
    async def never(*_: Any) -> PendingLogin:
        raise AssertionError

    app.extensions["extension_points"].login_steps.append(never)
    response = await send(client, LOGIN, laptop.get(await options_of(client, LOGIN)), next="/account", remember=True)

    assert (response.status_code, await response.get_json()) == (200, {"next": "/account"})
    assert "Max-Age" in response.headers["Set-Cookie"] or "Expires" in response.headers["Set-Cookie"]
    assert await is_logged_in(client)
    assert await events(app, "logged_in") == 2
    assert len(await mails(app, "new_login")) == 2  # the browser is new, and trusted from now on
    await use(client, laptop)
    assert len(await mails(app, "new_login")) == 2
    assert (await scalars(app, select(Passkey.sign_count)), await count(app, UserSession)) == ([3], 2)


@both_databases
async def test_no_forged_response_logs_in(app: Quart, client: TestClientProtocol, laptop: Authenticator) -> None:
    for name, forge in FORGERIES.items():
        response = await send(client, LOGIN, forge(laptop, await options_of(client, LOGIN)))
        expected = "unknown_passkey" if name == "id of another passkey" else "passkey_refused"
        assert (name, await code_of(response)) == (name, expected)
        assert "Set-Cookie" not in response.headers

    assert (await count(app, UserSession), await count(app, PasskeyChallenge)) == (1, 1)
    assert (await use(client, laptop)).status_code == 200


@both_databases
async def test_a_challenge_is_valid_for_five_minutes_and_one_login(
    app: Quart, client: TestClientProtocol, laptop: Authenticator, frozen_clock: FrozenClock
) -> None:
    phone = await added(await enter(app), flags=SEEN | SYNCED)  # its sign count does not refuse a replay
    early, late, last = [phone.get(await options_of(client, LOGIN)) for _ in range(3)]
    assert (await send(client, LOGIN, early)).status_code == 200
    assert await code_of(await send(client, LOGIN, early)) == "passkey_refused"

    frozen_clock.forward(timedelta(seconds=299))
    assert (await at_once(send(app.test_client(), LOGIN, last) for _ in range(20)))[200] == 1
    assert await code_of(await send(client, LOGIN, early)) == "passkey_refused"
    frozen_clock.forward(timedelta(seconds=1))
    assert await code_of(await send(client, LOGIN, late)) == "challenge_expired"
    assert await count(app, UserSession) == 4


@both_databases
async def test_a_user_who_may_not_log_in_cannot_do_so_with_a_passkey(
    app: Quart, client: TestClientProtocol, laptop: Authenticator
) -> None:
    await write(app, users.deactivate, email=EMAIL)
    assert await code_of(await use(client, laptop)) == "passkey_refused"
    await write(app, users.activate, email=EMAIL)
    app.config["SECURITY_CONFIRMABLE"] = True
    assert await code_of(await use(client, laptop)) == "passkey_refused"
    app.config["SECURITY_CONFIRMABLE"] = False
    assert (await use(client, laptop)).status_code == 200

    (id_,) = await scalars(app, select(Passkey.id))
    await client.post(f"{PAGE}/{id_}/remove")
    assert await code_of(await use(app.test_client(), laptop)) == "unknown_passkey"


@both_databases
async def test_a_copied_passkey_is_refused_recorded_and_reported(app: Quart, client: TestClientProtocol) -> None:
    await app.extensions["mail_worker"].stop()
    await create_user(app)
    key = await added(await enter(app), count=7)

    for sign_count, status in ((7, 422), (1, 422), (0, 422), (8, 200), (9, 200), (8, 422)):
        response = await send(client, LOGIN, key.get(await options_of(client, LOGIN), count=sign_count))
        assert (sign_count, response.status_code) == (sign_count, status)
    assert await events(app, "passkey_count_decreased") == len(await mails(app, "passkey_copied")) == 4
    assert await scalars(app, select(Passkey.sign_count)) == [9]


async def test_a_passkey_that_is_synced_or_does_not_count_needs_no_higher_count(
    app: Quart, client: TestClientProtocol
) -> None:
    await create_user(app)
    for flags, counts in ((SEEN | SYNCED, (5, 5, 0)), (SEEN, (0, 0, 0))):
        device = await added(await enter(app), flags=flags, count=counts[0])
        for sign_count in counts[1:]:
            response = await send(client, LOGIN, device.get(await options_of(client, LOGIN), count=sign_count))
            assert response.status_code == 200


@both_databases
async def test_a_passkey_reauthenticates_its_user_in_the_session_of_the_challenge(
    app: Quart, laptop: Authenticator, frozen_clock: FrozenClock
) -> None:
    await create_user(app, BOB)
    ada, elsewhere, bob = await enter(app), await enter(app), await enter(app, BOB)
    phone = await added(bob)
    frozen_clock.forward(timedelta(minutes=11))
    assert (await ada.get(PAGE)).location == f"/verify?next={PAGE}"

    options = await options_of(ada, VERIFY)
    assert [each["id"] for each in options["allowCredentials"]] == [websafe_encode(laptop.id)]
    refused = [
        await send(ada, VERIFY, phone.get(options)),  # another user's passkey
        await send(ada, VERIFY, phone.get(options, handle=laptop.handle)),
        await send(elsewhere, VERIFY, laptop.get(options)),  # another session
        await send(app.test_client(), LOGIN, laptop.get(options)),  # another purpose
        await send(ada, VERIFY, laptop.get(await options_of(ada, LOGIN))),
        await send(ada, VERIFY, laptop.get(options | {"challenge": (await options_of(ada, PAGE))["challenge"]})),
        await send(ada, VERIFY, laptop.get(options, flags=FLAG.UP)),
    ]
    assert [await code_of(response) for response in refused] == ["passkey_refused"] * 7
    assert (await ada.get(PAGE)).location == f"/verify?next={PAGE}"

    credential = laptop.get(options)
    response = await send(ada, VERIFY, credential, next=PAGE)
    assert await response.get_json() == {"next": PAGE}
    assert await code_of(await send(ada, VERIFY, credential)) == "passkey_refused"
    assert [(await each.get(PAGE)).status_code for each in (ada, elsewhere, bob)] == [200, 303, 303]
    assert await events(app, "reauthenticated") == 1


async def test_an_anonymous_client_writes_only_to_the_rate_limits(
    settings: dict[str, Any], frozen_clock: FrozenClock
) -> None:
    async with serving(settings | {"RATE_LIMIT_LOGINS_PER_IP": "5 per minute"}) as app:
        await app.extensions["mail_worker"].stop()
        await create_user(app)
        laptop, client = await added(await enter(app)), app.test_client()
        with sent_statements(app) as sent:
            options = await options_of(client, LOGIN)
            assert "Log in with a passkey" in await page(client, "/login")
            assert sent == []
            statuses = [(await send(client, LOGIN, laptop.get(options, flags=0))).status_code for _ in range(6)]
            written = {kind(each).split()[1] for each in sent if each.startswith(("INSERT", "UPDATE", "DELETE"))}

        assert statuses == [422] * 3 + [429] * 3  # the first hits were the login and the new passkey
        assert written == {"throttle"}


async def test_a_user_with_a_passkey_can_log_in_with_the_password(app: Quart, laptop: Authenticator) -> None:
    client = app.test_client()
    assert (await log_in(client)).status_code == 303
    assert (await use(client, laptop)).status_code == 200  # replaces the session
    assert await count(app, UserSession) == 2


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
