"""A log-in that ends while somebody fills in a form: they log in again, and what they typed is still there."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from quart import Quart, Response
from quart.typing import TestClientProtocol
from sqlalchemy import delete, update

from app import sweeper
from app.middleware.kept_forms import LONGEST
from app.models import User, UserSession, clock
from conftest import SECRET_KEY, serving
from people import EMAIL, PASSWORD, change_password, cookie_of, create_user, execute, log_in, owner_on, page, thief_with
from test_accounts import field_on_page, stored
from test_verifications import kept_in_cookie, typed_in

BOB = "bob@example.com"
NEW = "lovelace@example.com"
PHONE = "+49301234567"
TYPED = {"name": "Ada Lovelace", "phone": PHONE}
ENDED = "Your log-in has ended. Log in again."
STILL_THERE = "Your log-in has ended. Log in again, and what you typed is still there."

on_sqlite = pytest.mark.parametrize("database_uri", ["sqlite"], indirect=True)


@pytest.fixture
async def ada(app: Quart, client: TestClientProtocol) -> TestClientProtocol:
    """Return the browser of a person who is logged in."""
    await create_user(app)
    await log_in(client)
    return client


async def send_after_the_end(app: Quart, client: TestClientProtocol, path: str = "/account", **typed: str) -> Response:
    """Open a page, and send its form when the log-in has ended."""
    owner = await owner_on(client, path)
    await execute(app, delete(UserSession))
    return await client.post(path, form={"owner": owner} | typed)


async def expire(app: Quart, _client: TestClientProtocol) -> None:
    await execute(app, update(UserSession).values(expires_on=clock.now() - timedelta(seconds=1)))


async def sweep(app: Quart, client: TestClientProtocol) -> None:
    await expire(app, client)
    async with app.app_context():
        await sweeper.sweep_all()


async def log_out_in_another_tab(_app: Quart, client: TestClientProtocol) -> None:
    await client.post("/logout")


async def end_from_elsewhere(app: Quart, _client: TestClientProtocol) -> None:
    other = app.test_client()
    await log_in(other)
    await other.post("/sessions/end-others")


# For whom it is kept


@pytest.mark.parametrize("end", [expire, sweep, log_out_in_another_tab, end_from_elsewhere])
async def test_what_was_typed_outlives_the_log_in(
    app: Quart, ada: TestClientProtocol, end: Callable[[Quart, TestClientProtocol], Awaitable[None]]
) -> None:
    owner = await owner_on(ada, "/account")
    await end(app, ada)

    asked = await ada.post("/account", form=TYPED | {"owner": owner})
    assert (asked.status_code, asked.location) == (303, "/login?next=/account")
    assert STILL_THERE in await page(ada, asked.location)
    assert (await log_in(ada, next="/account")).location == "/account"

    assert await stored(app) == (None, None)  # nothing is saved by itself
    shown = await page(ada, "/account")
    assert 'value="Ada Lovelace"' in shown
    assert f'value="{PHONE}"' in shown
    assert not await field_on_page(ada, "name")  # and only once


@on_sqlite
async def test_an_address_that_was_typed_outlives_the_log_in(app: Quart, ada: TestClientProtocol) -> None:
    asked = await send_after_the_end(app, ada, "/change-email", email=NEW)
    assert asked.location == "/login?next=/change-email"
    await log_in(ada)

    assert await typed_in(ada) == NEW
    assert not await typed_in(ada)


async def test_the_next_person_in_the_same_browser_sees_nothing_of_it(app: Quart, ada: TestClientProtocol) -> None:
    await create_user(app, BOB)
    await send_after_the_end(app, ada, **TYPED)

    await log_in(ada, email=BOB)

    assert not await field_on_page(ada, "name")
    await log_in(ada)
    assert not await field_on_page(ada, "name")  # who opened the page has ended the waiting


@on_sqlite
async def test_a_tab_that_one_person_left_open_keeps_nothing_for_the_next(app: Quart, ada: TestClientProtocol) -> None:
    await create_user(app, BOB)
    hers = await owner_on(ada, "/account")
    await log_in(ada, email=BOB)
    await execute(app, delete(UserSession))

    await ada.post("/account", form=TYPED | {"owner": hers})

    await log_in(ada, email=BOB)
    assert not await field_on_page(ada, "name")


@on_sqlite
async def test_a_page_of_one_person_changes_nothing_of_the_next(app: Quart, ada: TestClientProtocol) -> None:
    owner = await owner_on(ada, "/account")
    await create_user(app, BOB)
    await ada.post("/logout")
    await log_in(ada, email=BOB)

    answer = await ada.post("/account", form={"owner": owner} | TYPED)

    assert (answer.status_code, answer.location) == (303, "/account")
    assert "That page was for somebody else" in await page(ada, "/account")
    assert [await stored(app, email) for email in (EMAIL, BOB)] == [(None, None)] * 2


async def test_a_page_cannot_say_that_it_is_another_persons(app: Quart, ada: TestClientProtocol) -> None:
    bob = await create_user(app, BOB)
    hers = await owner_on(ada, "/account")
    await execute(app, delete(UserSession))

    for owner in ("", str(bob.id), f"{bob.id}.{hers}", hers[::-1], "A" * 43, "é" * 43):
        await ada.post("/account", form=TYPED | {"owner": owner})
        assert (STILL_THERE in await page(ada, "/login")) is (len(owner) == len(hers) and owner.isascii())
        for email in (BOB, EMAIL):
            await log_in(ada, email=email)
            assert not await field_on_page(ada, "name"), owner
        await ada.post("/logout")


@on_sqlite
async def test_an_owner_is_named_by_our_key_alone(settings: dict[str, Any], ada: TestClientProtocol) -> None:
    hers, cookie = await owner_on(ada, "/account"), cookie_of(ada)
    assert await owner_on(ada, "/change-email") == hers

    async with serving(settings | {"SECRET_KEY": "x" * 40, "SECRET_KEY_FALLBACKS": (SECRET_KEY,)}) as other:
        assert await owner_on(thief_with(other, cookie), "/account") != hers


# What is kept


@on_sqlite
async def test_no_password_is_kept_when_the_log_in_has_ended(app: Quart, ada: TestClientProtocol) -> None:
    owner = await owner_on(ada, "/account")
    await execute(app, delete(UserSession))

    await ada.post("/account", form=TYPED | {"owner": owner, "password": PASSWORD})
    await change_password(ada, owner=owner, name="Ada")
    await ada.post("/account/delete", form={"owner": owner, "name": "Ada", "password": PASSWORD})

    assert kept_in_cookie(app, ada)["kept_form"]["fields"] == TYPED
    assert PASSWORD not in repr(kept_in_cookie(app, ada))


@on_sqlite
async def test_a_form_that_keeps_nothing_leads_to_the_log_in_and_says_why(app: Quart, ada: TestClientProtocol) -> None:
    await execute(app, delete(UserSession))

    assert (await change_password(ada)).location == "/login?next=/change"
    shown = await page(ada, "/login")

    assert ENDED in shown
    assert "kept_form" not in kept_in_cookie(app, ada)


@on_sqlite
@pytest.mark.parametrize("letter", ["x", "ü", "🦊"])
async def test_what_is_too_long_is_dropped_and_the_log_in_comes(
    app: Quart, ada: TestClientProtocol, letter: str
) -> None:
    asked = await send_after_the_end(app, ada, name=letter * LONGEST)

    assert (asked.status_code, asked.location) == (303, "/login?next=/account")
    assert all(len(line) < 1000 for line in asked.headers.getlist("Set-Cookie"))
    assert ENDED in await page(ada, "/login")
    await log_in(ada)
    assert not await field_on_page(ada, "name")


@on_sqlite
async def test_a_newer_form_takes_the_place_of_what_was_kept(app: Quart, ada: TestClientProtocol) -> None:
    await send_after_the_end(app, ada, name="A slip")
    await log_in(ada)

    assert (await ada.post("/account", form=TYPED)).status_code == 303

    assert await field_on_page(ada, "name") == "Ada Lovelace"


# Whom it concerns


@on_sqlite
async def test_a_program_is_told_of_the_log_in_and_nothing_is_kept(app: Quart, ada: TestClientProtocol) -> None:
    owner = await owner_on(ada, "/account")
    await execute(app, delete(UserSession))
    headers = {"Accept": "application/json"}

    answer = await ada.post("/account", form=TYPED | {"owner": owner}, headers=headers)

    assert answer.status_code == 401
    assert not kept_in_cookie(app, ada)


@on_sqlite
async def test_a_body_that_is_no_form_leads_to_the_log_in(app: Quart, client: TestClientProtocol) -> None:
    broken = {"Content-Type": "multipart/form-data; boundary=x"}
    bodies: list[dict[str, Any]] = [
        {"json": TYPED | {"owner": "A" * 43}},
        {"data": b"--x\r\nname", "headers": broken},
        {"data": b"name=%ff&owner=\xff", "headers": {"Content-Type": "application/x-www-form-urlencoded"}},
        {"data": b"--x\r\nContent-Disposition: form-data; name=a\r\n\r\n\r\n" * 1100, "headers": broken},
        {"data": b"x", "headers": {"Content-Type": "multipart/form-data"}},
    ]
    for body in bodies:
        answer = await client.post("/account", **body)
        assert (answer.status_code, answer.location) == (303, "/login?next=/account"), body
        assert "kept_form" not in kept_in_cookie(app, client)


@on_sqlite
async def test_whoever_only_looks_gets_no_message_and_no_cookie(client: TestClientProtocol) -> None:
    for path in ("/account", "/change-email", "/change"):
        for answer in (await client.get(path), await client.head(path)):
            assert (answer.status_code, answer.location) == (303, f"/login?next={path}")
            assert not answer.headers.getlist("Set-Cookie")


@on_sqlite
async def test_an_account_that_is_gone_leaves_the_log_in_page(app: Quart, ada: TestClientProtocol) -> None:
    owner = await owner_on(ada, "/account")
    await execute(app, delete(User))

    asked = await ada.post("/account", form=TYPED | {"owner": owner})

    assert (asked.status_code, asked.location) == (303, "/login?next=/account")
