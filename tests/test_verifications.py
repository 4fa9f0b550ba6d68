"""Reauthentication: a sensitive page needs a fresh login, and keeps the typed text until then."""

import re
from datetime import timedelta

import pytest
from quart import Quart, Response
from quart.typing import TestClientProtocol
from sqlalchemy import select

from app.models import User, UserSession
from support.account_page import value_in
from support.actions import (
    PASSWORD,
    attacker_with,
    cookie_of,
    count,
    create_user,
    enter,
    error_beside,
    is_logged_in,
    owner_on,
    page,
    scalars,
)
from support.app import both_databases
from support.frozen_clock import FrozenClock
from support.mail_helpers import mails
from support.preserved_input import kept_in_cookie

BOB = "bob@example.com"
NEW = "lovelace@example.com"
SENSITIVE = ["/change-email", "/account/delete"]
JSON = {"Accept": "application/json"}
SECOND = timedelta(seconds=1)
TEN, TWENTY, HOUR = timedelta(minutes=10), timedelta(minutes=20), timedelta(hours=1)


@pytest.fixture
async def ada(app: Quart, frozen_clock: FrozenClock) -> TestClientProtocol:
    """Return the browser of a user who has just logged in; the clock stands still."""
    await create_user(app)
    return await enter(app)


async def verify(client: TestClientProtocol, password: str = PASSWORD, path: str = "", **headers: str) -> Response:
    return await client.post("/verify", form={"password": password, "next": path}, headers=headers)


async def is_open(client: TestClientProtocol, path: str = "/change-email") -> bool:
    """Return whether a sensitive page opens. Otherwise it redirects to the reauthentication."""
    response = await client.get(path)
    assert (response.status_code, response.location) in ((200, None), (303, f"/verify?next={path}"))
    return response.status_code == 200


async def is_accepted(client: TestClientProtocol, email: str = NEW) -> bool:
    """Return whether the form of a sensitive page is accepted. Otherwise it redirects to the reauthentication."""
    response = await client.post("/change-email", form={"email": email})
    assert (response.status_code, response.location) in ((303, "/account"), (303, "/verify?next=/change-email"))
    return response.location == "/account"


async def test_a_sensitive_page_opens_for_ten_minutes_after_a_login(
    app: Quart, ada: TestClientProtocol, frozen_clock: FrozenClock
) -> None:
    opened = []
    for step in (timedelta(0), TEN, SECOND):
        frozen_clock.forward(step)
        opened.append([await is_open(ada, path) for path in SENSITIVE])

    assert opened == [[True, True], [True, True], [False, False]]
    assert await is_logged_in(ada)
    app.config["SECURITY_FRESHNESS"] = 11
    assert await is_open(ada)


async def test_the_form_of_a_sensitive_page_is_accepted_for_twenty_minutes(
    app: Quart, ada: TestClientProtocol, frozen_clock: FrozenClock
) -> None:
    frozen_clock.forward(TWENTY)
    assert await is_accepted(ada, "in-time@example.com")
    frozen_clock.forward(SECOND)
    assert not await is_accepted(ada, "late@example.com")
    late = await ada.post("/account/delete", form={"password": PASSWORD})

    assert late.location == "/verify?next=/account/delete"
    assert await count(app, User) == 1
    assert not await mails(app, to="late@example.com")


@both_databases
async def test_a_reauthentication_is_as_good_as_a_login_and_replaces_the_token(
    app: Quart, ada: TestClientProtocol, frozen_clock: FrozenClock
) -> None:
    before, attacker = await scalars(app, select(UserSession.id)), attacker_with(app, cookie_of(ada))
    assert await is_logged_in(attacker)
    frozen_clock.forward(timedelta(hours=3))

    response = await verify(ada)

    assert (response.status_code, response.location) == (303, "/")
    assert await scalars(app, select(UserSession.id)) == before
    assert (await is_logged_in(ada), await is_logged_in(attacker)) == (True, False)
    frozen_clock.forward(TEN)
    assert await is_open(ada)
    frozen_clock.forward(SECOND)
    assert (await is_open(ada), await is_accepted(ada)) == (False, True)
    assert (await page(ada, "/account/activity")).count("Identity confirmed") == 1


async def test_after_the_reauthentication_the_user_continues_with_the_typed_text(
    ada: TestClientProtocol, frozen_clock: FrozenClock
) -> None:
    owner = await owner_on(ada, "/change-email")
    frozen_clock.forward(TWENTY + SECOND)
    late = await ada.post("/change-email", form={"owner": owner, "email": NEW, "name": "Ada Lovelace"})

    wrong = await verify(ada, "wrong horse", "/change-email")
    for shown in (await page(ada, str(late.location)), await wrong.get_data(as_text=True)):
        assert 'name="next" type="hidden" value="/change-email"' in shown
    assert (await verify(ada, PASSWORD, "/change-email")).location == "/change-email"

    assert "Ada Lovelace" not in await page(ada, "/account")  # another page does not show it
    assert [await value_in(ada, "email", "/change-email") for _ in range(2)] == [NEW, ""]  # it is shown once


async def test_no_password_is_kept_in_a_cookie(app: Quart, ada: TestClientProtocol, frozen_clock: FrozenClock) -> None:
    fields = ("password", "new_password", "new_password_confirm", "Password", "PASSWORD", "passwd", "pass", "current")
    form = {"email": NEW, "owner": await owner_on(ada, "/change-email")}
    form |= {name: f"{PASSWORD} in {name}" for name in fields}
    frozen_clock.forward(TWENTY + SECOND)

    for path in SENSITIVE:
        await ada.post(path, form=form)
        kept = repr(kept_in_cookie(app, ada))
        assert (NEW in kept, PASSWORD in kept) == (True, False)
    await verify(ada, f"wrong {PASSWORD}")
    assert PASSWORD not in repr(kept_in_cookie(app, ada)) + await page(ada, "/verify")


async def test_a_reauthentication_counts_for_one_session_alone(
    app: Quart, ada: TestClientProtocol, frozen_clock: FrozenClock
) -> None:
    await create_user(app, BOB)
    other, bob = await enter(app), await enter(app, BOB)
    frozen_clock.forward(HOUR)
    await enter(app)  # a login in another browser does not count either

    assert (await verify(ada)).status_code == 303

    for is_fresh in (is_open, is_accepted):
        assert [await is_fresh(browser) for browser in (ada, other, bob)] == [True, False, False]


async def test_a_wrong_password_is_refused_and_not_shown(
    app: Quart, ada: TestClientProtocol, frozen_clock: FrozenClock
) -> None:
    await create_user(app, BOB, "the password of bob")
    frozen_clock.forward(HOUR)
    wrong = ("", " ", "wrong horse", PASSWORD.upper(), PASSWORD + " ", PASSWORD[:-1], "x" * 5000, "the password of bob")

    for password in wrong:
        response = await ada.post("/verify", form={"password": password, "email": BOB})
        assert re.match("Th|Enter", await error_beside(response, "password"))
        assert not re.search(r'type="password"[^>]*value="[^"]', await response.get_data(as_text=True))

    assert await is_logged_in(ada)
    assert not await is_open(ada)
    assert "Identity confirmed" not in await page(ada, "/account/activity")


async def test_json_clients_get_401_and_reauthenticate_like_a_browser(
    app: Quart, ada: TestClientProtocol, frozen_clock: FrozenClock
) -> None:
    frozen_clock.forward(HOUR)
    form = {"email": NEW, "password": PASSWORD}
    responses = [await ada.get(path, headers=JSON) for path in SENSITIVE]
    responses += [await ada.post(path, form=form, headers=JSON) for path in SENSITIVE]

    assert {response.status_code for response in responses} == {401}
    assert {(await response.get_json())["error"]["code"] for response in responses} == {"unauthorized"}
    assert not any(response.headers.getlist("Set-Cookie") for response in responses)
    assert (await count(app, User), await mails(app, to=NEW)) == (1, [])
    wrong = await verify(ada, "wrong horse", **JSON)
    assert (await wrong.get_json())["error"]["fields"] == {"password": "The password is wrong."}
    assert (await verify(ada, **JSON)).status_code == 303
    assert (await ada.get("/change-email", headers=JSON)).status_code == 200
