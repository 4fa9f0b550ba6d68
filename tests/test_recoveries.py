"""Recovering an account: a forgotten password, and "this was not me"."""

import time
from datetime import timedelta
from typing import Any

from quart import Quart, Response
from quart.typing import TestClientProtocol
from sqlalchemy import insert, select

from app.lib.email_address import email_key
from app.models import User, UserSession, UserToken
from app.models.user_token import TokenPurpose
from support.actions import (
    EMAIL,
    PASSWORD,
    attacker_with,
    can_log_in,
    comparable,
    cookie_of,
    count,
    create_user,
    enter,
    error_beside,
    execute,
    is_logged_in,
    page,
    register,
    scalars,
)
from support.app import both_databases, serving
from support.email_links import NEW_PASSWORD, TYPED, check_refused, mailed_links, press, whole_database
from support.frozen_clock import FrozenClock
from support.mail_helpers import follow, link
from support.smtp_server import MailServer

BOB = "bob@example.com"
OLD_STYLE = ("ada@localhost", "=ada@example.com", "ada")  # accounts of an older installation may be named so
REFUSED = {
    "": "Choose a new password.",
    "short": "Use at least 8 characters.",
    "12345678": "one of the most common passwords.",
    EMAIL: "Do not use your e-mail address",
}


async def request_reset(client: TestClientProtocol, email: str = EMAIL) -> Response:
    return await client.post("/reset", form={"email": email})


async def requested_link(app: Quart, email: str = EMAIL) -> str:
    assert (await request_reset(app.test_client(), email)).status_code == 303
    return await link(app, "reset", to=email)


@both_databases
async def test_a_forgotten_password_is_replaced_with_a_mailed_link(app: Quart, client: TestClientProtocol) -> None:
    await create_user(app)
    assert 'href="/reset"' in await page(client, "/login")

    requested = await request_reset(client, " ADA@example.com ")

    assert (requested.status_code, requested.location) == (303, "/login")
    assert "If there is an account for this e-mail address, we have sent" in await page(client, "/login")
    path = await link(app, "reset", to=EMAIL)
    assert EMAIL in await page(client, path)
    done = await press(client, path)
    assert (done.status_code, done.location) == (303, "/login")
    assert "Your password was changed" in await page(client, "/login")
    assert not await is_logged_in(client)
    assert [await can_log_in(app, password=password) for password in (PASSWORD, NEW_PASSWORD)] == [False, True]
    assert await follow(client, await link(app, "password_changed", to=EMAIL)) == 303  # the link that undoes it
    assert not await can_log_in(app, password=NEW_PASSWORD)


async def test_an_account_whose_email_address_is_not_valid_any_more_gets_its_link(app: Quart) -> None:
    rows = [{"email": email, "email_key": email_key(email), "active": True} for email in OLD_STYLE]
    await execute(app, insert(User).values(rows))

    for email in OLD_STYLE:
        assert await follow(app.test_client(), await requested_link(app, email), **TYPED) == 303
        assert await can_log_in(app, email, NEW_PASSWORD)


async def test_a_mail_server_that_hangs_delays_no_response_and_makes_no_difference(
    mail_settings: dict[str, Any], mail_server: MailServer
) -> None:
    mail_server.hang.set()
    responses = []
    async with serving(mail_settings) as app:
        await create_user(app)
        began = time.monotonic()
        for email in (EMAIL, "eve@example.com"):
            client = app.test_client()
            responses.append([await comparable(await request_reset(client, email)), await page(client, "/login")])
        assert time.monotonic() - began < 5
        path = await link(app, "reset")
        mail_server.hang.clear()
        await mail_server.arrival()

    assert responses[0] == responses[1]
    assert path in mail_server.text()


async def test_a_reset_ends_every_session_of_the_account_and_of_no_other(app: Quart) -> None:
    await create_user(app)
    await create_user(app, BOB)
    browsers, bob = [await enter(app, remember="y") for _ in range(3)], await enter(app, BOB)
    attacker = attacker_with(app, cookie_of(browsers[0]))

    assert await follow(browsers[0], await requested_link(app), **TYPED) == 303

    assert not any([await is_logged_in(browser) for browser in (*browsers, attacker)])
    assert await is_logged_in(bob)
    assert await count(app, UserSession) == 1


async def test_an_unsuitable_password_changes_nothing_and_the_link_still_works(
    app: Quart, client: TestClientProtocol
) -> None:
    await create_user(app)
    path = await requested_link(app)
    before = await whole_database(app)

    for password, message in REFUSED.items():
        response = await client.post(path, form=dict.fromkeys(TYPED, password))
        assert message in await error_beside(response, "new_password")
    different = await client.post(path, form=TYPED | {"new_password_confirm": "other"})
    assert "The two passwords do not match." in await error_beside(different, "new_password_confirm")

    assert await whole_database(app) == before
    assert await follow(client, path, **TYPED) == 303


async def test_a_reset_confirms_the_email_address_and_shuts_out_the_attacker_who_registered_it(
    settings: dict[str, Any],
) -> None:
    async with serving(settings | {"SECURITY_CONFIRMABLE": True}) as app:
        owner = app.test_client()
        await register(app.test_client(), password="the password of an attacker")
        confirmation = await link(app, "confirm")

        assert await follow(owner, await requested_link(app), **TYPED) == 303

        assert await can_log_in(app, password=NEW_PASSWORD)
        assert not await can_log_in(app, password="the password of an attacker")
        await check_refused(app.test_client(), confirmation)


# "This was not me"


@both_databases
async def test_not_me_ends_every_session_and_mails_a_link_to_a_new_password(app: Quart) -> None:
    await create_user(app)
    await create_user(app, BOB)
    bob, owner, attacker = await enter(app, BOB), await enter(app), await enter(app)
    alert, bobs_alert = [await link(app, "new_login", to=email) for email in (EMAIL, BOB)]

    assert EMAIL in await page(owner, alert)
    assert await is_logged_in(attacker)  # opening changes nothing
    response = await owner.post(alert)

    assert (response.status_code, response.location) == (303, "/login")
    assert "All sessions were ended." in await page(owner, "/login")
    assert [await is_logged_in(browser) for browser in (owner, attacker, bob)] == [False, False, True]
    assert (await bob.get(bobs_alert)).status_code == 200
    assert not await can_log_in(app)
    assert await follow(owner, await link(app, "reset", to=EMAIL), **TYPED) == 303
    assert await can_log_in(app, password=NEW_PASSWORD)


async def test_not_me_keeps_the_older_alerts_and_delivers_them(app: Quart, frozen_clock: FrozenClock) -> None:
    await app.extensions["mail_worker"].stop()
    await create_user(app)
    await enter(app)
    older = await link(app, "new_login")
    frozen_clock.forward(timedelta(minutes=1))
    await enter(app)

    assert await follow(app.test_client(), await link(app, "new_login")) == 303
    assert await link(app, "new_login") == older  # the only e-mail left
    assert await follow(app.test_client(), older) == 303


async def test_not_me_voids_every_link_that_an_attacker_has_requested(app: Quart) -> None:
    await create_user(app)
    await enter(app)
    alert, links = await link(app, "new_login"), await mailed_links(app)

    assert await follow(app.test_client(), alert) == 303

    assert await scalars(app, select(UserToken.purpose).order_by(UserToken.id)) == [
        TokenPurpose.UNDO_EMAIL,
        TokenPurpose.RESET,
    ]
    await check_refused(app.test_client(), alert, links[TokenPurpose.RESET])
