"""`db.read` and `db.write`: transactions, deadlines, retries, and the state of connections."""

import asyncio
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from datetime import datetime
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from quart import Quart
from quart.typing import TestClientProtocol
from sqlalchemy import event, select, text, update
from sqlalchemy.exc import IntegrityError, StatementError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.pool import QueuePool

from app.app_factory import create_app
from app.lib.db import DatabaseUnavailable, db
from app.lib.db.engine import pool_capacity
from app.lib.passwords.hasher import PasswordHasher
from app.models import Role, User, UserRole, UserSession
from app.services import audit_log, roles, users
from support.account_page import stored_name
from support.actions import EMAIL, change_password, count, create_user, log_in, read, register, write
from support.app import SECRET_KEY, both_databases, on_mariadb, serving
from support.mariadb_server import MariaDB
from support.statements import engines


def checked_out(app: Quart) -> int:
    """Return how many connections are in use."""
    pools = [engine.pool for engine in engines(app)]
    return sum(pool.checkedout() for pool in pools if isinstance(pool, QueuePool))


async def add_role(session: AsyncSession) -> None:
    session.add(Role(name="added"))


async def query(session: AsyncSession, statement: str) -> Any:
    return await session.scalar(text(statement))


# Transactions


@both_databases
async def test_a_function_that_fails_changes_nothing_and_returns_a_clean_connection(settings: dict[str, Any]) -> None:
    async def add_role_and_fail(session: AsyncSession) -> None:
        await add_role(session)
        await session.flush()
        raise LookupError

    settings["SQLALCHEMY_ENGINE_OPTIONS"] = {"pool_size": 1}
    async with serving(settings) as app:
        with pytest.raises(LookupError):
            await write(app, add_role_and_fail)
        assert await count(app, Role) == 0
        await write(app, add_role)
        assert await count(app, Role) == 1


async def test_a_request_has_one_session_whose_calls_run_one_after_the_other(app: Quart) -> None:
    async def session_itself(session: AsyncSession) -> AsyncSession:
        await session.execute(text("SELECT 1"))  # fails while the session executes another statement
        return session

    async with app.app_context():
        sessions = await asyncio.gather(*(db.read(session_itself) for _ in range(5)), db.write(session_itself))
    assert len(set(sessions)) == 1


# Misuse


async def test_a_call_inside_a_call_is_an_error_at_once(app: Quart) -> None:
    async def nest(_session: AsyncSession, inner: str) -> None:
        await getattr(db, inner)(users.find, 1)

    for outer, inner in product(("read", "write"), repeat=2):
        async with app.app_context(), asyncio.timeout(30):
            with pytest.raises(RuntimeError, match=rf"db\.{inner}\(\) inside a function that db\.{outer}\(\) runs"):
                await getattr(db, outer)(nest, inner)
            assert await db.read(users.find, 1) is None


@both_databases
async def test_a_read_that_changes_rows_is_an_error_and_changes_nothing(app: Quart) -> None:
    await create_user(app, name="Ada")

    for function in (
        add_role,
        lambda session: session.execute(update(User).values(name="renamed")),
        lambda session: session.execute(text("UPDATE user SET name = 'renamed'")),
    ):
        with pytest.raises(RuntimeError, match=r"use db\.write\(\)"):
            await read(app, function)
    assert await read(app, roles.list_all) == []
    assert await stored_name(app) == "Ada"


@both_databases
async def test_a_function_that_commits_is_an_error_and_changes_nothing(app: Quart) -> None:
    async def commit(session: AsyncSession) -> None:
        await add_role(session)
        await session.commit()

    for call in (write, read):
        with pytest.raises(RuntimeError, match=r"remove session\.commit\(\)"):
            await call(app, commit)
    assert await count(app, Role) == 0


@both_databases
async def test_an_event_is_logged_if_its_savepoint_and_its_transaction_are_committed(
    app: Quart, log: pytest.LogCaptureFixture
) -> None:
    async def nest(session: AsyncSession, *, succeeds: bool) -> None:
        audit_log.log(session, "outer_event")
        for event_name in ("released", "rolled_back"):
            savepoint = await session.begin_nested()
            audit_log.log(session, event_name)
            await (savepoint.commit() if event_name == "released" else savepoint.rollback())
        if not succeeds:
            raise LookupError

    with pytest.raises(LookupError):
        await write(app, nest, succeeds=False)
    assert not {"outer_event", "released", "rolled_back"} & set(log.text.split())
    await write(app, nest, succeeds=True)
    assert {"outer_event", "released", "rolled_back"} & set(log.text.split()) == {"outer_event", "released"}


@both_databases
async def test_a_time_without_a_time_zone_is_refused(app: Quart) -> None:
    naive = datetime(2026, 7, 1, 12)  # noqa: DTZ001 # the refused value

    with pytest.raises(StatementError, match="has no time zone"):
        await write(app, lambda session: session.execute(update(User).values(confirmed_on=naive)))


# Races


@both_databases
async def test_twenty_writers_who_read_first_lose_nothing(app: Quart) -> None:
    await create_user(app, name="0")
    app.extensions["db_timeout"] = 60

    async def add_one(session: AsyncSession) -> None:
        user = await users.get_by_email(session, email=EMAIL, lock=True)
        await asyncio.sleep(0.001)
        user.name = str(int(user.name or 0) + 1)

    await asyncio.gather(*(write(app, add_one) for _ in range(20)))
    assert await stored_name(app) == "20"
    assert checked_out(app) == 0


@on_mariadb
async def test_after_a_deadlock_the_whole_function_runs_again(app: Quart) -> None:
    emails = ("a@example.com", "b@example.com")
    for email in emails:
        await create_user(app, email, name="-")
    both_hold_one, runs = asyncio.Barrier(2), list[str]()

    async def lock_one_then_the_other(session: AsyncSession, first: str, second: str) -> None:
        runs.append(first)
        await session.execute(update(User).where(User.email == first).values(name=User.name + "x"))
        if len(runs) <= 2:
            await both_hold_one.wait()
        await session.execute(update(User).where(User.email == second).values(name=User.name + "x"))

    await asyncio.gather(*(write(app, lock_one_then_the_other, *pair) for pair in (emails, emails[::-1])))
    assert await count(app, User, User.name == "-xx") == 2
    assert len(runs) >= 3


# Deadlines


@both_databases
async def test_a_write_that_waits_for_a_lock_past_its_deadline_is_a_503_and_is_not_committed_later(
    app: Quart, client: TestClientProtocol
) -> None:
    await register(client)
    app.extensions["db_timeout"] = 0.5  # less than the lock timeout of the database

    async with app.extensions["db"].connect() as other:
        await other.execute(select(UserSession.id).with_for_update())
        async with asyncio.timeout(15):
            response = await change_password(client)

    assert (response.status_code, response.headers["Retry-After"]) == (503, "5")
    app.extensions["db_timeout"] = 4
    assert (await log_in(app.test_client())).status_code == 303


@both_databases
async def test_a_transaction_past_its_deadline_is_rolled_back(app: Quart) -> None:
    app.extensions["db_timeout"] = 0.5

    async def add_role_slowly(session: AsyncSession) -> None:
        await add_role(session)
        await session.flush()
        await asyncio.sleep(60)

    with pytest.raises(DatabaseUnavailable):
        await write(app, add_role_slowly)
    app.extensions["db_timeout"] = 4
    assert await count(app, Role) == 0
    assert checked_out(app) == 0


# The queue in front of the pool


@asynccontextmanager
async def narrow(settings: dict[str, Any]) -> AsyncIterator[Quart]:
    """A site with one connection for reads, one for writes, and a deadline of a second."""
    settings["SQLALCHEMY_ENGINE_OPTIONS"] = {"pool_size": 1}
    async with serving(settings) as app:
        await app.extensions["mail_worker"].stop()
        await read(app, query, "SELECT 1")  # on a busy machine the connection alone may take a second
        app.extensions["db_timeout"] = 1
        yield app


@both_databases
async def test_under_overload_some_are_served_and_no_transaction_is_cut_off(settings: dict[str, Any]) -> None:
    opened, began = list[object](), list[int]()

    async def work(session: AsyncSession, number: int) -> int:
        began.append(number)
        await session.execute(text("SELECT 1"))
        await asyncio.sleep(0.1)
        return number

    async with narrow(settings) as app:
        event.listen(engines(app)[0], "connect", lambda *_: opened.append(_))
        results = await asyncio.gather(*(read(app, work, number) for number in range(30)), return_exceptions=True)

    served = [result for result in results if isinstance(result, int)]
    assert 1 <= len(served) <= 8
    assert began == served
    assert {type(result) for result in results if result not in served} == {DatabaseUnavailable}
    assert len(opened) <= 1


def test_as_many_calls_run_as_there_are_connections() -> None:
    capacity = {(2, 0): 2, (2, 3): 5, (2, -1): sys.maxsize, (0, 3): sys.maxsize}
    found = [pool_capacity({"pool_size": size, "max_overflow": more}) for size, more in capacity]
    assert found == [*capacity.values()]


async def test_a_caller_that_is_cancelled_in_the_queue_does_nothing_and_frees_its_slot(
    settings: dict[str, Any],
) -> None:
    ran, is_running, release = list[str](), asyncio.Event(), asyncio.Event()

    async def work(_session: AsyncSession, name: str) -> None:
        ran.append(name)
        is_running.set()
        await release.wait()

    async with narrow(settings) as app:
        first, gone, last = (asyncio.create_task(write(app, work, name)) for name in ("first", "gone", "last"))
        await is_running.wait()
        gone.cancel()
        release.set()
        await asyncio.gather(first, last)
    assert ran == ["first", "last"]
    assert gone.cancelled()


async def test_a_transaction_completes_when_its_request_is_cancelled(app: Quart) -> None:
    is_writing, release = asyncio.Event(), asyncio.Event()

    async def write_slowly(session: AsyncSession) -> None:
        is_writing.set()
        await release.wait()
        await add_role(session)

    request = asyncio.create_task(write(app, write_slowly))
    await is_writing.wait()
    request.cancel()
    await asyncio.sleep(0)
    release.set()
    await asyncio.wait({request})
    assert request.cancelled()
    assert await count(app, Role) == 1


@both_databases
async def test_no_connection_is_in_use_while_a_password_is_hashed(
    app: Quart, client: TestClientProtocol, monkeypatch: pytest.MonkeyPatch
) -> None:
    await app.extensions["mail_worker"].stop()  # which has work of its own
    seen: list[int] = []

    def watched(work: Any) -> Any:
        def call(*arguments: Any) -> Any:
            seen.append(checked_out(app))
            return work(*arguments)

        return call

    for method in ("hash", "verify"):
        monkeypatch.setattr(PasswordHasher, method, watched(getattr(PasswordHasher, method)))
    for act in (register, log_in, change_password):
        assert (await act(client)).status_code == 303

    assert len(seen) >= 4
    assert set(seen) == {0}


# MariaDB


async def test_connections_to_mariadb_are_strict_and_use_utf8mb4_and_utc(mariadb: MariaDB, tmp_path: Path) -> None:
    uri = mariadb.create_database("strict")
    app = create_app({"SQLALCHEMY_DATABASE_URI": uri, "SECRET_KEY": SECRET_KEY, "INSTANCE_PATH": str(tmp_path)})
    query = "SELECT @@sql_mode, @@character_set_connection, @@time_zone, @@innodb_lock_wait_timeout, @@tx_isolation"

    for call in (read, write):
        found = await call(app, lambda session: session.execute(text(query)))
        modes, *others, isolation = found.one()
        assert "STRICT_ALL_TABLES" in modes
        assert others == ["utf8mb4", "+00:00", 1]
    assert isolation == "READ-COMMITTED"
    async with app.app_context():
        await db.dispose()


async def test_readers_do_not_wait_while_another_process_holds_the_lock(app: Quart, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "app.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        writing = asyncio.create_task(write(app, query, "SELECT count(*) FROM user"))
        await asyncio.sleep(0.3)
        assert await read(app, query, "SELECT count(*) FROM user") == 0
        assert not writing.done()  # a blocked loop would have reached the deadline first

        other.execute("ROLLBACK")
        assert await writing == 0


async def test_a_commit_that_fails_leaves_no_transaction_open(app: Quart) -> None:
    async def break_a_foreign_key(session: AsyncSession) -> None:
        await session.execute(text("PRAGMA defer_foreign_keys=ON"))
        session.add(UserRole(user_id=0, role_id=0))

    with pytest.raises(IntegrityError):
        await write(app, break_a_foreign_key)
    await write(app, add_role)
    assert (await count(app, Role), await count(app, UserRole)) == (1, 0)


async def test_a_query_past_its_deadline_is_a_503_in_time(app: Quart) -> None:
    app.extensions["db_timeout"] = 0.3
    # Without the interrupt it would take half a minute.
    long = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 200000000) SELECT count(*) FROM n"

    async with asyncio.timeout(15):
        with pytest.raises(DatabaseUnavailable):
            await read(app, query, long)
    assert checked_out(app) == 0


async def test_a_read_only_sqlite_file_is_503_for_writers_and_can_be_read(
    settings: dict[str, Any], tmp_path: Path, log: pytest.LogCaptureFixture
) -> None:
    settings["SQLALCHEMY_DATABASE_URI"] = f"sqlite:///file:{tmp_path}/app.db?mode=ro&uri=true"
    async with serving(settings) as app:
        client = app.test_client()
        assert (await client.get("/readyz")).status_code == 200
        assert (await register(client)).status_code == 503
        assert "attempt to write a readonly database" in log.text
