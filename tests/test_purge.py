"""Expired rows are purged: to the second, some at a time, and without delaying requests."""

import asyncio
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import AsyncMock

import pytest
from quart import Quart
from quart.typing import TestClientProtocol
from sqlalchemy import insert, select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from app import background
from app.lib import clock
from app.models import Email, RateLimit, UserEvent, UserSession, UserToken
from app.models.base import Base, UtcDateTime
from app.services import expiry
from app.services.extension_points import Expiring
from app.services.sessions import MAX_SESSIONS
from support.actions import EMAIL, count, create_user, execute, is_logged_in, log_in, register, scalars, write
from support.app import CORE_TABLES, both_databases, on_mariadb, serving
from support.frozen_clock import FrozenClock
from support.outbox import is_logged

TABLES: dict[str, Any] = {
    "throttle": RateLimit,
    "user_session": UserSession,
    "user_token": UserToken,
    "user_event": UserEvent,
    "mail": Email,
}
SECOND = timedelta(seconds=1)

LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


class OwnBase(DeclarativeBase):
    pass


class Missing(OwnBase):
    """A table that the database does not have."""

    __tablename__ = "missing"

    id: Mapped[int] = mapped_column(primary_key=True)
    expires_on: Mapped[datetime] = mapped_column(UtcDateTime)


async def add(app: Quart, table: str, user_id: int, *, expires_on: datetime, rows: int = 1) -> None:
    """Add rows that expire at a time."""

    def columns(number: int) -> dict[str, Any]:
        key = f"{expires_on} {number}"
        expiring = {"user_id": user_id, "expires_on": expires_on}
        by_table: dict[str, dict[str, Any]] = {
            "throttle": {"key": key, "used": 1, "resets_on": expires_on},
            "user_session": expiring | {"digest": key, "ip": "", "user_agent": ""},
            "user_token": expiring | {"digest": key, "purpose": "reset", "email": EMAIL, "email_key": EMAIL},
            "user_event": expiring | {"event": "logged_in", "ip": "", "user_agent": ""},
            "mail": expiring | {"template": "welcome", "recipient": EMAIL, "facts": {}, "due_on": None},
        }
        return by_table[table]

    for start in range(0, rows, 2000):  # each within DATABASE_TIMEOUT, on a slow machine too
        some = [columns(number) for number in range(start, min(start + 2000, rows))]
        await write(app, lambda session, some: session.execute(insert(TABLES[table]), some), some)


async def left(app: Quart) -> dict[str, int]:
    """Return how many rows there are in each table in which rows expire."""
    return {name: rows for name, model in TABLES.items() if (rows := await count(app, model))}


async def purge(app: Quart) -> int:
    async with app.app_context():
        return await background.purge_all()


async def test_every_table_in_which_rows_expire_is_purged_by_an_index(app: Quart) -> None:
    expiring = {
        table.name for table in Base.metadata.sorted_tables if {"expires_on", "resets_on"} & {*table.columns.keys()}
    }

    purged = [*expiry.EXPIRING, *app.extensions["extension_points"].expiring]
    assert {key.class_.__tablename__ for key, _ in purged} == expiring
    assert expiring & CORE_TABLES == set(TABLES)
    for key, expires_on in purged:
        assert expires_on.class_ is key.class_
        assert expires_on.property.columns[0].index


@both_databases
async def test_a_row_is_deleted_in_the_second_in_which_it_expires_and_not_before(
    app: Quart, frozen_clock: FrozenClock
) -> None:
    user = await create_user(app)
    for table in TABLES:
        for seconds in (-86400, -1, 0, 1, 2, 86400):
            await add(app, table, user.id, expires_on=clock.now() + seconds * SECOND)

    assert (await purge(app), await left(app)) == (15, dict.fromkeys(TABLES, 3))
    assert (await purge(app), await left(app)) == (0, dict.fromkeys(TABLES, 3))
    frozen_clock.forward(SECOND)
    assert (await purge(app), await left(app)) == (5, dict.fromkeys(TABLES, 2))


async def test_the_audit_log_is_kept_for_a_year(
    app: Quart, client: TestClientProtocol, frozen_clock: FrozenClock
) -> None:
    await register(client)

    frozen_clock.forward(timedelta(days=365) - SECOND)
    await purge(app)
    assert await left(app) == {"user_event": 1}
    frozen_clock.forward(SECOND)
    await purge(app)
    assert await left(app) == {}


# A thousand rows at a time


@both_databases
async def test_a_transaction_deletes_a_thousand_rows_of_a_table_the_oldest_first(app: Quart) -> None:
    user = await create_user(app)
    await add(app, "user_event", user.id, expires_on=clock.now() - SECOND)
    for table in TABLES:
        await add(app, table, user.id, expires_on=LONG_AGO, rows=1000 if table == "user_event" else 1500)

    for expiring in [*expiry.EXPIRING, *app.extensions["extension_points"].expiring]:
        await write(app, expiry.purge_expired, expiring)

    assert await left(app) == dict.fromkeys(TABLES, 500) | {"user_event": 1}
    assert [moment.year for moment in await scalars(app, select(UserEvent.expires_on))] == [clock.now().year]


@both_databases
async def test_a_table_that_cannot_be_purged_does_not_prevent_the_purge_of_others(app: Quart) -> None:
    user = await create_user(app)
    await add(app, "user_event", user.id, expires_on=LONG_AGO)
    app.extensions["extension_points"].expiring.insert(0, Expiring(Missing.id, Missing.expires_on))

    with pytest.raises(DBAPIError, match="missing"):
        await purge(app)

    assert await left(app) == {}


async def test_everything_is_purged_and_counted(app: Quart, log: pytest.LogCaptureFixture) -> None:
    user = await create_user(app)
    await add(app, "user_event", user.id, expires_on=LONG_AGO, rows=3001)
    await add(app, "throttle", user.id, expires_on=LONG_AGO, rows=1)

    assert (await purge(app), await left(app)) == (3002, {})
    assert "purged rows=3002" in log.text


@both_databases
async def test_two_simultaneous_purges_delete_every_row_once(settings: dict[str, Any]) -> None:
    settings["DATABASE_TIMEOUT"] = 60  # seconds: they wait for the locks of each other
    async with serving(settings) as one, serving(settings) as other:
        user = await create_user(one)
        for table in TABLES:
            await add(one, table, user.id, expires_on=LONG_AGO, rows=1500)
            await add(one, table, user.id, expires_on=clock.now() + timedelta(days=1))

        purged = await asyncio.gather(*(purge(app) for app in (one, other, one, other)))

        assert await left(one) == dict.fromkeys(TABLES, 1)
        assert sum(purged) == 5 * 1500


@on_mariadb  # SQLite has one writer at a time
async def test_a_session_that_is_renewed_during_the_purge_stays(
    app: Quart, client: TestClientProtocol, frozen_clock: FrozenClock
) -> None:
    await register(client)
    frozen_clock.forward(timedelta(days=1))

    async with AsyncSession(app.extensions["db"]) as session, session.begin():
        await session.execute(update(UserSession).values(expires_on=clock.now() + timedelta(days=1)))
        purging = asyncio.create_task(purge(app))
        await until_a_lock_is_waited_for(app)

    await purging
    assert await is_logged_in(client)


async def until_a_lock_is_waited_for(app: Quart) -> None:
    waiting = text("SHOW GLOBAL STATUS LIKE 'Innodb_row_lock_current_waits'")
    for _ in range(100):
        async with app.extensions["db"].connect() as connection:
            if int((await connection.execute(waiting)).one()[1]):
                return
        await asyncio.sleep(0.02)
    raise AssertionError("nothing waits for a lock")


@pytest.mark.slow
@both_databases
async def test_a_purge_of_a_hundred_thousand_rows_delays_no_login(app: Quart) -> None:
    await create_user(app)
    other = await create_user(app, "other@example.com")  # a login ends the oldest sessions of its own account
    for table in TABLES:
        await add(app, table, other.id, expires_on=LONG_AGO, rows=20_000)
    purging = asyncio.create_task(purge(app))

    waits: list[float] = []
    while not purging.done():
        started = time.monotonic()
        assert (await log_in(app.test_client())).status_code == 303
        waits.append(time.monotonic() - started)

    assert await purging == 100_000
    assert len(waits) >= 3
    assert max(waits) < 5, f"{max(waits):.1f} s"
    assert (await left(app))["user_session"] == min(len(waits), MAX_SESSIONS)


# When


async def test_every_worker_purges_about_every_ten_minutes_at_a_time_of_its_own(
    app: Quart, monkeypatch: pytest.MonkeyPatch
) -> None:
    sleep = AsyncMock(side_effect=[*[None] * 40, asyncio.CancelledError])

    with monkeypatch.context() as patch, suppress(asyncio.CancelledError):
        patch.setattr(asyncio, "sleep", sleep)
        await background.purge_regularly(app)

    seconds = {call.args[0] for call in sleep.await_args_list}
    assert len(seconds) > 1
    assert min(seconds) >= 300
    assert max(seconds) <= 900


async def test_a_purge_that_fails_is_logged_and_tried_again(
    settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch, log: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(background, "PURGE_INTERVAL_SECONDS", 0.05)
    async with serving(settings) as app:
        user = await create_user(app)
        await execute(app, text("ALTER TABLE throttle RENAME TO away"))
        await add(app, "user_event", user.id, expires_on=clock.now())
        await is_logged(log, "purge_failed", times=2)
        await execute(app, text("ALTER TABLE away RENAME TO throttle"))
        await is_logged(log, "purged rows=1")
        await add(app, "throttle", 0, expires_on=clock.now())
        await is_logged(log, "purged rows=1", times=2)
        assert await left(app) == {}

    failures = [line for line in log.text.splitlines() if "purge_failed" in line]
    assert {line.split()[1] for line in failures} == {"error"}
    assert all("throttle" in line for line in failures)
