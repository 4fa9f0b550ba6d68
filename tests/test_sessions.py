"""Sessions: logging in and out, how long a session lasts, and when a copied cookie is worthless."""

import hashlib
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from quart import Quart
from quart.typing import TestClientProtocol
from sqlalchemy import delete, select, update

from app.lib import clock
from app.models import User, UserSession
from app.services import users
from support.actions import (
    EMAIL,
    attacker_with,
    change_password,
    cookie_of,
    count,
    create_user,
    enter,
    error_beside,
    execute,
    is_logged_in,
    log_in,
    page,
    register,
    scalars,
    write,
)
from support.app import both_databases
from support.frozen_clock import FrozenClock


async def test_a_refused_login_shows_the_email_address_again_and_never_the_password(
    app: Quart, client: TestClientProtocol
) -> None:
    await create_user(app)

    response = await log_in(client, password="wrong horse battery")

    assert await error_beside(response, "password") == "The e-mail address or the password is wrong."
    shown = await response.get_data(as_text=True)
    assert (f'value="{EMAIL}"' in shown, "wrong horse battery" in shown) == (True, False)
    assert not await is_logged_in(client)


async def test_only_the_digest_of_the_token_is_stored(app: Quart, client: TestClientProtocol) -> None:
    await register(client)

    token = str(app.extensions["QUART_AUTH"][0].load_token(cookie_of(client), app))

    assert await scalars(app, select(UserSession.digest)) == [hashlib.sha256(token.encode()).hexdigest()]


@pytest.mark.programs
def test_a_relationship_and_a_constructor_that_a_developer_adds_to_the_user_work(
    sqlite_template: Path, tmp_path: Path
) -> None:
    (tmp_path / "app.db").write_bytes(sqlite_template.read_bytes())
    command, tests = [sys.executable, "-m", "support.own_relationship", str(tmp_path)], Path(__file__).parent

    ran = subprocess.run(command, cwd=tests, capture_output=True, text=True, check=False)

    assert (ran.returncode, ran.stdout) == (0, "registered"), ran.stderr


async def test_a_login_and_a_new_password_make_a_new_token_and_end_the_old_session(
    app: Quart, client: TestClientProtocol
) -> None:
    await create_user(app)
    await log_in(client)
    for request in (log_in, change_password):
        old = cookie_of(client)

        assert (await request(client)).status_code == 303

        assert cookie_of(client) != old
        assert [await is_logged_in(browser) for browser in (attacker_with(app, old), client)] == [False, True]
        assert await count(app, UserSession) == 1


@both_databases
async def test_logging_out_is_a_post_that_ends_this_session_and_no_other(
    app: Quart, client: TestClientProtocol
) -> None:
    await register(client)
    attacker, other = attacker_with(app, cookie_of(client)), await enter(app)
    assert (await client.get("/logout")).status_code == 405
    assert await is_logged_in(attacker)

    response = await client.post("/logout")

    assert (response.status_code, response.location) == (303, "/")
    assert [await is_logged_in(browser) for browser in (client, attacker, other)] == [False, False, True]
    assert await count(app, UserSession) == 1
    assert (await client.post("/logout")).status_code == 303  # without a session too


async def test_a_session_ends_with_its_account_and_does_not_come_back(app: Quart) -> None:
    await create_user(app)
    deactivated = await enter(app)
    await write(app, users.deactivate, email=EMAIL)
    await write(app, users.activate, email=EMAIL)
    assert not await is_logged_in(deactivated)

    client = await enter(app)
    await execute(app, update(User).values(active=False))
    assert not await is_logged_in(client)
    await execute(app, delete(User))
    assert await count(app, UserSession) == 0


@both_databases
@pytest.mark.parametrize(
    ("remember", "idle", "longest"),
    [("", timedelta(days=1), timedelta(days=30)), ("y", timedelta(days=30), timedelta(days=180))],
)
async def test_a_session_expires_when_it_is_idle_and_at_the_latest_in_the_end(
    app: Quart, frozen_clock: FrozenClock, remember: str, idle: timedelta, longest: timedelta
) -> None:
    await create_user(app)
    client, started = await enter(app, remember=remember), clock.now()

    while clock.now() + idle - timedelta(hours=1) < started + longest:
        frozen_clock.forward(idle - timedelta(hours=1))
        assert await is_logged_in(client)
    frozen_clock.forward(idle - timedelta(minutes=1))
    assert not await is_logged_in(client)

    again = await log_in(client, remember=remember)
    assert ("Max-Age=15552000" in again.headers["Set-Cookie"]) is bool(remember)  # else it ends with the browser
    frozen_clock.forward(idle)
    assert not await is_logged_in(client)


@both_databases
async def test_a_request_is_recorded_at_most_once_a_minute(
    app: Quart, client: TestClientProtocol, frozen_clock: FrozenClock
) -> None:
    await register(client)
    last_seen = select(UserSession.last_seen_on)
    (before,) = await scalars(app, last_seen)

    frozen_clock.forward(timedelta(seconds=59))
    await page(client)
    assert await scalars(app, last_seen) == [before]

    frozen_clock.forward(timedelta(seconds=1))
    await page(client)
    assert await scalars(app, last_seen) == [before + timedelta(seconds=60)]


@both_databases
async def test_an_old_tab_ends_no_newer_session(app: Quart) -> None:
    await create_user(app)
    ada, phone = await enter(app), await enter(app)
    former = max(await scalars(app, select(UserSession.id)))
    await phone.post("/logout")
    phone = await enter(app)

    await ada.post(f"/sessions/{former}/end")
    assert await is_logged_in(phone)
