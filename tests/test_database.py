"""`db.read` and `db.write`: transactions, deadlines, retries, and the state of connections."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from quart import Quart
from quart.typing import TestClientProtocol
from sqlalchemy import event, select, text, update
from sqlalchemy.exc import IntegrityError, StatementError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession
from sqlalchemy.pool import QueuePool

from app.app_factory import create_app
from app.models import Role, User, clock, db
from app.models.core import DatabaseUnavailable
from app.services import accounts, roles
from app.services.passwords import PasswordHasher
from conftest import SECRET_KEY, UNTHROTTLED, migrate, serving
from mariadb_server import MariaDB
from people import EMAIL, change_password, count, create_user, is_logged_in, log_in, read, register, write
from statements import engines


def is_sqlite(app: Quart) -> bool:
    return bool(app.extensions["db"].dialect.name == "sqlite")


def checked_out(app: Quart) -> int:
    """Return how many connections are in use."""
    pools = [engine.pool for engine in engines(app)]
    return sum(pool.checkedout() for pool in pools if isinstance(pool, QueuePool))


async def is_in_transaction(connection: AsyncConnection) -> bool:
    """Look it up in the database itself."""
    if connection.dialect.name == "sqlite":
        raw: Any = await connection.get_raw_connection()
        return bool(raw.driver_connection.in_transaction)
    return bool(await connection.scalar(text("SELECT @@in_transaction")))


async def query(session: AsyncSession, statement: str) -> Any:
    return (await session.execute(text(statement))).scalar()


async def name_of_ada(app: Quart) -> str | None:
    user: User = await read(app, accounts.get_by_email, email=EMAIL)
    return user.name


# Transactions


async def test_objects_that_a_function_returns_are_loaded_and_detached(app: Quart) -> None:
    user = await create_user(app)

    assert (user.id, user.email, user.active, str(user)) == (user.id, EMAIL, True, EMAIL)
    assert user.created_on is not None


async def test_a_function_that_fails_changes_nothing_and_returns_a_clean_connection(settings: dict[str, Any]) -> None:
    async def register_and_fail(session: AsyncSession) -> None:
        await accounts.register(session, email=EMAIL, password_hash=None)
        raise LookupError

    settings["SQLALCHEMY_ENGINE_OPTIONS"] = {"pool_size": 1}
    async with serving(settings) as app:
        with pytest.raises(LookupError):
            await write(app, register_and_fail)
        assert await count(app, User) == 0
        assert await write(app, accounts.register, email=EMAIL, password_hash=None)
        assert await count(app, User) == 1


async def test_a_read_has_no_transaction_and_a_write_begins_with_one(app: Quart) -> None:
    async def has_transaction(session: AsyncSession) -> bool:
        await session.scalar(select(User.id).limit(1))  # with which MariaDB begins
        return await is_in_transaction(await session.connection())

    assert not await read(app, has_transaction)
    assert await write(app, has_transaction)


async def test_a_request_has_one_session_whose_calls_run_one_after_the_other(app: Quart) -> None:
    running: list[str] = []

    async def session_itself(session: AsyncSession) -> AsyncSession:
        running.append("one")
        assert running == ["one"]
        await session.execute(text("SELECT 1"))
        running.pop()
        return session

    async with app.app_context():
        sessions = await asyncio.gather(*(db.read(session_itself) for _ in range(5)), db.write(session_itself))
    assert len(set(sessions)) == 1
    assert checked_out(app) == 0


async def test_uncommitted_changes_are_invisible_to_others(app: Quart) -> None:
    await create_user(app)
    renamed, looked = asyncio.Event(), asyncio.Event()

    async def rename(session: AsyncSession) -> None:
        await session.execute(update(User).values(name="Countess"))
        renamed.set()
        await looked.wait()

    renaming = asyncio.create_task(write(app, rename))
    await renamed.wait()
    assert await name_of_ada(app) is None
    looked.set()
    await renaming
    assert await name_of_ada(app) == "Countess"


# Misuse


@pytest.mark.parametrize("outer", ["read", "write"])
@pytest.mark.parametrize("inner", ["read", "write"])
async def test_a_call_inside_a_call_is_an_error_at_once(app: Quart, outer: str, inner: str) -> None:
    async def nest(_session: AsyncSession) -> None:
        await getattr(db, inner)(accounts.find, 1)

    async with app.app_context(), asyncio.timeout(1):
        with pytest.raises(RuntimeError, match=rf"db\.{inner}\(\) inside a function that db\.{outer}\(\) runs"):
            await getattr(db, outer)(nest)
        assert await db.read(accounts.find, 1) is None


async def test_a_task_that_a_function_has_started_may_use_the_database_later(app: Quart) -> None:
    async def start_task(_session: AsyncSession) -> "asyncio.Task[Any]":
        return asyncio.create_task(later())

    async def later() -> User | None:
        await asyncio.sleep(0.05)
        found: User | None = await read(app, accounts.find, 1)
        return found

    assert await (await write(app, start_task)) is None


async def add_role(session: AsyncSession) -> None:
    session.add(Role(name="added"))


async def add_role_and_query(session: AsyncSession) -> None:
    session.add(Role(name="added"))
    await roles.list_all(session)


async def rename_everybody(session: AsyncSession) -> None:
    await session.execute(update(User).values(name="renamed"))


@pytest.mark.parametrize("function", [add_role, add_role_and_query, rename_everybody])
async def test_a_read_that_changes_rows_is_an_error_and_changes_nothing(app: Quart, function: Any) -> None:
    await create_user(app, name="Ada")

    with pytest.raises(RuntimeError, match=r"use db\.write\(\)"):
        await read(app, function)
    assert await read(app, roles.list_all) == []
    assert await name_of_ada(app) == "Ada"


async def test_a_time_without_a_time_zone_is_refused(app: Quart) -> None:
    await create_user(app)
    naive = datetime(2026, 7, 1, 12)  # noqa: DTZ001 # the refused value

    with pytest.raises(StatementError, match="has no time zone"):
        await write(app, lambda session: session.execute(update(User).values(confirmed_on=naive)))


# Races


async def test_twenty_writers_who_read_first_lose_nothing(app: Quart) -> None:
    await create_user(app, name="0")

    async def add_one(session: AsyncSession) -> None:
        user = await accounts.get_by_email(session, email=EMAIL, lock=True)
        await asyncio.sleep(0.001)
        user.name = str(int(user.name or 0) + 1)

    await asyncio.gather(*(write(app, add_one) for _ in range(20)))
    assert await name_of_ada(app) == "20"
    assert checked_out(app) == 0


async def test_after_a_deadlock_the_whole_function_runs_again(app: Quart) -> None:
    for email in ("a@example.com", "b@example.com"):
        await create_user(app, email, name="-")
    both_hold_one, runs = asyncio.Barrier(2), list[str]()

    async def lock_one_then_the_other(session: AsyncSession, first: str, second: str) -> None:
        runs.append(first)
        await session.execute(update(User).where(User.email == first).values(name=User.name + "x"))
        if len(runs) <= 2 and not is_sqlite(app):
            await both_hold_one.wait()
        await session.execute(update(User).where(User.email == second).values(name=User.name + "x"))

    emails = ("a@example.com", "b@example.com")
    await asyncio.gather(*(write(app, lock_one_then_the_other, *pair) for pair in (emails, emails[::-1])))
    assert await count(app, User, User.name == "-xx") == 2
    assert len(runs) >= (2 if is_sqlite(app) else 3)


# Deadlines


async def test_a_lock_that_is_not_released_is_a_503_in_time(app: Quart, client: TestClientProtocol) -> None:
    await create_user(app)

    async with app.extensions["db"].connect() as other:
        await other.execute(select(User).with_for_update())
        started = time.monotonic()
        answer = await log_in(client)

    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "5"
    assert time.monotonic() - started < 5
    assert (await log_in(client)).status_code == 303


async def test_a_transaction_past_its_deadline_is_rolled_back(app: Quart) -> None:
    app.extensions["db_timeout"] = 0.2

    async def dawdle(session: AsyncSession) -> None:
        await accounts.register(session, email=EMAIL, password_hash=None)
        await asyncio.sleep(5)

    with pytest.raises(DatabaseUnavailable):
        await write(app, dawdle)
    app.extensions["db_timeout"] = 4
    assert await count(app, User) == 0
    assert checked_out(app) == 0


@pytest.mark.parametrize("database_uri", ["mariadb"], indirect=True)
async def test_a_write_that_waited_for_a_lock_past_its_deadline_is_not_committed_later(
    app: Quart, client: TestClientProtocol
) -> None:
    await register(client)
    app.extensions["db_timeout"] = 0.5

    async with app.extensions["db"].connect() as other:
        await other.execute(text("SELECT id FROM user_session FOR UPDATE"))
        changing = asyncio.create_task(change_password(client))
        await asyncio.sleep(0.8)  # past the deadline, before MariaDB's own lock timeout
    assert (await changing).status_code == 503

    app.extensions["db_timeout"] = 4
    assert (await log_in(app.test_client())).status_code == 303


# The queue in front of the pool


@asynccontextmanager
async def narrow(settings: dict[str, Any]) -> AsyncIterator[Quart]:
    """A site with one connection for reads, one for writes, and a deadline of a second."""
    settings["SQLALCHEMY_ENGINE_OPTIONS"] = {"pool_size": 1}
    async with serving(settings) as app:
        await app.extensions["mailer"].stop()
        app.extensions["db_timeout"] = 1
        yield app


async def test_under_overload_some_are_served_and_no_transaction_is_cut_off(settings: dict[str, Any]) -> None:
    opened, began = list[object](), list[int]()

    async def dawdle(session: AsyncSession, number: int) -> int:
        began.append(number)
        await session.execute(text("SELECT 1"))
        await asyncio.sleep(0.1)
        return number

    async with narrow(settings) as app:
        event.listen(engines(app)[0], "connect", lambda *_: opened.append(_))
        results = await asyncio.gather(*(read(app, dawdle, number) for number in range(30)), return_exceptions=True)

    served = [result for result in results if isinstance(result, int)]
    assert 4 <= len(served) <= 8
    assert began == served
    assert {type(result) for result in results if result not in served} == {DatabaseUnavailable}
    assert len(opened) <= 1


@pytest.mark.parametrize(
    ("options", "capacity"),
    [({"pool_size": 2}, 2), ({"pool_size": 2, "max_overflow": 3}, 5), ({"max_overflow": -1}, 20)],
)
async def test_as_many_calls_run_as_there_are_connections(
    settings: dict[str, Any], options: dict[str, int], capacity: int
) -> None:
    running = set[int]()

    async def work(_session: AsyncSession, number: int) -> None:
        running.add(number)
        await asyncio.sleep(1)

    settings["SQLALCHEMY_ENGINE_OPTIONS"] = options
    async with serving(settings) as app:
        await app.extensions["mailer"].stop()
        calls = asyncio.gather(*(read(app, work, number) for number in range(20)), return_exceptions=True)
        await until_settled(running)
        assert len(running) == capacity
        await calls


async def until_settled(running: set[int]) -> None:
    """Wait until no more calls begin to run."""
    before = -1
    while len(running) != before:
        before = len(running)
        await asyncio.sleep(0.3)


async def test_a_caller_that_is_cancelled_in_the_queue_does_nothing_and_frees_its_slot(
    settings: dict[str, Any],
) -> None:
    ran: list[str] = []

    async def work(_session: AsyncSession, name: str) -> None:
        ran.append(name)
        await asyncio.sleep(0.2)

    async with narrow(settings) as app:
        first, gone, last = (asyncio.create_task(write(app, work, name)) for name in ("first", "gone", "last"))
        await asyncio.sleep(0.1)
        gone.cancel()
        await asyncio.gather(first, last)
    assert ran == ["first", "last"]
    assert gone.cancelled()


async def test_writers_that_wait_do_not_delay_readers(app: Quart) -> None:
    async def work(_session: AsyncSession) -> None:
        await asyncio.sleep(0.1)

    writing = [asyncio.create_task(write(app, work)) for _ in range(20)]
    await asyncio.sleep(0.05)
    started = time.monotonic()
    await read(app, work)
    assert time.monotonic() - started < 0.5
    await asyncio.gather(*writing, return_exceptions=True)


async def test_a_call_completes_although_its_caller_is_cancelled_and_the_request_ends_after_it(app: Quart) -> None:
    async def rename(session: AsyncSession) -> None:
        await asyncio.sleep(0.2)
        await session.execute(update(User).values(name="Countess"))

    await create_user(app)
    request = asyncio.create_task(write(app, rename))
    await asyncio.sleep(0.1)
    request.cancel()
    with suppress(asyncio.CancelledError):
        await request
    assert await name_of_ada(app) == "Countess"


# Hashing


@pytest.fixture
def seen_while_hashing(app: Quart, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many connections were in use each time that a password was hashed or verified."""
    seen: list[int] = []

    def watched(work: Any) -> Any:
        def look(*arguments: Any) -> Any:
            seen.append(checked_out(app))
            return work(*arguments)

        return look

    for method in ("hash", "verify"):
        monkeypatch.setattr(PasswordHasher, method, watched(getattr(PasswordHasher, method)))
    return seen


async def test_no_connection_is_in_use_while_a_password_is_hashed(
    app: Quart, client: TestClientProtocol, seen_while_hashing: list[int]
) -> None:
    await app.extensions["mailer"].stop()  # which has work of its own
    for act, status in ((register, 303), (log_in, 303), (change_password, 303)):
        assert (await act(client)).status_code == status

    assert len(seen_while_hashing) >= 4
    assert set(seen_while_hashing) == {0}


# MariaDB


async def test_connections_to_mariadb_are_strict_and_use_utf8mb4_and_utc(mariadb: MariaDB, tmp_path: Path) -> None:
    uri = mariadb.create_database("strict")
    app = create_app({"SQLALCHEMY_DATABASE_URI": uri, "SECRET_KEY": SECRET_KEY, "INSTANCE_PATH": str(tmp_path)})
    variables = "@@sql_mode, @@character_set_connection, @@time_zone, @@innodb_lock_wait_timeout, @@tx_isolation"

    async def settings(session: AsyncSession) -> Any:
        return (await session.execute(text(f"SELECT {variables}"))).one()

    for call in (read, write):
        modes, charset, zone, wait, isolation = await call(app, settings)
        assert "STRICT_ALL_TABLES" in modes
        assert (charset, zone, wait) == ("utf8mb4", "+00:00", 1)
    assert isolation == "READ-COMMITTED"
    async with app.app_context():
        await db.dispose()


@pytest.mark.parametrize("database_uri", ["mariadb"], indirect=True)
async def test_the_clock_of_mariadb_is_in_utc_whatever_its_own_time_zone(app: Quart, mariadb: MariaDB) -> None:
    await app.extensions["mailer"].stop()  # whose connection would outlive the pools
    mariadb.execute("SET GLOBAL time_zone = '+05:30'")
    try:
        async with app.app_context():
            await db.dispose()  # so that the connections are new
            now = await db.read(query, "SELECT now()")
    finally:
        mariadb.execute("SET GLOBAL time_zone = 'SYSTEM'")
    assert abs((now - clock.now().replace(tzinfo=None)).total_seconds()) < 60


def kill_connections(server: MariaDB, database: str) -> int:
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT id FROM information_schema.processlist WHERE db = %s", [database])
        ids = [row[0] for row in cursor.fetchall()]
        for each in ids:
            cursor.execute(f"KILL {each}")
    return len(ids)


@pytest.mark.parametrize("database_uri", ["mariadb"], indirect=True)
async def test_connections_that_the_server_has_closed_are_replaced_unnoticed(
    app: Quart, client: TestClientProtocol, mariadb: MariaDB
) -> None:
    await create_user(app)
    await app.extensions["mailer"].stop()
    async with app.app_context():
        await db.dispose()  # so that each pool has one connection afterwards
    await log_in(client)
    assert kill_connections(mariadb, "head") == 2

    assert await is_logged_in(client)
    assert (await client.post("/account", form={"name": "Countess"})).status_code == 303


@pytest.mark.parametrize("database_uri", ["mariadb"], indirect=True)
async def test_a_connection_lost_before_commit_runs_the_function_again(app: Quart, mariadb: MariaDB) -> None:
    runs: list[int] = []

    async def add_role_and_lose_the_connection(session: AsyncSession) -> None:
        session.add(Role(name="added"))
        await session.flush()
        runs.append(kill_connections(mariadb, "head") if not runs else 0)
        await session.execute(text("SELECT 1"))

    await write(app, add_role_and_lose_the_connection)
    assert len(runs) == 2
    assert [role.name for role in await read(app, roles.list_all)] == ["added"]


@pytest.mark.parametrize("database_uri", ["mariadb"], indirect=True)
async def test_a_connection_lost_during_commit_is_a_503_and_does_not_run_again(app: Quart, mariadb: MariaDB) -> None:
    runs: list[str] = []

    async def add_role_once(session: AsyncSession) -> None:
        runs.append("run")
        session.add(Role(name="added"))

    event.listen(engines(app)[1], "commit", lambda _: kill_connections(mariadb, "head"))
    with pytest.raises(DatabaseUnavailable, match="CommitUncertain"):
        await write(app, add_role_once)
    assert runs == ["run"]


@pytest.fixture
def frail(mariadb: MariaDB, tmp_path: Path) -> Iterator[MariaDB]:
    """A server for one test, which may stop it."""
    server = MariaDB(mariadb.program)
    with server.running(tmp_path / "server"):
        yield server


async def test_while_mariadb_is_frozen_or_dead_pages_are_503_and_afterwards_as_before(
    frail: MariaDB, tmp_path: Path
) -> None:
    uri = frail.create_database("site")
    migrate(uri, instance=tmp_path).check_returncode()
    app = create_app({"SQLALCHEMY_DATABASE_URI": uri, "SECRET_KEY": SECRET_KEY, "INSTANCE_PATH": str(tmp_path)})
    async with app.test_app():
        client = app.test_client()
        assert (await register(client)).status_code == 303

        with frail.frozen():
            assert await statuses(client) == {"/": 503, "/api/": 200, "/healthz": 200, "/readyz": 503}
        assert await statuses(client) == {"/": 200, "/api/": 200, "/healthz": 200, "/readyz": 200}

        frail.kill()
        assert await statuses(client) == {"/": 503, "/api/": 200, "/healthz": 200, "/readyz": 503}
        frail.start()
        assert await statuses(client) == {"/": 200, "/api/": 200, "/healthz": 200, "/readyz": 200}
        assert checked_out(app) == 0


async def statuses(client: TestClientProtocol) -> dict[str, int]:
    """Request four pages at once. Each has to come within five seconds."""
    paths = ("/", "/api/", "/healthz", "/readyz")
    async with asyncio.timeout(5):
        answers = await asyncio.gather(*(client.get(path) for path in paths))
    return dict(zip(paths, (answer.status_code for answer in answers), strict=True))


# SQLite


@pytest.fixture
def sqlite_settings(sqlite_template: Path, tmp_path: Path) -> dict[str, Any]:
    (tmp_path / "app.db").write_bytes(sqlite_template.read_bytes())
    needed = {"SQLALCHEMY_DATABASE_URI": "sqlite:///app.db", "SECRET_KEY": SECRET_KEY, "INSTANCE_PATH": str(tmp_path)}
    return needed | UNTHROTTLED


@pytest.fixture
async def site(sqlite_settings: dict[str, Any]) -> AsyncIterator[Quart]:
    async with serving(sqlite_settings) as app:
        await app.extensions["mailer"].stop()
        yield app


async def test_writers_to_sqlite_run_in_the_order_in_which_they_came(site: Quart) -> None:
    wrote: list[int] = []

    async def work(session: AsyncSession, number: int) -> None:
        await session.execute(select(User.id).limit(1))
        await asyncio.sleep(0.1)
        wrote.append(number)

    await asyncio.gather(*(write(site, work, number) for number in range(14)))
    assert wrote == list(range(14))


async def test_the_event_loop_runs_on_while_another_process_holds_the_lock(site: Quart, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "app.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        writing = asyncio.create_task(write(site, query, "SELECT count(*) FROM user"))
        began = time.monotonic()
        await asyncio.sleep(0.3)
        assert time.monotonic() - began < 1
        assert not writing.done()

        other.execute("ROLLBACK")
        assert await writing == 0


async def test_a_commit_that_fails_leaves_no_transaction_open(site: Quart) -> None:
    async def break_a_foreign_key(session: AsyncSession) -> None:
        await session.execute(text("PRAGMA defer_foreign_keys=ON"))
        await session.execute(text("INSERT INTO user_role (user_id, role_id) VALUES (0, 0)"))

    with pytest.raises(IntegrityError):
        await write(site, break_a_foreign_key)
    await write(site, query, "SELECT 1")
    assert await read(site, query, "SELECT count(*) FROM user_role") == 0


async def test_a_query_past_its_deadline_is_a_503_in_time(site: Quart) -> None:
    site.extensions["db_timeout"] = 0.3
    rows = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 30000000) SELECT count(*) FROM n"

    began = time.monotonic()
    with pytest.raises(DatabaseUnavailable):
        await read(site, query, rows)
    assert time.monotonic() - began < 4
    assert checked_out(site) == 0


async def test_a_full_disk_is_503_with_the_reason_in_the_log(site: Quart, caplog: pytest.LogCaptureFixture) -> None:
    client = site.test_client()
    full = lambda connection, _: connection.execute("PRAGMA max_page_count=1")  # noqa: E731
    event.listen(engines(site)[1], "connect", full)
    await site.extensions["db"].dispose()
    long = {"name": "x" * 100}
    answers = [await register(client, email=f"{n}@{'a' * 60}.example.com", **long) for n in range(40)]

    assert 503 in {answer.status_code for answer in answers}
    assert "database or disk is full" in caplog.text
    event.remove(engines(site)[1], "connect", full)
    await site.extensions["db"].dispose()
    assert (await register(client, email="after@example.com")).status_code == 303


async def test_a_read_only_sqlite_file_is_503_for_writers_and_can_be_read(
    sqlite_settings: dict[str, Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sqlite_settings["SQLALCHEMY_DATABASE_URI"] = f"sqlite:///file:{tmp_path}/app.db?mode=ro&uri=true"
    async with serving(sqlite_settings) as app:
        client = app.test_client()

        assert (await client.get("/readyz")).status_code == 200
        assert (await register(client)).status_code == 503
        assert "attempt to write a readonly database" in caplog.text
