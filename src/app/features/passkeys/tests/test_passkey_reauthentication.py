"""Reauthenticate with a passkey."""

from datetime import timedelta

from fido2.utils import websafe_encode
from quart import Quart

from app.features.passkeys.tests.authenticator import FLAG, PAGE, Authenticator, added, code_of, options_of, send
from support.actions import create_user, enter
from support.app import both_databases
from support.email_links import events
from support.frozen_clock import FrozenClock

LOGIN, VERIFY = "/login/passkey", "/verify/passkey"
BOB = "bob@example.com"


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
