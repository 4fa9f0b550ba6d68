"""Add, rename and remove the passkeys of an account."""

from datetime import timedelta

import pytest
from quart import Quart
from quart.typing import TestClientProtocol
from sqlalchemy import select

from app.features.passkeys import passkeys
from app.features.passkeys.models import Passkey
from app.features.passkeys.tests.authenticator import JSON, PAGE, Authenticator, add, added, names, options_of, send
from support.actions import at_once, count, create_user, enter, error_beside, page, scalars
from support.app import both_databases
from support.email_links import events
from support.frozen_clock import FrozenClock
from support.mail_helpers import mails

BOB = "bob@example.com"


@both_databases
async def test_a_user_adds_renames_and_removes_passkeys(app: Quart, ada: TestClientProtocol) -> None:
    assert "You have no passkeys yet." in await page(ada, PAGE)
    for name in ("Laptop", " Schlüssel 🔑 "):
        assert (await add(ada, Authenticator(id=name.encode() * 40), name=name)).status_code == 201
    first, second = await scalars(app, select(Passkey.id).order_by(Passkey.id))

    assert (await ada.post(f"{PAGE}/{first}", form={"name": "Work <b>"})).location == PAGE
    assert await names(app) == ["Work <b>", "Schlüssel 🔑"]
    assert "Work &lt;b&gt;" in await page(ada, PAGE)
    assert 'value="Work &lt;b&gt;"' in await page(ada, f"{PAGE}/{first}")
    assert (await ada.post(f"{PAGE}/{second}/remove")).location == PAGE
    assert await names(app) == ["Work <b>"]

    assert [await events(app, event) for event in ("passkey_added", "passkey_removed")] == [2, 1]
    alerts = [mail for mail in await mails(app) if mail.template.startswith("passkey")]
    assert [mail.template for mail in alerts] == ["passkey_added", "passkey_added", "passkey_removed"]
    assert all(mail.purpose == "not-me" for mail in alerts)
    assert "Passkey removed" in await page(ada, "/account/activity")


async def test_a_name_is_one_short_line(app: Quart, ada: TestClientProtocol) -> None:
    await added(ada)
    (id_,) = await scalars(app, select(Passkey.id))
    for name, message in (("", "Enter a name."), ("x" * 51, "This name is too long."), ("a\nb", "This name contains")):
        assert (await error_beside(await ada.post(f"{PAGE}/{id_}", form={"name": name}), "name")).startswith(message)
        response = await add(ada, Authenticator(), name=name)
        assert (await response.get_json())["error"]["message"].startswith(message)
    assert await names(app) == ["Laptop"]


async def test_an_account_has_a_limited_number_of_passkeys(
    app: Quart, ada: TestClientProtocol, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passkeys, "MAX_PASSKEYS", 2)
    options = [await options_of(ada, PAGE) for _ in range(5)]

    statuses = await at_once(send(ada, PAGE, Authenticator().create(each), name="x") for each in options)
    assert (statuses, await count(app, Passkey)) == ({201: 2, 422: 3}, 2)
    assert "Remove one first." in await page(ada, PAGE)


async def test_every_page_and_change_needs_a_fresh_login_of_the_user(
    app: Quart, ada: TestClientProtocol, frozen_clock: FrozenClock
) -> None:
    await create_user(app, BOB)
    laptop, bob = await added(ada), await enter(app, BOB)
    (id_,) = await scalars(app, select(Passkey.id))
    assert (await bob.get(f"{PAGE}/{id_}")).status_code == 404
    assert (await bob.post(f"{PAGE}/{id_}", form={"name": "x"})).status_code == 404
    await bob.post(f"{PAGE}/{id_}/remove")
    assert await names(app) == ["Laptop"]

    credential = laptop.create(await options_of(ada, PAGE))
    frozen_clock.forward(timedelta(minutes=21))
    for path in (PAGE, f"{PAGE}/{id_}"):
        assert (await ada.get(path)).location == f"/verify?next={path}"
    for path in (f"{PAGE}/{id_}", f"{PAGE}/{id_}/remove"):
        assert (await ada.post(path, form={"name": "x"})).location.startswith("/verify")
    for path in (PAGE, f"{PAGE}/options"):
        assert (await ada.post(path, json={"credential": credential, "name": "x"}, headers=JSON)).status_code == 401
    assert await names(app) == ["Laptop"]
