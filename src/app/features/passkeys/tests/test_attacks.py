"""Attacks with passkeys: on an account, on the memory and CPU time of the site, and by an old tab."""

from datetime import timedelta

import pytest
from quart import Quart
from quart.typing import TestClientProtocol
from sqlalchemy import select

from app.features.passkeys import ceremonies, logins, passkeys
from app.features.passkeys.errors import UnknownPasskey
from app.features.passkeys.models import Passkey
from app.features.passkeys.tests.authenticator import (
    FLAG,
    JSON,
    PAGE,
    Authenticator,
    add,
    added,
    code_of,
    options_of,
    send,
    use,
)
from app.models import UserSession
from app.services import users
from app.services.client import COMMAND_LINE, NewSession
from support.actions import EMAIL, count, create_user, enter, log_in, owner_on, page, read, scalars, write
from support.app import both_databases
from support.email_links import press
from support.frozen_clock import FrozenClock
from support.mail_helpers import link

EVE, BOB = "eve@example.com", "bob@example.com"
LOGIN, VERIFY = "/login/passkey", "/verify/passkey"


@both_databases
@pytest.mark.parametrize(("is_confirmed", "left"), [(True, ["Old"]), (False, [])])
async def test_an_attacker_who_changes_the_email_address_keeps_no_passkey(
    app: Quart, frozen_clock: FrozenClock, *, is_confirmed: bool, left: list[str]
) -> None:
    """The change revokes the links of the alerts about the passkey. The link that undoes the change replaces them."""
    await app.extensions["mail_worker"].stop()
    await create_user(app)
    if is_confirmed:
        await write(app, users.confirm, email=EMAIL)
    await add(await enter(app), Authenticator(), name="Old")
    frozen_clock.forward(timedelta(days=8))
    attacker = await enter(app)
    laptop = await added(attacker)
    frozen_clock.forward(timedelta(minutes=5))
    await attacker.post("/change-email", form={"email": EVE})
    await attacker.post(await link(app, "change_email"))

    assert (await press(app.test_client(), await link(app, "email_changed", to=EMAIL))).status_code == 303
    assert await code_of(await use(app.test_client(), laptop)) == "unknown_passkey"
    assert await scalars(app, select(Passkey.name)) == left


async def test_a_copied_passkey_cannot_claim_to_be_backed_up(app: Quart, client: TestClientProtocol) -> None:
    """Otherwise the sign count would not be compared any more."""
    await app.extensions["mail_worker"].stop()
    await create_user(app)
    key = await added(await enter(app))

    stolen = key.get(await options_of(client, LOGIN), flags=key.flags | FLAG.BS, count=100)
    assert await code_of(await send(client, LOGIN, stolen)) == "passkey_refused"
    assert await scalars(app, select(Passkey.backed_up)) == [False]


@both_databases
async def test_an_old_tab_removes_no_newer_passkey(app: Quart, client: TestClientProtocol) -> None:
    await create_user(app)
    ada = await enter(app)
    await added(ada)
    (former,) = await scalars(app, select(Passkey.id))
    await ada.post(f"{PAGE}/{former}/remove")
    await added(ada)

    await ada.post(f"{PAGE}/{former}/remove")
    assert await count(app, Passkey) == 1


async def test_the_tab_of_one_user_adds_no_passkey_to_the_account_of_the_next(
    app: Quart, client: TestClientProtocol
) -> None:
    await create_user(app)
    await create_user(app, BOB)
    await log_in(client)
    owner = await owner_on(client, PAGE)
    assert (await client.post(f"{PAGE}/options", json={"owner": owner}, headers=JSON)).status_code == 200
    await client.post("/logout")
    await log_in(client, email=BOB)

    for wrong in (owner, "x", "\ud800"):
        assert (await client.post(f"{PAGE}/options", json={"owner": wrong}, headers=JSON)).status_code == 401


@both_databases
async def test_a_passkey_that_is_removed_during_a_login_does_not_log_in(app: Quart, client: TestClientProtocol) -> None:
    await create_user(app)
    ada = await enter(app)
    laptop = await added(ada)
    known = await read(app, passkeys.find, laptop.id)
    response = ceremonies.parse_assertion(laptop.get(await options_of(client, LOGIN)))
    await ada.post(f"{PAGE}/{known.passkey.id}/remove")

    async with app.test_request_context("/"):
        with pytest.raises(UnknownPasskey):
            await logins.log_in(known, response, new=NewSession(COMMAND_LINE), is_trusted_device=True)
    assert await count(app, UserSession) == 1


@pytest.mark.parametrize("action", [LOGIN, VERIFY])
async def test_a_response_leads_to_a_page_of_this_site(app: Quart, action: str) -> None:
    await create_user(app)
    ada = await enter(app)
    laptop = await added(ada)

    for target in ("javascript:alert(1)", "//evil.example", "/\\evil.example", "https://evil.example", 7, None):
        response = await send(ada, action, laptop.get(await options_of(ada, action)), next=target)
        assert (target, await response.get_json()) == (target, {"next": "/"})


@both_databases
async def test_a_response_adds_no_passkey_again_after_its_removal(app: Quart) -> None:
    await create_user(app)
    ada, laptop = await enter(app), Authenticator()
    credential = laptop.create(await options_of(ada, PAGE))
    assert (await send(ada, PAGE, credential, name="x")).status_code == 201
    (id_,) = await scalars(app, select(Passkey.id))
    await ada.post(f"{PAGE}/{id_}/remove")

    assert await code_of(await send(ada, PAGE, credential, name="x")) == "passkey_refused"


async def test_the_backup_of_a_passkey_is_what_its_last_use_says(app: Quart, client: TestClientProtocol) -> None:
    await create_user(app)
    ada = await enter(app)
    phone = await added(ada, flags=FLAG.UP | FLAG.UV | FLAG.BE)

    for flags in (phone.flags | FLAG.BS, phone.flags):
        await send(client, LOGIN, phone.get(await options_of(client, LOGIN), flags=flags))
        assert ("synced between your devices" in await page(ada, PAGE)) is bool(flags & FLAG.BS)
