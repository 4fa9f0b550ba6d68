"""Add passkeys to an account. Forged and repeated responses are refused."""

from datetime import timedelta
from typing import Any

import pytest
from fido2.cose import ES256, CoseKey
from fido2.utils import websafe_decode, websafe_encode
from quart import Quart
from quart.typing import TestClientProtocol
from sqlalchemy import delete, select

from app.features.passkeys import passkeys
from app.features.passkeys.ceremonies import Credential
from app.features.passkeys.challenges import Challenge
from app.features.passkeys.errors import PasskeyRefused
from app.features.passkeys.models import Passkey, PasskeyChallenge, PasskeyHandle
from app.features.passkeys.tests.authenticator import (
    FLAG,
    JSON,
    PAGE,
    SEEN,
    Authenticator,
    add,
    added,
    code_of,
    options_of,
    send,
)
from app.lib import clock
from app.models import UserSession
from app.services.client import COMMAND_LINE
from support.actions import at_once, count, create_user, enter, execute, scalars, write
from support.app import both_databases
from support.frozen_clock import FrozenClock

BOB = "bob@example.com"
RSA1 = CoseKey.parse({1: 3, 3: -65535, -1: b"\1" * 256, -2: b"\1\0\1"})  # with SHA-1
OFF_CURVE = CoseKey.parse({1: 2, 3: -7, -1: 1, -2: b"\1" * 32, -3: b"\1" * 32})


@both_databases
async def test_the_options_name_a_user_by_a_random_handle(app: Quart, ada: TestClientProtocol) -> None:
    await at_once(ada.post(f"{PAGE}/options", headers=JSON) for _ in range(5))  # one handle
    laptop = await added(ada)
    options = await options_of(ada, PAGE)

    (handle,) = await scalars(app, select(PasskeyHandle.handle))
    assert (options["user"]["id"], len(websafe_decode(handle))) == (handle, 32)
    assert options["rp"]["id"] == "localhost"
    assert options["authenticatorSelection"] == {
        "residentKey": "required",
        "requireResidentKey": True,
        "userVerification": "required",
    }
    known = {"type": "public-key", "id": websafe_encode(laptop.id), "transports": ["internal"]}
    assert options["excludeCredentials"] == [known]
    assert [each["alg"] for each in options["pubKeyCredParams"]] == [-7, -8, -257]


@both_databases
async def test_no_forged_registration_adds_a_passkey(app: Quart, ada: TestClientProtocol) -> None:
    await create_user(app, BOB)
    bob, second = await enter(app, BOB), await enter(app)
    challenges = [await options_of(each, PAGE) for each in (bob, second)]
    forged: list[dict[str, Any]] = [
        *({"challenge": each["challenge"]} for each in challenges),
        {"challenge": (await options_of(ada, "/login/passkey"))["challenge"]},
        {"challenge": websafe_encode(b"x" * 80)},
        {"origin": "https://localhost:5000"},
        {"crossOrigin": True},
        {"type": "webauthn.get"},
        {"rp_id": "example.com"},
        {"flags": FLAG.UP},
        {"flags": FLAG.UV},
        {"flags": SEEN | FLAG.BS},  # backed up, and not eligible for it
        {"cose": RSA1},
        {"cose": OFF_CURVE},
        {"cose": ES256({1: 2, 3: -7, -1: 1, -2: "x", -3: []})},
    ]
    for parts in forged:
        credential = Authenticator().create(await options_of(ada, PAGE), **parts)
        assert (parts, await code_of(await send(ada, PAGE, credential, name="x"))) == (parts, "passkey_refused")
    for id_ in (b"", b"x" * 1024):
        assert await code_of(await add(ada, Authenticator(id=id_))) == "passkey_refused"
    assert await count(app, Passkey) == await count(app, PasskeyChallenge) == 0

    assert (await add(ada, Authenticator(id=b"x" * 1023, count=2**32 - 1))).status_code == 201


@both_databases
async def test_a_response_adds_one_passkey_to_one_account(
    app: Quart, ada: TestClientProtocol, frozen_clock: FrozenClock
) -> None:
    await create_user(app, BOB)
    laptop, late = Authenticator(), await options_of(ada, PAGE)
    credential = laptop.create(await options_of(ada, PAGE))

    assert (await at_once(send(ada, PAGE, credential, name="x") for _ in range(20)))[201] == 1
    assert await code_of(await add(ada, laptop)) == "passkey_taken"
    assert await code_of(await add(await enter(app, BOB), laptop)) == "passkey_taken"
    frozen_clock.forward(timedelta(minutes=5))
    assert await code_of(await send(ada, PAGE, Authenticator().create(late), name="x")) == "challenge_expired"


@both_databases
async def test_an_ended_session_adds_no_passkey(app: Quart, ada: TestClientProtocol) -> None:
    (current,) = await scalars(app, select(UserSession))
    challenge = Challenge("n" * 22, clock.now() + timedelta(minutes=5))
    credential = Credential(challenge, b"id", "key", 1, backup_eligible=False, backed_up=False, transports="")
    await execute(app, delete(UserSession))

    with pytest.raises(PasskeyRefused):
        await write(app, passkeys.add, credential, name="x", current=current, client=COMMAND_LINE)
