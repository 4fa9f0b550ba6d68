"""Logging in and out, and what a cookie is worth."""

import asyncio
import hashlib
import subprocess
import sys
from datetime import datetime, timedelta
from operator import attrgetter
from pathlib import Path

import pytest
from quart import Quart
from quart.typing import TestClientProtocol
from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm.exc import DetachedInstanceError

from app.models import User, UserSession, clock, db
from app.services import accounts, roles, sessions
from conftest import CHEAP
from people import (
    EMAIL,
    PASSWORD,
    change_password,
    cookie_of,
    count,
    create_user,
    execute,
    is_logged_in,
    log_in,
    page,
    read,
    register,
    thief_with,
    write,
)
from statements import sent_statements


class MovedClock:
    """The program's clock, which stands still and is moved forward."""

    def __init__(self) -> None:
        self.time = clock.now()

    def now(self) -> datetime:
        return self.time

    def forward(self, step: timedelta) -> None:
        self.time += step


@pytest.fixture
def moved_clock(monkeypatch: pytest.MonkeyPatch) -> MovedClock:
    moved = MovedClock()
    monkeypatch.setattr(clock, "now", moved.now)
    return moved


async def test_a_person_logs_in_and_sees_who_they_are(app: Quart, client: TestClientProtocol) -> None:
    await create_user(app)

    answer = await log_in(client)

    assert (answer.status_code, answer.location) == (303, "/")
    assert f"Logged in as <strong>{EMAIL}</strong>" in await page(client)


@pytest.mark.parametrize("typed", [{"password": "wrong horse"}, {"email": "nobody@example.com"}])
async def test_wrong_credentials_are_refused_alike(
    app: Quart, client: TestClientProtocol, typed: dict[str, str]
) -> None:
    await create_user(app)

    answer = await log_in(client, **typed)

    assert answer.status_code == 422
    assert "The address or the password is wrong." in await answer.get_data(as_text=True)
    assert not await is_logged_in(client)


async def test_a_closed_account_and_one_without_a_password_are_refused_like_a_stranger(
    app: Quart, client: TestClientProtocol
) -> None:
    await create_user(app, "closed@example.com", active=False)
    await create_user(app, "none@example.com", password=None)

    for email in ("closed@example.com", "none@example.com", "nobody@example.com"):
        answer = await log_in(client, email=email)
        assert answer.status_code == 422
        assert "The address or the password is wrong." in await answer.get_data(as_text=True)


async def test_an_address_is_the_same_in_any_case_and_with_spaces_around_it(
    app: Quart, client: TestClientProtocol
) -> None:
    await create_user(app, "ada@example.com")

    assert (await log_in(client, email="  ADA@Example.COM ")).status_code == 303


async def test_a_refused_form_keeps_the_address_and_never_the_password(app: Quart, client: TestClientProtocol) -> None:
    answer = await log_in(client, password="wrong horse battery")

    shown = await answer.get_data(as_text=True)
    assert f'value="{EMAIL}"' in shown
    assert "wrong horse battery" not in shown
    assert 'aria-describedby="password-error"' in shown
    assert 'id="password-error"' in shown


async def test_a_log_in_that_is_remembered_outlives_the_browser(app: Quart, client: TestClientProtocol) -> None:
    await create_user(app)

    forgotten = (await log_in(client)).headers["Set-Cookie"]
    remembered = (await log_in(app.test_client(), remember="y")).headers["Set-Cookie"]

    assert "Max-Age" not in forgotten
    assert "Max-Age=15552000" in remembered  # 180 days
    assert all(flag in cookie for cookie in (forgotten, remembered) for flag in ("HttpOnly", "SameSite=Lax", "Path=/"))


async def test_logging_in_goes_where_the_person_was_going(app: Quart, client: TestClientProtocol) -> None:
    await create_user(app)

    asked = await client.get("/change?a=b")

    assert (asked.status_code, asked.location) == (303, "/login?next=/change?a%3Db")
    assert 'name="next" type="hidden" value="/change?a=b"' in await page(client, asked.location)
    assert (await log_in(client, next="/change?a=b")).location == "/change?a=b"
    assert (await client.get("/login?next=/about")).location == "/about"


def secret_in(app: Quart, client: TestClientProtocol) -> str:
    """Return what the cookie of a browser says."""
    return str(app.extensions["QUART_AUTH"][0].load_token(cookie_of(client), app))


async def test_only_the_digest_of_the_secret_is_stored(app: Quart, client: TestClientProtocol) -> None:
    ada = await create_user(app)
    await log_in(client)

    secret = secret_in(app, client)

    (row,) = await read(app, sessions.list_of, user_id=ada.id)
    assert row.digest == hashlib.sha256(secret.encode()).hexdigest()
    assert (row.ip, row.remember) == ("", False)


async def test_the_current_user_is_loaded_with_roles_and_without_secrets(
    app: Quart, client: TestClientProtocol
) -> None:
    await create_user(app, name="Ada")
    await log_in(client)
    for name in ("auditor", "editor"):
        await write(app, roles.create, name=name)
        await write(app, roles.add_to_user, email=EMAIL, role_name=name)

    row = await read(app, sessions.find, secret=secret_in(app, client))

    assert (row.user.email, list(map(str, row.user.roles))) == (EMAIL, ["auditor", "editor"])
    for secret in ("digest", "user.password"):
        with pytest.raises(DetachedInstanceError):
            attrgetter(secret)(row)


def test_a_relationship_and_a_constructor_that_a_developer_adds_to_user_work(
    sqlite_template: Path, tmp_path: Path
) -> None:
    (tmp_path / "app.db").write_bytes(sqlite_template.read_bytes())

    ran = subprocess.run(
        [sys.executable, Path(__file__).with_name("own_table.py"), tmp_path],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (ran.returncode, ran.stdout) == (0, "200 Sketch of the engine\n"), ran.stderr


async def test_logging_in_again_makes_a_new_secret_and_ends_the_old_log_in(
    app: Quart, client: TestClientProtocol
) -> None:
    await create_user(app)
    await log_in(client)
    first = cookie_of(client)
    await log_in(client)

    assert cookie_of(client) != first
    assert not await is_logged_in(thief_with(app, first))
    assert await count(app, UserSession) == 1


async def test_two_browsers_are_two_log_ins(app: Quart) -> None:
    await create_user(app)
    one, other = app.test_client(), app.test_client()
    await log_in(one)
    await log_in(other)

    await one.post("/logout")

    assert not await is_logged_in(one)
    assert await is_logged_in(other)


async def test_a_copied_cookie_is_dead_after_logging_out(app: Quart, client: TestClientProtocol) -> None:
    await register(client)
    thief = thief_with(app, cookie_of(client))
    assert await is_logged_in(thief)

    answer = await client.post("/logout")

    assert (answer.status_code, answer.location) == (303, "/")
    assert not await is_logged_in(client)
    assert not await is_logged_in(thief)
    assert await count(app, UserSession) == 0


async def test_a_copied_cookie_is_dead_after_the_password_was_changed(app: Quart, client: TestClientProtocol) -> None:
    await register(client)
    thief = thief_with(app, cookie_of(client))

    assert (await change_password(client)).status_code == 303

    assert not await is_logged_in(thief)
    assert await is_logged_in(client)


async def test_a_copied_cookie_is_dead_after_the_account_was_closed_also_when_it_opens_again(
    app: Quart, client: TestClientProtocol
) -> None:
    await register(client)
    async with app.app_context():
        await db.write(accounts.deactivate, email=EMAIL)
        assert not await is_logged_in(client)
        await db.write(accounts.activate, email=EMAIL)

    assert not await is_logged_in(client)
    assert (await log_in(client)).status_code == 303


async def test_an_account_that_is_closed_by_hand_is_out_at_its_next_request(
    app: Quart, client: TestClientProtocol
) -> None:
    await register(client)

    await execute(app, update(User).values(active=False))

    assert not await is_logged_in(client)


async def test_a_deleted_user_is_out_and_their_log_ins_are_gone(app: Quart, client: TestClientProtocol) -> None:
    await register(client)

    await execute(app, delete(User))

    assert not await is_logged_in(client)
    assert await count(app, UserSession) == 0


@pytest.mark.parametrize(
    ("remember", "idle", "longest"),
    [("", timedelta(days=1), timedelta(days=30)), ("y", timedelta(days=30), timedelta(days=180))],
)
async def test_a_log_in_expires_when_idle_and_in_the_end(
    app: Quart, client: TestClientProtocol, moved_clock: MovedClock, remember: str, idle: timedelta, longest: timedelta
) -> None:
    await create_user(app)
    await log_in(client, remember=remember)
    started = clock.now()

    while clock.now() + idle - timedelta(hours=1) < started + longest:
        moved_clock.forward(idle - timedelta(hours=1))
        assert await is_logged_in(client)
    moved_clock.forward(idle - timedelta(minutes=1))
    assert not await is_logged_in(client)

    await log_in(client, remember=remember)
    moved_clock.forward(idle)
    assert not await is_logged_in(client)


async def test_a_visit_puts_the_expiry_off_by_the_idle_time_and_no_more(
    app: Quart, client: TestClientProtocol, moved_clock: MovedClock
) -> None:
    await create_user(app)
    await log_in(client)

    moved_clock.forward(timedelta(hours=23))
    assert await is_logged_in(client)
    moved_clock.forward(timedelta(hours=23))
    assert await is_logged_in(client)
    moved_clock.forward(timedelta(hours=24))
    assert not await is_logged_in(client)


async def test_a_visit_is_written_down_at_most_once_a_minute(
    app: Quart, client: TestClientProtocol, moved_clock: MovedClock
) -> None:
    await register(client)
    before = await last_seen(app)

    moved_clock.forward(timedelta(seconds=59))
    await page(client)
    assert await last_seen(app) == before

    moved_clock.forward(timedelta(seconds=1))
    await page(client)
    assert await last_seen(app) == before + timedelta(seconds=60)


async def test_many_requests_at_once_write_a_visit_down_once(
    app: Quart, client: TestClientProtocol, moved_clock: MovedClock
) -> None:
    await register(client)
    for _ in range(2):
        moved_clock.forward(timedelta(minutes=1))
        with sent_statements(app) as sent:
            pages = await asyncio.gather(*(is_logged_in(thief_with(app, cookie_of(client))) for _ in range(20)))

        assert all(pages)
        updates = [statement for statement in sent if statement.startswith("UPDATE user_session")]
        assert 1 <= len(updates) <= 2  # a request may have read the row just before it was written


async def last_seen(app: Quart) -> datetime:
    async def query(session: AsyncSession) -> datetime:
        return (await session.scalars(select(UserSession.last_seen_on))).one()

    async with app.app_context():
        return await db.read(query)


async def test_a_log_in_that_races_a_change_of_password_does_not_survive_it(app: Quart) -> None:
    await create_user(app)
    owner = app.test_client()
    await log_in(owner)
    guests = [app.test_client() for _ in range(10)]

    answers = await asyncio.gather(change_password(owner), *(log_in(guest) for guest in guests))

    assert answers[0].status_code == 303
    assert not any([await is_logged_in(guest) for guest in guests])
    assert await is_logged_in(owner)


async def test_two_first_log_ins_with_an_old_hash_both_succeed(app: Quart) -> None:
    await create_user(app)
    weak = CHEAP.using(argon2__time_cost=1).hash(PASSWORD)
    await execute(app, update(User).values(password=weak))

    answers = await asyncio.gather(*(log_in(app.test_client()) for _ in range(6)))

    assert {answer.status_code for answer in answers} == {303}


async def test_a_deactivation_that_races_log_ins_leaves_nobody_inside(app: Quart) -> None:
    await create_user(app)
    guests = [app.test_client() for _ in range(10)]

    async def close() -> None:
        async with app.app_context():
            await asyncio.sleep(0.05)
            await db.write(accounts.deactivate, email=EMAIL)

    await asyncio.gather(close(), *(log_in(guest) for guest in guests))

    assert not any([await is_logged_in(guest) for guest in guests])
    assert await count(app, UserSession) == 0


async def test_logging_out_needs_no_log_in_and_takes_only_a_post(client: TestClientProtocol) -> None:
    assert (await client.post("/logout")).status_code == 303
    assert (await client.get("/logout")).status_code == 405
