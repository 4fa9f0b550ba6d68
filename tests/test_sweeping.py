"""What has expired goes, to the second, a little at a time, and nobody waits for it."""

import asyncio
import time
from collections import Counter
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

import pytest
from quart import Quart
from quart.typing import TestClientProtocol
from sqlalchemy import func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from app import sweeper
from app.models import Mail, Throttle, UserEvent, UserSession, UserToken, clock, db
from app.models.base import Base
from app.services import accounts, outbox, sweeping
from conftest import serving
from people import EMAIL, create_user, execute, is_logged_in, log_in, register
from test_sessions import MovedClock, moved_clock

__all__ = ["moved_clock"]  # a fixture

TABLES: dict[str, Any] = {
    "throttle": Throttle,
    "user_session": UserSession,
    "user_token": UserToken,
    "user_event": UserEvent,
    "mail": Mail,
}
SECOND = timedelta(seconds=1)

of_every_table = pytest.mark.parametrize("table", TABLES)

# A hundred thousand numbers, and rows that are made of them, in words that both databases understand.
DIGITS = " UNION ALL ".join(f"SELECT {digit} AS d" for digit in range(10))
NUMBERS = "SELECT a.d + 10 * b.d + 100 * c.d + 1000 * e.d + 10000 * f.d AS n FROM " + ", ".join(
    f"({DIGITS}) AS {name}" for name in "abcef"
)
ONCE = "'2000-01-01 00:00:00.000000'"
ROWS = {
    "throttle": f"(`key`, used, resets_on) SELECT CAST(n AS CHAR), 1, {ONCE}",
    "user_session": "(user_id, digest, remember, ip, user_agent,"
    " created_on, last_seen_on, authenticated_on, expires_on)"
    f" SELECT :user, CAST(n AS CHAR), 0, '', '', {', '.join([ONCE] * 4)}",
    "user_token": "(user_id, purpose, digest, email, email_key, created_on, expires_on)"
    f" SELECT :user, 'reset', CAST(n AS CHAR), '', '', {ONCE}, {ONCE}",
    "user_event": "(user_id, event, ip, user_agent, created_on, expires_on)"
    f" SELECT :user, 'logged_in', '', '', {ONCE}, {ONCE}",
    "mail": "(user_id, template, recipient, facts, created_on, tries, expires_on)"
    f" SELECT :user, 'welcome', '', '{{}}', {ONCE}, 0, {ONCE}",
}


async def add_expired(app: Quart, table: str, user_id: int, *, count: int) -> None:
    """Add rows that expired long ago: as many as are wanted, with one statement."""
    rows = text(f"INSERT INTO {table} {ROWS[table]} FROM ({NUMBERS}) AS numbers WHERE n < :count")
    rows = rows.bindparams(count=count, **({} if table == "throttle" else {"user": user_id}))
    async with app.extensions["db"].begin() as connection:
        await connection.execute(rows)


async def add(app: Quart, table: str, user_id: int, *, expires_on: datetime) -> None:
    """Add a row with the moment at which it expires."""
    key = f"expires {expires_on}"
    expiring = {"user_id": user_id, "expires_on": expires_on}
    columns: dict[str, dict[str, Any]] = {
        "throttle": {"key": key, "used": 1, "resets_on": expires_on},
        "user_session": expiring | {"digest": key, "ip": "", "user_agent": ""},
        "user_token": expiring | {"digest": key, "purpose": "reset", "email": EMAIL, "email_key": EMAIL},
        "user_event": expiring | {"event": "logged_in", "ip": "", "user_agent": ""},
        "mail": expiring | {"template": "welcome", "recipient": EMAIL, "facts": {}, "due_on": None},
    }
    await execute(app, insert(TABLES[table]).values(columns[table]))


async def left(app: Quart) -> dict[str, int]:
    """Return how many rows there are in each table in which rows expire."""

    async def query(session: AsyncSession) -> dict[str, int]:
        counted = {name: await session.scalar(select(func.count()).select_from(TABLES[name])) for name in TABLES}
        return {name: rows for name, rows in counted.items() if rows}

    async with app.app_context():
        return await db.read(query)


async def sweep(app: Quart) -> int:
    async with app.app_context():
        return await sweeper.sweep_all()


# What goes, and when


def test_every_table_in_which_rows_expire_is_swept() -> None:
    expiring = {
        table.name for table in Base.metadata.sorted_tables if {"expires_on", "resets_on"} & {*table.columns.keys()}
    }

    assert expiring == set(TABLES)
    assert {key.class_.__tablename__ for key, _ in sweeping.EXPIRING} == expiring
    assert all(expires_on.class_ is key.class_ for key, expires_on in sweeping.EXPIRING)


def test_what_is_swept_is_found_by_an_index() -> None:
    for _, expires_on in sweeping.EXPIRING:
        assert expires_on.property.columns[0].index


@of_every_table
async def test_a_row_goes_in_the_second_in_which_it_expires_and_not_before(
    app: Quart, moved_clock: MovedClock, table: str
) -> None:
    user = await create_user(app)
    for seconds in (-86400, -1, 0, 1, 2, 86400):
        await add(app, table, user.id, expires_on=clock.now() + seconds * SECOND)

    assert (await sweep(app), await left(app)) == (3, {table: 3})
    assert (await sweep(app), await left(app)) == (0, {table: 3})
    moved_clock.forward(SECOND)
    assert (await sweep(app), await left(app)) == (1, {table: 2})


async def test_accounts_and_what_has_not_expired_stay(app: Quart, client: TestClientProtocol) -> None:
    await register(client)
    await client.post("/reset", form={"email": EMAIL})
    before = await left(app)
    assert set(before) == set(TABLES)

    assert await sweep(app) == 0

    assert await left(app) == before
    assert await is_logged_in(client)


async def test_a_log_in_stays_until_its_last_second(
    app: Quart, client: TestClientProtocol, moved_clock: MovedClock
) -> None:
    await register(client)

    moved_clock.forward(timedelta(days=1) - SECOND)
    await sweep(app)
    assert await is_logged_in(client)  # which renews it
    moved_clock.forward(timedelta(days=1))
    await sweep(app)

    assert "user_session" not in await left(app)
    assert not await is_logged_in(client)
    assert (await log_in(client)).status_code == 303


async def test_what_happened_is_kept_for_a_year(
    app: Quart, client: TestClientProtocol, moved_clock: MovedClock
) -> None:
    await register(client)

    moved_clock.forward(timedelta(days=365) - SECOND)
    await sweep(app)
    assert await left(app) == {"user_event": 1}
    moved_clock.forward(SECOND)
    await sweep(app)

    assert await left(app) == {}


async def test_a_mail_is_kept_for_a_week_after_it_was_sent_and_five_days_if_it_never_was(
    app: Quart, moved_clock: MovedClock
) -> None:
    await create_user(app)
    async with app.app_context():
        await db.write(post_two)
        moved_clock.forward(timedelta(days=4))
        ((id_, tries), _) = await db.read(outbox.due, most=2)
        mail = await db.write(outbox.claim, id_, tries=tries)
        assert mail is not None
        await db.write(outbox.mark_sent, mail)

    moved_clock.forward(timedelta(days=1) - SECOND)
    assert await sweep(app) == 0
    moved_clock.forward(SECOND)
    assert (await sweep(app), await left(app)) == (1, {"mail": 1})
    moved_clock.forward(timedelta(days=6) - SECOND)
    assert await sweep(app) == 0
    moved_clock.forward(SECOND)
    assert (await sweep(app), await left(app)) == (1, {})


async def post_two(session: AsyncSession) -> None:
    user = await accounts.get_by_email(session, email=EMAIL)
    for _ in range(2):
        await outbox.post(session, "welcome", user)


# A little at a time


async def test_a_unit_of_work_takes_a_thousand_rows_of_a_table(app: Quart) -> None:
    user = await create_user(app)
    for table in TABLES:
        await add_expired(app, table, user.id, count=2500)

    async with app.app_context():
        for rest in (1500, 500):
            await db.write(sweeping.sweep)
            assert await left(app) == dict.fromkeys(TABLES, rest)
        assert await db.write(sweeping.sweep) == 2500
    assert await left(app) == {}


async def test_all_is_swept_however_much_it_is_and_counted(app: Quart, log: pytest.LogCaptureFixture) -> None:
    user = await create_user(app)
    await add_expired(app, "user_event", user.id, count=3001)
    await add_expired(app, "throttle", user.id, count=1)

    assert await sweep(app) == 3002

    assert await left(app) == {}
    assert "swept rows=3002" in log.text


async def test_the_oldest_go_first(app: Quart) -> None:
    user = await create_user(app)
    await add(app, "user_event", user.id, expires_on=clock.now() - SECOND)
    await add_expired(app, "user_event", user.id, count=1000)

    async with app.app_context():
        await db.write(sweeping.sweep)
        newest = await db.read(lambda session: session.scalars(select(UserEvent.expires_on)))

    assert [moment.year for moment in newest] == [clock.now().year]


async def test_two_who_sweep_at_once_sweep_every_row_once(settings: dict[str, Any]) -> None:
    async with serving(settings) as one, serving(settings) as other:
        user = await create_user(one)
        for table in TABLES:
            await add_expired(one, table, user.id, count=2500)
            await add(one, table, user.id, expires_on=clock.now() + timedelta(days=1))

        swept = await asyncio.gather(*(sweep(app) for app in (one, other, one, other)))

        assert await left(one) == dict.fromkeys(TABLES, 1)
        assert sum(swept) == 5 * 2500


@pytest.mark.parametrize("database_uri", ["mariadb"], indirect=True)  # SQLite has one writer at a time
async def test_a_log_in_that_is_renewed_while_it_is_swept_stays(
    app: Quart, client: TestClientProtocol, moved_clock: MovedClock
) -> None:
    await register(client)
    moved_clock.forward(timedelta(days=1))

    async with AsyncSession(app.extensions["db"]) as session, session.begin():
        await session.execute(update(UserSession).values(expires_on=clock.now() + timedelta(days=1)))
        sweeping_it = asyncio.create_task(sweep(app))
        await until_somebody_waits(app)

    await sweeping_it
    assert await is_logged_in(client)


async def until_somebody_waits(app: Quart) -> None:
    """Wait until somebody waits for a lock in MariaDB."""
    waiting = text("SHOW GLOBAL STATUS LIKE 'Innodb_row_lock_current_waits'")
    for _ in range(40):
        async with app.extensions["db"].connect() as connection:
            if int((await connection.execute(waiting)).one()[1]):
                return
        await asyncio.sleep(0.02)
    raise AssertionError("nobody waits")


@pytest.mark.slow
async def test_nobody_waits_while_a_hundred_thousand_rows_are_swept(app: Quart) -> None:
    user = await create_user(app)
    for table in TABLES:
        await add_expired(app, table, user.id, count=20_000)
    sweeping_them = asyncio.create_task(sweep(app))

    waits: list[float] = []
    while not sweeping_them.done():
        started = time.monotonic()
        assert (await log_in(app.test_client())).status_code == 303
        waits.append(time.monotonic() - started)

    assert await sweeping_them == 100_000
    assert len(waits) >= 3
    assert max(waits) < 1, f"{max(waits):.1f} s"
    assert (await left(app))["user_session"] == len(waits)


# When


async def test_a_process_sweeps_every_ten_minutes_or_so_and_not_when_others_do(
    app: Quart, monkeypatch: pytest.MonkeyPatch
) -> None:
    naps: list[float] = []

    async def nap(seconds: float) -> None:
        naps.append(seconds)
        if len(naps) == 40:
            raise asyncio.CancelledError

    with monkeypatch.context() as patch, suppress(asyncio.CancelledError):
        patch.setattr(asyncio, "sleep", nap)
        await sweeper.sweep_now_and_then(app)

    assert sweeper.MINUTES == 10
    assert all(300 <= seconds <= 900 for seconds in naps)
    assert len({round(seconds) for seconds in naps}) > 20
    assert max(naps) - min(naps) > 200


async def test_a_sweep_that_fails_is_logged_and_tried_again(
    settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch, log: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sweeper, "MINUTES", 0.05 / 60)
    async with serving(settings) as app:
        user = await create_user(app)
        await execute(app, text("ALTER TABLE throttle RENAME TO away"))
        try:
            await add(app, "user_event", user.id, expires_on=clock.now())
            await until_logged(log, "sweep_failed", times=2)
        finally:
            await execute(app, text("ALTER TABLE away RENAME TO throttle"))
        await until_logged(log, "swept rows=1", times=1)
        assert await left(app) == {}

    failures = [line for line in log.text.splitlines() if "sweep_failed" in line]
    assert {line.split()[1] for line in failures} == {"error"}
    assert all("throttle" in line for line in failures)


async def until_logged(log: pytest.LogCaptureFixture, what: str, *, times: int) -> None:
    for _ in range(500):
        if log.text.count(what) >= times:
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"{what} is not in the log")


async def test_a_process_sweeps_again_and_again(
    settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch, log: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sweeper, "MINUTES", 0.05 / 60)
    async with serving(settings) as app:
        for times in (1, 2, 3):
            await add(app, "throttle", 0, expires_on=clock.now())
            await until_logged(log, "swept rows=1", times=times)

    assert Counter(line.split()[2] for line in log.text.splitlines())["sweep_failed"] == 0
