"""Enrol a second factor, remove it, and replace the recovery codes."""

import re
import sys
from datetime import timedelta
from typing import Any

import pytest
from quart import Quart, websocket
from quart.testing.connections import WebsocketResponseError
from quart.typing import TestClientProtocol
from sqlalchemy import select, update

from app.features.second_factor import totp
from app.features.second_factor.models import RecoveryCode, SecondFactor
from app.features.second_factor.second_factor_bp import second_factor_bp
from app.features.second_factor.tests.authenticator import (
    TOTP,
    Phone,
    confirm,
    enrol,
    enrolled_user,
    enter_code,
    password_entered,
    shown_secret,
)
from app.models import User
from app.services import roles
from support.actions import (
    EMAIL,
    at_once,
    count,
    create_user,
    enter,
    error_beside,
    execute,
    is_logged_in,
    page,
    register,
    scalars,
    write,
)
from support.app import both_databases, serving
from support.email_links import events
from support.frozen_clock import FrozenClock
from support.mail_helpers import link, mails

PAGE, CODES = "/account/second-factor", "/account/second-factor/codes"


@pytest.fixture
async def ada(app: Quart) -> TestClientProtocol:
    """Return a browser of a user with a confirmed e-mail address. No e-mail is delivered."""
    await app.extensions["mail_worker"].stop()
    await create_user(app)
    await confirm(app)
    return await enter(app)


@both_databases
async def test_an_enrolment_stores_nothing_readable_and_shows_ten_codes_once(
    app: Quart, ada: TestClientProtocol
) -> None:
    phone = await enrol(ada)

    assert len(set(phone.recovery_codes)) == 10
    assert phone.recovery_codes[0] not in await page(ada, PAGE)
    stored = [*await scalars(app, select(SecondFactor.secret)), *await scalars(app, select(RecoveryCode.hash))]
    assert len(stored) == 11
    assert all(text.startswith(("gAAAA", "$argon2id$")) for text in stored)


async def test_only_a_correct_code_of_the_shown_secret_enrols(app: Quart, ada: TestClientProtocol) -> None:
    phone = Phone(await shown_secret(ada), [])

    for typed, message in (
        ("", "Enter the code."),
        ("12", "The code is wrong."),
        (phone.wrong_code(), "The code is wrong."),
        (phone.code(5), "The clock of your phone is wrong."),
        ("9" * 101, "This code is too long."),
    ):
        assert (await error_beside(await ada.post(TOTP, form={"code": typed}), "code")).startswith(message)
    assert await count(app, SecondFactor) == 0
    assert await shown_secret(ada) == phone.secret  # a wrong code, or a second tab, keeps the QR code

    spaced = f" {phone.code()[:3]} {phone.code()[3:]} "
    assert (await ada.post(TOTP, form={"code": spaced})).status_code == 303
    assert (await ada.get(TOTP)).location == PAGE


@both_databases
async def test_simultaneous_enrolments_store_one_factor(app: Quart, ada: TestClientProtocol) -> None:
    phone = Phone(await shown_secret(ada), [])

    assert await at_once(ada.post(TOTP, form={"code": phone.code()}) for _ in range(5)) == {303: 5}
    assert [await count(app, table) for table in (SecondFactor, RecoveryCode)] == [1, 10]


@both_databases
async def test_an_enrolment_ends_the_other_sessions(app: Quart, ada: TestClientProtocol) -> None:
    attacker = await enter(app)

    await enrol(ada)

    assert (await attacker.post(f"{TOTP}/remove")).location.startswith("/login")
    assert [await is_logged_in(ada), await count(app, SecondFactor)] == [True, 1]


async def test_an_old_cookie_does_not_show_the_secret_again(app: Quart, ada: TestClientProtocol) -> None:
    secret = await shown_secret(ada)
    assert ada.cookie_jar
    before = [*ada.cookie_jar]
    await enrol(ada)
    for cookie in before:
        ada.cookie_jar.set_cookie(cookie)

    response = await ada.post(TOTP, form={"code": ""})
    assert (response.location, totp.as_text(secret) in str(await response.data)) == (PAGE, False)


@both_databases
async def test_an_unconfirmed_user_must_confirm_the_email_address_first(app: Quart, client: TestClientProtocol) -> None:
    await register(client)
    assert (await client.get(TOTP)).location == PAGE
    assert (await client.post(TOTP, form={"code": "123456"})).location == PAGE
    assert await count(app, SecondFactor) == 0

    await client.post("/account/confirm")
    confirmation = await link(app, "confirm")
    assert "New password" in await page(app.test_client(), confirmation)  # an attacker may have registered it
    assert "New password" not in await page(client, confirmation)
    assert (await client.post(confirmation)).location == "/account"
    assert await is_logged_in(client)
    assert await enrol(client)


async def test_a_link_does_not_confirm_another_email_address(app: Quart, client: TestClientProtocol) -> None:
    await register(client)
    await client.post("/account/confirm")
    confirmation = await link(app, "confirm")
    await execute(app, update(User).values(email="bob@example.com", email_key="bob@example.com"))

    assert (await client.post(confirmation)).status_code == 404
    assert await scalars(app, select(User.confirmed_on)) == [None]


async def test_new_recovery_codes_are_not_shown_later(
    app: Quart, ada: TestClientProtocol, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules[second_factor_bp.import_name], "NEW_CODES_MAX_AGE_SECONDS", -1)

    assert (await enrol(ada)).recovery_codes == []


async def test_every_change_needs_a_fresh_login(app: Quart, ada: TestClientProtocol, frozen_clock: FrozenClock) -> None:
    await enrol(ada)
    frozen_clock.forward(timedelta(minutes=21))

    for path in (f"{TOTP}/remove", CODES, TOTP):
        response = await ada.post(path, form={"code": "123456"})
        assert response.location.startswith("/verify")
    assert (await ada.get(TOTP)).location.startswith("/verify")
    assert [await count(app, table) for table in (SecondFactor, RecoveryCode)] == [1, 10]


@both_databases
async def test_every_change_is_in_the_audit_log_and_alerts_the_user(app: Quart, ada: TestClientProtocol) -> None:
    phone = await enrol(ada)
    await ada.post(CODES)
    replaced = re.findall(r"<code>(\d\d-\w{5}-\w{5})</code>", await page(ada, PAGE))
    browser = await password_entered(app)
    assert (await enter_code(browser, phone.recovery_codes[0])).status_code == 422
    assert (await enter_code(browser, replaced[0])).status_code == 303
    await ada.post(f"{TOTP}/remove")

    expected = ["second_factor_added", "recovery_codes_replaced", "recovery_code_used", "second_factor_removed"]
    alerts = [mail for mail in await mails(app) if mail.template == "second_factor_changed"]
    assert [mail.facts["change"] for mail in alerts] == expected
    assert all(mail.purpose == "not-me" for mail in alerts)
    assert [await events(app, event) for event in expected] == [1, 1, 1, 1]
    assert [await count(app, table) for table in (SecondFactor, RecoveryCode)] == [0, 0]
    assert await is_logged_in(await enter(app))
    for path in (f"{TOTP}/remove", CODES):  # once more, from an old tab
        assert (await ada.post(path)).location == PAGE


def add_websocket(app: Quart) -> None:
    @app.websocket("/ticks")
    async def ticks() -> None:
        await websocket.send("open")


async def receive(client: TestClientProtocol) -> Any:
    async with client.websocket("/ticks") as connection:
        return await connection.receive()


async def test_a_user_with_a_required_role_can_open_only_the_enrolment(settings: dict[str, Any]) -> None:
    async with serving(settings | {"SECOND_FACTOR_REQUIRED_ROLES": ("admin",)}, add_websocket) as app:
        await create_user(app)
        await confirm(app)
        await write(app, roles.create, name="admin")
        ada = await enter(app)
        assert (await ada.get("/account")).status_code == 200

        await write(app, roles.add_to_user, email=EMAIL, role_name="admin")
        for path in ("/account", "/sessions", "/account/delete"):
            assert (await ada.get(path)).location == PAGE
        with pytest.raises(WebsocketResponseError, match="403"):
            await receive(ada)
        assert (await ada.get("/account", headers={"Accept": "application/json"})).status_code == 403
        assert (await ada.get("/")).status_code == 200
        await enrol(ada)
        assert (await ada.get("/account")).status_code == 200
        assert await receive(ada) == "open"


async def test_new_recovery_codes_are_rate_limited(settings: dict[str, Any]) -> None:
    async with serving(settings | {"RATE_LIMIT_NEW_RECOVERY_CODES_PER_ACCOUNT": "3 per minute"}) as app:
        await create_user(app)
        await confirm(app)
        ada = await enter(app)
        await enrol(ada)

        assert [(await ada.post(CODES)).status_code for _ in range(3)] == [303, 303, 429]


@pytest.mark.parametrize("path", [CODES, f"{TOTP}/remove"])
async def test_a_user_cannot_change_the_second_factor_of_another_user(app: Quart, path: str) -> None:
    phone = await enrolled_user(app)
    await create_user(app, "bob@example.com")
    bob = await enter(app, "bob@example.com")

    await bob.post(path)
    assert [await count(app, table) for table in (SecondFactor, RecoveryCode)] == [1, 10]
    assert (await enter_code(await password_entered(app), phone.recovery_codes[0])).location == "/"
