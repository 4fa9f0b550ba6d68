"""Changing the e-mail address: the new one is confirmed first, the former one can revert it for a week."""

import re
from datetime import timedelta

from quart import Quart, Response
from quart.typing import TestClientProtocol
from sqlalchemy import select

from app.lib import clock
from app.lib.i18n.formatting import format_datetime
from app.models import UserToken
from app.models.user_token import TokenPurpose
from support.actions import (
    EMAIL,
    PASSWORD,
    attacker_with,
    can_log_in,
    change_password,
    cookie_of,
    create_user,
    emails_of_users,
    enter,
    error_beside,
    is_logged_in,
    log_in,
    page,
    register,
    scalars,
)
from support.app import both_databases
from support.email_links import NEW_PASSWORD, TYPED, check_refused, events, join
from support.frozen_clock import FrozenClock
from support.mail_helpers import follow, link, mails, rendered_emails
from support.user_agents import FIREFOX

NEW = "lovelace@example.com"
THIRD = "countess@example.com"
BOB = "bob@example.com"
WEEK = timedelta(days=7)
SECOND = timedelta(seconds=1)
INVALID = "Enter an e-mail address like name@example.com."
REFUSED = {
    "": "Enter your e-mail address.",
    EMAIL: "This is already your e-mail address.",
    "  ADA@Example.COM ": "This is already your e-mail address.",
    "a" * 243 + "@example.com": "This e-mail address is too long.",
    "lovelace@localhost": INVALID,
    "lovelace@example.com,attacker@example.com": INVALID,
    "lovelace@example.com\r\nBcc: attacker@example.com": INVALID,
    "lovelace@example.com\n": INVALID,
    "l\N{CYRILLIC SMALL LETTER O}velace@example.com": INVALID,
}


async def request_change(client: TestClientProtocol, email: str) -> Response:
    return await client.post("/change-email", form={"email": email})


async def requested_link(app: Quart, client: TestClientProtocol, email: str) -> str:
    assert (await request_change(client, email)).status_code == 303
    return await link(app, "change_email", to=email)


async def change(app: Quart, client: TestClientProtocol, email: str) -> None:
    assert await follow(client, await requested_link(app, client, email)) == 303


async def moved_away(app: Quart) -> tuple[TestClientProtocol, str]:
    """Change the e-mail address of an account; return the browser and the link that undoes it."""
    client = await join(app)
    await change(app, client, NEW)
    return client, await link(app, "email_changed", to=EMAIL)


@both_databases
async def test_a_user_verifies_a_new_email_address_and_logs_in_with_it(app: Quart) -> None:
    client, new, shown = await join(app), "o'brien&co@example.com", "o&#39;brien&amp;co@example.com"

    requested = await request_change(client, "  o'brien&co@Example.COM ")

    assert (requested.status_code, requested.location) == (303, "/account")
    assert "we have sent a link to o&#39;brien&amp;co@Example.COM." in await page(client, "/account")
    assert (await can_log_in(app, EMAIL), await can_log_in(app, new)) == (True, False)
    assert not await mails(app, "email_changed")
    path = await link(app, "change_email", to=new)
    assert f"Confirm <strong>{shown}</strong> as your new e-mail address" in await page(client, path)
    verified = await client.post(path)
    assert (verified.status_code, verified.location) == (303, "/account")
    assert f"Your e-mail address is now {shown}." in await page(client, "/account")
    assert (await can_log_in(app, EMAIL), await can_log_in(app, new)) == (False, True)


async def test_the_link_works_in_any_session_of_its_user_also_an_old_one(app: Quart, frozen_clock: FrozenClock) -> None:
    path = await requested_link(app, await join(app), NEW)
    phone = app.test_client()
    assert (await log_in(phone, next=path)).location == path

    frozen_clock.forward(timedelta(minutes=90))  # long after its last fresh login

    assert await follow(phone, path) == 303
    assert await emails_of_users(app) == [NEW]


async def test_an_unsuitable_email_address_is_refused_beside_its_field_and_nothing_is_sent(app: Quart) -> None:
    client = await join(app)

    shown = {typed: await error_beside(await request_change(client, typed), "email") for typed in REFUSED}

    assert shown == REFUSED
    assert not await mails(app, "change_email")


async def test_a_newer_request_voids_the_older_link_whether_or_not_the_email_address_is_taken(app: Quart) -> None:
    client = await join(app)
    await create_user(app, BOB)
    await create_user(app, "closed@example.com", active=False)

    for email in ("free@example.com", BOB, "closed@example.com"):
        path = await requested_link(app, client, NEW)
        await page(client, "/account")
        await request_change(client, email)
        await page(client, "/account")
        await check_refused(client, path)  # else the link would reveal which e-mail addresses are taken
    (message,) = await rendered_emails(app, "email_taken", to=BOB)
    assert message.link is None
    assert EMAIL not in message.text + message.html


# Undoing it from the former e-mail address


async def test_the_former_email_address_is_told_what_changed_from_where_and_with_what(
    app: Quart, frozen_clock: FrozenClock
) -> None:
    client = await join(app)
    path = await requested_link(app, client, NEW)
    await client.post(path, headers={"User-Agent": FIREFOX}, scope_base={"client": ("192.0.2.7", 4711)})

    assert [mail.recipient for mail in await mails(app, "email_changed")] == [EMAIL]
    (alert,) = await rendered_emails(app, "email_changed")

    happened = f"on {format_datetime(clock.now())} (Firefox on Linux, IP address 192.0.2.7)"
    assert f"was changed to {NEW} {happened}." in alert.text
    assert "/undo-email/" in str(alert.link)
    assert "within seven days" in alert.text
    assert "E-mail address changed" in await page(client, "/account/activity")


@both_databases
async def test_undoing_a_change_brings_the_email_address_back_and_lets_only_its_reader_in(app: Quart) -> None:
    bob = await join(app, BOB)
    attacker, undo = await moved_away(app)
    other, owner = await enter(app, NEW), app.test_client()

    assert f"restores <strong>{EMAIL}</strong>" in await page(owner, undo)
    response = await owner.post(undo)

    assert (response.status_code, response.location) == (303, "/login")
    assert "All sessions were ended." in await page(owner, "/login")
    assert await emails_of_users(app) == [BOB, EMAIL]
    assert [await is_logged_in(browser) for browser in (attacker, other, owner, bob)] == [False] * 3 + [True]
    assert not any([await can_log_in(app, email) for email in (EMAIL, NEW)])
    assert await follow(owner, await link(app, "reset", to=EMAIL), **TYPED) == 303
    assert await can_log_in(app, EMAIL, NEW_PASSWORD)
    assert await events(app, "email_change_reverted") == 1


@both_databases
async def test_a_change_can_be_undone_for_a_week_and_the_email_address_is_reserved_as_long(
    app: Quart, frozen_clock: FrozenClock
) -> None:
    _, undo = await moved_away(app)

    frozen_clock.forward(WEEK - SECOND)
    assert (await app.test_client().get(undo)).status_code == 200
    message = await error_beside(await register(app.test_client(), email="ADA@example.com"), "email")
    assert "Another account recently used this e-mail address" in message
    frozen_clock.forward(SECOND)

    await check_refused(app.test_client(), undo)
    assert (await register(app.test_client())).status_code == 303
    assert await emails_of_users(app) == [NEW, EMAIL]


async def test_an_attacker_cannot_prevent_that_a_change_is_undone(app: Quart) -> None:
    attacker, undo = await moved_away(app)

    assert (await change_password(attacker)).status_code == 303
    await attacker.post("/sessions/end-others")
    await app.test_client().post("/reset", form={"email": NEW})
    assert await follow(app.test_client(), await link(app, "reset", to=NEW), **TYPED) == 303
    await follow(app.test_client(), await link(app, "password_changed", to=NEW))

    assert await follow(app.test_client(), undo) == 303
    assert await emails_of_users(app) == [EMAIL]


async def test_an_attacker_who_undoes_first_loses_to_the_owner(app: Quart) -> None:
    attacker, owners = await moved_away(app)
    await change(app, attacker, THIRD)

    assert await follow(app.test_client(), await link(app, "email_changed", to=NEW)) == 303
    assert await emails_of_users(app) == [NEW]
    assert await follow(app.test_client(), await link(app, "reset", to=NEW), **TYPED) == 303
    await app.test_client().post("/reset", form={"email": NEW})
    mailed = [await link(app, template, to=NEW) for template in ("password_changed", "reset")]
    assert await follow(app.test_client(), owners) == 303

    assert await emails_of_users(app) == [EMAIL]
    await check_refused(app.test_client(), *mailed)
    assert await scalars(app, select(UserToken.purpose)) == [TokenPurpose.RESET]


async def test_an_owner_who_returned_by_a_change_is_not_shut_out_by_the_email_address_between(
    app: Quart, frozen_clock: FrozenClock
) -> None:
    owner = await join(app)
    await change(app, attacker_with(app, cookie_of(owner)), NEW)
    frozen_clock.forward(timedelta(hours=20))
    await owner.post("/verify", form={"password": PASSWORD})
    await change(app, owner, EMAIL)

    frozen_clock.forward(WEEK - timedelta(hours=1))  # the owner's link has expired, and a later one would not have
    found = [message.link for message in await rendered_emails(app, "email_changed") if message.link]
    for path in found:
        await app.test_client().post(re.sub(r"^https?://[^/]+", "", path))

    assert found
    assert await emails_of_users(app) == [EMAIL]
