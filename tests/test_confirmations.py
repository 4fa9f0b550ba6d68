"""E-mail addresses that have to be confirmed (SECURITY_CONFIRMABLE): registering one of another user gains nothing."""

from datetime import timedelta
from typing import Any

import pytest
from quart import Quart, Response
from quart.typing import TestClientProtocol

from app.auth.email_links import verify_token
from app.models.user_token import TokenPurpose
from app.services import email_confirmation
from app.services.client import COMMAND_LINE
from app.services.email_confirmation import PasswordNeeded
from support.actions import (
    EMAIL,
    attacker_with,
    can_log_in,
    cookie_of,
    error_beside,
    is_logged_in,
    log_in,
    page,
    register,
)
from support.app import both_databases, serving
from support.email_links import NEW_PASSWORD, TYPED, check_refused, join, whole_database
from support.frozen_clock import FrozenClock
from support.mail_helpers import follow, link, mails, rendered_emails

ATTACKERS_PASSWORD = "the password of an attacker"


@pytest.fixture
def settings(settings: dict[str, Any]) -> dict[str, Any]:
    return settings | {"SECURITY_CONFIRMABLE": True}


async def request_again(client: TestClientProtocol, email: str = EMAIL) -> Response:
    return await client.post("/confirm", form={"email": email})


async def link_of_an_attacker(app: Quart) -> str:
    """Have an attacker register the e-mail address; return the link that its owner receives."""
    await register(app.test_client(), password=ATTACKERS_PASSWORD)
    return await link(app, "confirm")


@both_databases
async def test_a_user_registers_confirms_the_email_address_and_logs_in(app: Quart, client: TestClientProtocol) -> None:
    response = await register(client)

    assert (response.status_code, response.location) == (303, "/login")
    assert f"we have sent a link to {EMAIL}." in await page(client, "/login")
    assert not await is_logged_in(client)
    assert (await log_in(client)).status_code == 422
    assert [(mail.template, mail.recipient) for mail in await mails(app)] == [("confirm", EMAIL)]
    path = await link(app, "confirm")
    assert "new_password" not in await page(client, path)
    confirmed = await client.post(path)
    assert (confirmed.status_code, confirmed.location) == (303, "/login")
    assert "Your e-mail address is confirmed. You can log in now." in await page(client, "/login")
    assert (await log_in(client)).status_code == 303


async def test_registering_a_taken_email_address_leaves_its_account_as_it_is_and_tells_the_owner(app: Quart) -> None:
    owner = await join(app)
    before = await whole_database(app)

    await register(app.test_client(), email="ADA@example.com", password=ATTACKERS_PASSWORD)

    after = await whole_database(app)
    assert {table for table in before if before[table] != after[table]} <= {"mail", "throttle"}
    assert await is_logged_in(owner)
    (message,) = await rendered_emails(app, "email_taken", to=EMAIL)
    assert message.link is None
    assert "reset your password at http://localhost:5000/reset" in message.text
    app.config["SECURITY_RECOVERABLE"] = False
    (message,) = await rendered_emails(app, "email_taken")
    assert "/login" in message.text
    assert "/reset" not in message.text + message.html


@both_databases
async def test_an_attacker_who_registers_before_the_owner_gains_nothing(app: Quart) -> None:
    attacker, owner = app.test_client(), app.test_client()
    await register(attacker, password=ATTACKERS_PASSWORD)
    await register(owner)

    path = await link(app, "confirm")
    assert "The account was created in another browser." in await page(owner, path)
    for password in ("", "short", EMAIL):
        assert await error_beside(await owner.post(path, form=dict.fromkeys(TYPED, password)), "new_password")
    assert await follow(owner, path, **TYPED) == 303

    assert not await can_log_in(app, password=ATTACKERS_PASSWORD)
    assert not await is_logged_in(attacker)
    assert await can_log_in(app, password=NEW_PASSWORD)


@both_databases
async def test_an_attacker_who_registers_after_the_owner_gains_nothing(app: Quart) -> None:
    owner = app.test_client()
    await register(owner)
    path = await link_of_an_attacker(app)

    text = await page(owner, path)
    assert "keeps the password that was chosen in this browser" in text  # which is that of the owner
    assert "new_password" not in text
    assert (await owner.post(path)).status_code == 303

    assert not await can_log_in(app, password=ATTACKERS_PASSWORD)
    assert await can_log_in(app)


async def test_an_account_from_before_confirms_its_email_address_with_a_new_password(settings: dict[str, Any]) -> None:
    async with serving(settings | {"SECURITY_CONFIRMABLE": False}) as app:
        await register(attacker := app.test_client(), password=ATTACKERS_PASSWORD)
        client = await join(app, "confirmed@example.com")
        assert [(await client.get("/confirm")).status_code, (await request_again(client)).status_code] == [404, 404]
        assert "/confirm" not in await page(app.test_client(), "/login")
    async with serving(settings) as app:
        attacker, client = attacker_with(app, cookie_of(attacker)), app.test_client()
        assert not await is_logged_in(attacker)  # until the address is confirmed, which ends every session
        assert await can_log_in(app, "confirmed@example.com")
        assert not await can_log_in(app, password=ATTACKERS_PASSWORD)
        assert 'href="/confirm"' in await page(client, "/login")
        await request_again(client)
        assert await follow(client, await link(app, "confirm"), **TYPED) == 303
        assert not await is_logged_in(attacker)
        assert [await can_log_in(app, password=each) for each in (ATTACKERS_PASSWORD, NEW_PASSWORD)] == [False, True]


async def test_a_newer_link_takes_the_place_of_the_older_and_keeps_the_password_of_the_browser(
    app: Quart, client: TestClientProtocol
) -> None:
    await register(client)
    first = await link(app, "confirm")

    response = await request_again(client, " ADA@Example.com ")

    assert (response.status_code, response.location) == (303, "/login")
    await check_refused(app.test_client(), first)
    assert await follow(client, await link(app, "confirm")) == 303
    assert await can_log_in(app)


async def test_a_browser_keeps_the_password_of_its_registration_for_five_days(
    app: Quart, client: TestClientProtocol, frozen_clock: FrozenClock
) -> None:
    await register(client)
    frozen_clock.forward(timedelta(days=5))
    await request_again(client)

    assert "The account was created in another browser." in await page(client, await link(app, "confirm"))


async def test_without_the_fingerprint_of_this_browser_the_service_demands_a_new_password(app: Quart) -> None:
    path = await link_of_an_attacker(app)
    async with app.app_context():
        token = verify_token(path.rpartition("/")[2], purpose=TokenPurpose.CONFIRM)
        for fingerprint in (None, "", "0" * 64):
            with pytest.raises(PasswordNeeded):
                await email_confirmation.confirm(token, fingerprint=fingerprint, new_password=None, client=COMMAND_LINE)

    assert (await app.test_client().get(path)).status_code == 200  # the token was not consumed
