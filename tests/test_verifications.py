"""Sensitive pages: whose password was not shown lately shows it again, and goes on where they were."""

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from quart import Quart, Response
from quart.sessions import SecureCookieSessionInterface
from quart.typing import TestClientProtocol
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.models import User, UserSession, db
from app.services import accounts
from conftest import serving
from letters_read import mails
from people import EMAIL, PASSWORD, change_password, cookie_of, count, create_user, is_logged_in, log_in, owner_on, page
from test_sessions import MovedClock, moved_clock

__all__ = ["moved_clock"]  # a fixture

BOB = "bob@example.com"
NEW = "lovelace@example.com"
NEW_PASSWORD = "another horse battery staple"
SENSITIVE = ["/change-email", "/account/delete"]
AS_A_PROGRAM = {"Accept": "application/json"}
SECOND = timedelta(seconds=1)
TEN, TWENTY = timedelta(minutes=10), timedelta(minutes=20)

on_sqlite = pytest.mark.parametrize("database_uri", ["sqlite"], indirect=True)


async def enter(app: Quart, email: str = EMAIL, **typed: str) -> TestClientProtocol:
    """Return a browser that has logged in."""
    client = app.test_client()
    assert (await log_in(client, email=email, **typed)).status_code == 303
    return client


@pytest.fixture
async def ada(app: Quart, moved_clock: MovedClock) -> TestClientProtocol:
    """Return the browser of a person who has just logged in; the clock stands still."""
    await create_user(app)
    return await enter(app)


async def verify(client: TestClientProtocol, password: str = PASSWORD, **more: Any) -> Response:
    headers = more.pop("headers", None)
    return await client.post("/verify", form={"password": password} | more, headers=headers)


async def is_open(client: TestClientProtocol, path: str = "/change-email") -> bool:
    """Say whether a sensitive page opens, or asks for the password first."""
    answer = await client.get(path)
    if answer.status_code == 200:
        return True
    assert (answer.status_code, answer.location) == (303, f"/verify?next={path}")
    return False


async def is_taken(client: TestClientProtocol, email: str = NEW) -> bool:
    """Say whether what a sensitive page sends is taken, or asks for the password first."""
    answer = await client.post("/change-email", form={"email": email})
    assert answer.status_code == 303
    assert answer.location in ("/account", "/verify?next=/change-email")
    return answer.location == "/account"


async def send_late(client: TestClientProtocol, moved_clock: MovedClock, **typed: str) -> Response:
    """Open the page, and send its form when the password was shown too long ago."""
    owner = await owner_on(client, "/change-email")
    moved_clock.forward(TWENTY + SECOND)
    return await client.post("/change-email", form=typed | {"owner": owner})


async def typed_in(client: TestClientProtocol, path: str = "/change-email") -> str | None:
    """Return what stands in the field for the address."""
    field = re.search(r'<input[^>]*name="email"[^>]*>', await page(client, path))
    value = re.search(r'value="([^"]*)"', field[0]) if field else None
    return unescape(value[1]) if value else None


def kept_in_cookie(app: Quart, client: TestClientProtocol) -> dict[str, Any]:
    """Return what the cookie of Quart's session says; anybody with the browser can read it."""
    values = [cookie.value for cookie in client.cookie_jar or () if cookie.name == "session"]
    assert isinstance(app.session_interface, SecureCookieSessionInterface)
    serializer = app.session_interface.get_signing_serializer(app)
    assert serializer is not None
    return dict(serializer.loads(values[0])) if values and values[0] else {}


async def log_ins(app: Quart) -> list[UserSession]:
    async def query(session: AsyncSession) -> list[UserSession]:
        return list((await session.scalars(select(UserSession).order_by(UserSession.id))).all())

    async with app.app_context():
        return await db.read(query)


# For how long


@pytest.mark.parametrize("path", SENSITIVE)
async def test_a_sensitive_page_opens_for_ten_minutes_after_a_log_in(
    ada: TestClientProtocol, moved_clock: MovedClock, path: str
) -> None:
    assert await is_open(ada, path)
    moved_clock.forward(TEN)
    assert await is_open(ada, path)
    moved_clock.forward(SECOND)
    assert not await is_open(ada, path)
    assert await is_logged_in(ada)


async def test_what_it_sends_is_taken_for_twenty(app: Quart, ada: TestClientProtocol, moved_clock: MovedClock) -> None:
    moved_clock.forward(TEN + SECOND)
    assert await is_taken(ada, "one@example.com")
    moved_clock.forward(TEN - SECOND)
    assert await is_taken(ada, "two@example.com")
    moved_clock.forward(SECOND)
    assert not await is_taken(ada, "three@example.com")

    assert not await mails(app, to="three@example.com")


async def test_an_account_is_deleted_for_twenty_minutes_and_not_later(
    app: Quart, ada: TestClientProtocol, moved_clock: MovedClock
) -> None:
    moved_clock.forward(TWENTY + SECOND)
    late = await ada.post("/account/delete", form={"password": PASSWORD})
    assert (late.status_code, late.location) == (303, "/verify?next=/account/delete")
    assert await count(app, User) == 1

    await verify(ada)
    moved_clock.forward(TWENTY)
    in_time = await ada.post("/account/delete", form={"password": PASSWORD})
    assert (in_time.status_code, in_time.location) == (303, "/")
    assert await count(app, User) == 0


async def test_a_password_that_is_shown_again_counts_from_then(
    ada: TestClientProtocol, moved_clock: MovedClock
) -> None:
    moved_clock.forward(timedelta(hours=3))
    assert (await verify(ada)).status_code == 303

    moved_clock.forward(TEN)
    assert await is_open(ada)
    moved_clock.forward(SECOND)
    assert not await is_open(ada)
    moved_clock.forward(TEN - SECOND)
    assert await is_taken(ada)
    moved_clock.forward(SECOND)
    assert not await is_taken(ada)


@on_sqlite
async def test_the_setting_says_for_how_long(settings: dict[str, Any], moved_clock: MovedClock) -> None:
    async with serving(settings | {"SECURITY_FRESHNESS": "1"}) as app:
        await create_user(app)
        client = await enter(app)

        moved_clock.forward(timedelta(minutes=1))
        assert await is_open(client)
        moved_clock.forward(SECOND)
        assert not await is_open(client)
        moved_clock.forward(timedelta(minutes=1) - SECOND)
        assert await is_taken(client)
        moved_clock.forward(SECOND)
        assert not await is_taken(client)


# What stays as it was


async def test_the_log_in_stays_the_same_row_and_the_same_cookie(
    app: Quart, ada: TestClientProtocol, moved_clock: MovedClock
) -> None:
    (before,), cookie = await log_ins(app), cookie_of(ada)
    moved_clock.forward(timedelta(hours=1))

    answer = await verify(ada)

    (after,) = await log_ins(app)
    assert not [line for line in answer.headers.getlist("Set-Cookie") if line.startswith("auth=")]
    assert cookie_of(ada) == cookie
    assert (after.id, after.digest, after.created_on) == (before.id, before.digest, before.created_on)
    assert after.authenticated_on == before.authenticated_on + timedelta(hours=1)


async def test_a_log_in_that_is_remembered_is_asked_too_and_stays_remembered(
    app: Quart, moved_clock: MovedClock
) -> None:
    await create_user(app)
    client = await enter(app, remember="y")
    moved_clock.forward(timedelta(days=29))
    assert not await is_open(client)

    assert (await verify(client, next="/change-email")).location == "/change-email"

    assert await is_open(client)
    moved_clock.forward(timedelta(days=29))
    assert await is_logged_in(client)
    assert not await is_open(client)


async def test_what_was_typed_stands_in_the_form_again(ada: TestClientProtocol, moved_clock: MovedClock) -> None:
    asked = await send_late(ada, moved_clock, email=NEW)

    assert f'name="next" type="hidden" value="{SENSITIVE[0]}"' in await page(ada, str(asked.location))
    back = await verify(ada, next="/change-email")

    assert back.location == "/change-email"
    assert await typed_in(ada) == NEW
    assert await is_taken(ada)
    assert not await typed_in(ada)  # and only once


@on_sqlite
async def test_what_was_typed_waits_while_the_password_is_wrong(
    ada: TestClientProtocol, moved_clock: MovedClock
) -> None:
    await send_late(ada, moved_clock, email=NEW)

    wrong = await verify(ada, "wrong horse", next="/change-email")
    assert 'name="next" type="hidden" value="/change-email"' in await wrong.get_data(as_text=True)
    await verify(ada, next="/change-email")

    assert await typed_in(ada) == NEW


@on_sqlite
async def test_what_was_typed_on_one_page_is_not_put_into_another(
    ada: TestClientProtocol, moved_clock: MovedClock
) -> None:
    await send_late(ada, moved_clock, email=NEW, name="Ada", phone="+49301234567")
    await verify(ada)

    assert "+49301234567" not in await page(ada, "/account")
    assert await typed_in(ada) == NEW  # which has waited


async def test_what_one_person_typed_is_not_shown_to_the_next_in_the_same_browser(
    app: Quart, ada: TestClientProtocol, moved_clock: MovedClock
) -> None:
    await create_user(app, BOB)
    await send_late(ada, moved_clock, email=NEW)
    await ada.post("/logout")

    await log_in(ada, email=BOB)

    assert not await typed_in(ada)
    await log_in(ada)
    assert not await typed_in(ada)


@on_sqlite
async def test_no_password_is_ever_kept_in_a_cookie(
    app: Quart, ada: TestClientProtocol, moved_clock: MovedClock
) -> None:
    fields = ("password", "new_password", "new_password_confirm", "Password", "PASSWORD", "passwd", "pass", "current")
    form = {"email": NEW} | {name: f"{PASSWORD} in {name}" for name in fields}

    await send_late(ada, moved_clock, **form)
    assert NEW in repr(kept_in_cookie(app, ada))
    assert PASSWORD not in repr(kept_in_cookie(app, ada))
    await ada.post("/account/delete", form=form)
    await verify(ada, f"wrong {PASSWORD}")

    assert PASSWORD not in repr(kept_in_cookie(app, ada))
    assert PASSWORD not in await page(ada, "/verify")


@on_sqlite
@pytest.mark.parametrize("letters", [range(0x61, 0x7B), range(0x4E00, 0x9FFF), range(0x20000, 0x2A6DF)])
async def test_a_form_that_is_too_long_for_a_cookie_is_not_kept_and_breaks_nothing(
    ada: TestClientProtocol, moved_clock: MovedClock, letters: range
) -> None:
    for length in (900, 5000):
        typed = "".join(chr(letters[number * number * 7919 % len(letters)]) for number in range(length))
        answer = await send_late(ada, moved_clock, email=typed)
        assert (answer.status_code, answer.location) == (303, "/verify?next=/change-email")
        assert all(len(line) < 4096 for line in answer.headers.getlist("Set-Cookie"))
        assert (await verify(ada)).status_code == 303
        assert await is_open(ada)


# Where it leads


@on_sqlite
async def test_the_person_goes_on_where_they_were_going(ada: TestClientProtocol, moved_clock: MovedClock) -> None:
    moved_clock.forward(TEN + SECOND)
    asked = await ada.get("/account/delete")

    assert f'value="{SENSITIVE[1]}"' in await page(ada, str(asked.location))
    answer = await verify(ada, next="/account/delete")

    assert (answer.status_code, answer.location) == (303, "/account/delete")
    assert await is_open(ada, "/account/delete")
    assert (await verify(ada)).location == "/"


# Whose proof it is


async def test_the_proof_belongs_to_one_log_in_alone(
    app: Quart, ada: TestClientProtocol, moved_clock: MovedClock
) -> None:
    await create_user(app, BOB)
    other, bob = await enter(app), await enter(app, BOB)
    moved_clock.forward(timedelta(hours=1))

    assert (await verify(ada)).status_code == 303

    assert [await is_open(browser) for browser in (ada, other, bob)] == [True, False, False]
    assert [await is_taken(browser) for browser in (ada, other, bob)] == [True, False, False]


@on_sqlite
async def test_a_log_in_elsewhere_is_no_proof_here(
    app: Quart, ada: TestClientProtocol, moved_clock: MovedClock
) -> None:
    moved_clock.forward(timedelta(hours=1))

    assert await is_open(await enter(app))

    assert not await is_open(ada)


@on_sqlite
async def test_the_password_of_another_person_is_no_proof(
    app: Quart, ada: TestClientProtocol, moved_clock: MovedClock
) -> None:
    await create_user(app, BOB, NEW_PASSWORD)
    moved_clock.forward(timedelta(hours=1))

    answer = await verify(ada, NEW_PASSWORD, email=BOB)

    assert answer.status_code == 422
    assert not await is_open(ada)


async def test_a_wrong_password_is_no_proof_and_is_not_shown(ada: TestClientProtocol, moved_clock: MovedClock) -> None:
    moved_clock.forward(timedelta(hours=1))

    for password in ("", " ", "wrong horse", PASSWORD.upper(), PASSWORD + " ", PASSWORD[:-1], "x" * 5000):
        answer = await verify(ada, password)
        shown = await answer.get_data(as_text=True)
        assert answer.status_code == 422
        assert re.search(r'id="password-error"[^>]*>(This|Enter)', shown)
        assert not re.search(r'type="password"[^>]*value="[^"]', shown)

    assert await is_logged_in(ada)
    assert not await is_open(ada)


async def test_a_stranger_is_asked_to_log_in(app: Quart, client: TestClientProtocol) -> None:
    await create_user(app)

    for answer in (await client.get("/verify?next=/change-email"), await verify(client)):
        assert (answer.status_code, str(answer.location).split("?")[0]) == (303, "/login")
    for path in SENSITIVE:
        assert (await client.get(path)).location == f"/login?next={path}"
        assert (await client.post(path)).location == f"/login?next={path}"
    assert not await is_logged_in(client)


async def test_a_log_in_that_ends_meanwhile_does_not_come_back(
    app: Quart, ada: TestClientProtocol, moved_clock: MovedClock
) -> None:
    other = await enter(app)
    moved_clock.forward(timedelta(hours=1))

    verified, ended = await asyncio.gather(verify(ada), other.post("/sessions/end-others"))

    assert (verified.status_code, ended.status_code) == (303, 303)
    assert not await is_logged_in(ada)
    assert await count(app, UserSession) == 1


async def test_a_proof_that_races_a_change_of_the_password_is_worth_nothing(
    app: Quart, ada: TestClientProtocol, moved_clock: MovedClock
) -> None:
    other = await enter(app)
    moved_clock.forward(timedelta(hours=1))

    _, changed = await asyncio.gather(verify(ada), change_password(other))

    assert changed.status_code == 303
    assert not await is_logged_in(ada)
    assert [row.authenticated_on for row in await log_ins(app)] == [moved_clock.now()]


@on_sqlite
async def test_a_proof_is_told_of_and_a_refused_one_is_not(ada: TestClientProtocol) -> None:
    await verify(ada, "wrong horse")
    assert "The password was entered again" not in await page(ada, "/account/activity")
    await verify(ada)
    assert (await page(ada, "/account/activity")).count("The password was entered again") == 1


# Programs


@pytest.mark.parametrize("path", SENSITIVE)
async def test_a_program_is_told_that_the_log_in_is_too_old(
    app: Quart, ada: TestClientProtocol, moved_clock: MovedClock, path: str
) -> None:
    moved_clock.forward(TEN + SECOND)
    answers = [await ada.get(path, headers=AS_A_PROGRAM)]
    moved_clock.forward(TEN)
    form = {"email": NEW, "password": PASSWORD}
    answers.append(await ada.post(path, form=form, headers=AS_A_PROGRAM))

    assert [answer.status_code for answer in answers] == [401, 401]
    assert {(await answer.get_json())["error"]["code"] for answer in answers} == {"unauthorized"}
    assert not any(answer.headers.getlist("Set-Cookie") for answer in answers)
    assert await count(app, User) == 1
    assert not await mails(app, to=NEW)


@on_sqlite
async def test_a_program_shows_the_password_like_anybody_else(ada: TestClientProtocol, moved_clock: MovedClock) -> None:
    moved_clock.forward(timedelta(hours=1))

    wrong = await verify(ada, "wrong horse", headers=AS_A_PROGRAM)
    right = await verify(ada, headers=AS_A_PROGRAM)

    assert (wrong.status_code, right.status_code) == (422, 303)
    assert (await wrong.get_json())["error"]["fields"] == {"password": "This is not your password."}
    assert (await ada.get("/change-email", headers=AS_A_PROGRAM)).status_code == 200


# Guessing


@pytest.fixture
async def counting(settings: dict[str, Any]) -> AsyncIterator[Quart]:
    """Start an app in which five passwords may be wrong in five minutes."""
    async with serving(settings | {"THROTTLE_WRONG_PASSWORDS_PER_ACCOUNT": "5 per 5 minutes"}) as app:
        await create_user(app)
        yield app


async def test_the_sixth_wrong_password_is_not_looked_at_nor_is_a_right_one(
    counting: Quart, moved_clock: MovedClock
) -> None:
    client, other = await enter(counting), await enter(counting)
    moved_clock.forward(timedelta(hours=1))

    assert [(await verify(client, "wrong horse")).status_code for _ in range(6)] == [422] * 5 + [429]
    refused = await verify(other)  # the account is what counts, not the log-in

    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "300")
    assert not await is_open(client)
    moved_clock.forward(timedelta(minutes=5))
    assert (await verify(client)).status_code == 303


@on_sqlite
async def test_guesses_count_together_wherever_the_password_is_asked_for(
    counting: Quart, moved_clock: MovedClock
) -> None:
    client = await enter(counting)
    ways = {
        "/verify": {"password": "wrong horse"},
        "/account/delete": {"password": "wrong horse"},
        "/change": {"password": "wrong", "new_password": NEW_PASSWORD, "new_password_confirm": NEW_PASSWORD},
    }

    statuses = [(await client.post(path, form=form)).status_code for path, form in [*ways.items()] * 2]

    assert statuses == [422] * 5 + [429]


@on_sqlite
async def test_a_closed_account_proves_nothing(app: Quart, ada: TestClientProtocol) -> None:
    async with app.app_context():
        await db.write(accounts.deactivate, email=EMAIL)

    answer = await verify(ada)

    assert str(answer.location).startswith("/login")
    assert not await is_logged_in(ada)


async def test_of_many_guesses_at_once_five_are_looked_at(counting: Quart, moved_clock: MovedClock) -> None:
    client = await enter(counting)

    answers = await asyncio.gather(*(verify(client, "wrong horse") for _ in range(12)))

    assert Counter(answer.status_code for answer in answers) == {422: 5, 429: 7}
