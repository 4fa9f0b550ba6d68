"""A session that ends while a form is filled in: after the next login, what the user typed is still there."""

from datetime import timedelta
from typing import Any

import pytest
from quart import Quart, Response
from quart.typing import TestClientProtocol
from sqlalchemy import delete, update

from app.auth.preserved_forms import MAX_LENGTH
from app.lib import clock
from app.models import UserSession
from support.account_page import stored_name, value_in
from support.actions import (
    EMAIL,
    PASSWORD,
    attacker_with,
    change_password,
    cookie_of,
    create_user,
    enter,
    execute,
    log_in,
    owner_on,
    page,
)
from support.app import SECRET_KEY, serving
from support.preserved_input import kept_in_cookie

BOB = "bob@example.com"
NEW = "lovelace@example.com"
TYPED = {"name": "Ada Lovelace"}
ENDED = "Your session has expired. Log in again."
STILL_THERE = "Your session has expired. Log in again to continue. Your input was kept."


@pytest.fixture
async def ada(app: Quart) -> TestClientProtocol:
    await create_user(app)
    return await enter(app)


async def send_after_the_end(app: Quart, client: TestClientProtocol, path: str = "/account", **typed: str) -> Response:
    """Open a page, and send its form when the session has ended."""
    owner = await owner_on(client, path)
    await execute(app, delete(UserSession))
    return await client.post(path, form={"owner": owner} | typed)


async def test_what_was_typed_outlives_the_session_however_it_ended(app: Quart, ada: TestClientProtocol) -> None:
    expiry = update(UserSession).values(expires_on=clock.now() - timedelta(seconds=1))
    for end in (execute(app, expiry), execute(app, delete(UserSession)), ada.post("/logout")):
        owner = await owner_on(ada, "/account")
        await end

        refused = await ada.post("/account", form=TYPED | {"owner": owner})
        assert (refused.status_code, refused.location) == (303, "/login?next=/account")
        assert STILL_THERE in await page(ada, refused.location)
        assert (await log_in(ada, next="/account")).location == "/account"

        assert await stored_name(app) is None  # nothing is saved by itself
        assert 'value="Ada Lovelace"' in await page(ada, "/account")
        assert not await value_in(ada, "name")  # it is shown once


async def test_the_next_user_in_the_same_browser_sees_nothing_of_it(app: Quart, ada: TestClientProtocol) -> None:
    await create_user(app, BOB)
    await send_after_the_end(app, ada, **TYPED)

    for email in (BOB, EMAIL):  # when Bob opens the page, what Ada typed is dropped
        await log_in(ada, email=email)
        assert not await value_in(ada, "name")


async def test_the_tab_of_one_user_keeps_nothing_for_the_next_and_changes_nothing(
    app: Quart, ada: TestClientProtocol
) -> None:
    await create_user(app, BOB)
    adas = await owner_on(ada, "/account")
    await log_in(ada, email=BOB)

    refused = await ada.post("/account", form=TYPED | {"owner": adas})
    assert (refused.status_code, refused.location) == (303, "/account")
    assert "This page belonged to another user" in await page(ada, "/account")
    assert [await stored_name(app, email) for email in (EMAIL, BOB)] == [None] * 2

    await execute(app, delete(UserSession))
    await ada.post("/account", form=TYPED | {"owner": adas})
    await log_in(ada, email=BOB)
    assert not await value_in(ada, "name")


async def test_a_form_cannot_claim_to_be_of_another_user(app: Quart, ada: TestClientProtocol) -> None:
    bob = await create_user(app, BOB)
    adas = await owner_on(ada, "/account")
    await execute(app, delete(UserSession))

    for owner in ("", str(bob.id), f"{bob.id}.{adas}", adas[::-1], "A" * 43, "é" * 43):
        await ada.post("/account", form=TYPED | {"owner": owner})
        assert (STILL_THERE in await page(ada, "/login")) is (len(owner) == len(adas) and owner.isascii())
        for email in (BOB, EMAIL):
            await log_in(ada, email=email)
            assert not await value_in(ada, "name"), owner
        await ada.post("/logout")


async def test_the_owner_of_a_form_is_signed_with_our_key(settings: dict[str, Any], ada: TestClientProtocol) -> None:
    adas, cookie = await owner_on(ada, "/account"), cookie_of(ada)
    assert await owner_on(ada, "/change-email") == adas

    async with serving(settings | {"SECRET_KEY": SECRET_KEY[::-1], "SECRET_KEY_FALLBACKS": (SECRET_KEY,)}) as other:
        assert await owner_on(attacker_with(other, cookie), "/account") != adas


async def test_every_form_keeps_its_fields_but_no_password(app: Quart, ada: TestClientProtocol) -> None:
    refused = await send_after_the_end(app, ada, "/change-email", email=NEW)
    assert refused.location == "/login?next=/change-email"
    await log_in(ada)
    assert [await value_in(ada, "email", "/change-email") for _ in range(2)] == [NEW, ""]

    owner = await owner_on(ada, "/account")
    await send_after_the_end(app, ada, "/account", **TYPED, password=PASSWORD)
    await change_password(ada, owner=owner, name="Ada")
    await ada.post("/account/delete", form={"owner": owner, "name": "Ada", "password": PASSWORD})

    assert kept_in_cookie(app, ada)["preserved_form"]["fields"] == TYPED
    assert PASSWORD not in repr(kept_in_cookie(app, ada))


async def test_input_that_is_too_long_is_dropped(app: Quart, ada: TestClientProtocol) -> None:
    for character in ("x", "ü", "🦊"):
        refused = await send_after_the_end(app, ada, name=character * MAX_LENGTH)

        assert (refused.status_code, refused.location) == (303, "/login?next=/account")
        assert all(len(line) < 1000 for line in refused.headers.getlist("Set-Cookie"))
        assert ENDED in await page(ada, "/login")
        await log_in(ada)


async def test_a_json_client_gets_401_and_nothing_is_kept(app: Quart, ada: TestClientProtocol) -> None:
    owner = await owner_on(ada, "/account")
    await execute(app, delete(UserSession))

    response = await ada.post("/account", form=TYPED | {"owner": owner}, headers={"Accept": "application/json"})

    assert response.status_code == 401
    assert not kept_in_cookie(app, ada)


async def test_a_body_that_is_no_form_leads_to_the_login(app: Quart, client: TestClientProtocol) -> None:
    multipart = {"Content-Type": "multipart/form-data; boundary=x"}
    bodies: list[dict[str, Any]] = [
        {"json": TYPED | {"owner": "A" * 43}},
        {"data": b"--x\r\nname", "headers": multipart},
        {"data": b"name=%ff&owner=\xff", "headers": {"Content-Type": "application/x-www-form-urlencoded"}},
        {"data": b"--x\r\nContent-Disposition: form-data; name=a\r\n\r\n\r\n" * 1100, "headers": multipart},
    ]
    for body in bodies:
        response = await client.post("/account", **body)
        assert (response.status_code, response.location) == (303, "/login?next=/account"), body
        assert "preserved_form" not in kept_in_cookie(app, client)
