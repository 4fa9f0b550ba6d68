"""A database that breaks under load: what was acknowledged is kept, and who comes meanwhile is answered soon."""

import asyncio
import os
import random
import resource
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from conftest import migrate
from load import Crowd, Outcome, ask, children, client_of, instance_in, register, serving_many
from mariadb_server import MariaDB
from test_run import PATIENCE, Server

pytestmark = pytest.mark.slow

GOOD = (200, 303)
SOON = 5  # seconds
CONNECTIONS = 15  # that a worker may have: five, and ten more at need


@pytest.fixture
def frail(mariadb: MariaDB, tmp_path: Path) -> Iterator[MariaDB]:
    """A server to be hurt."""
    server = MariaDB(mariadb.program)
    with server.running(tmp_path / "server"):
        keep_what_is_committed(server)
        yield server


def keep_what_is_committed(server: MariaDB) -> None:
    """Undo what makes the servers of the tests quick: a server that is killed would forget the last second."""
    server.execute("SET GLOBAL innodb_flush_log_at_trx_commit = 1")


@pytest.fixture
def site_on_mariadb(frail: MariaDB, tmp_path: Path) -> Iterator[Server]:
    uri = frail.create_database("site")
    migrate(uri, instance=tmp_path).check_returncode()
    with serving_many(tmp_path, workers=2, uri=uri) as server:
        yield server
        assert server.end() == 0


@pytest.fixture
def instance(tmp_path: Path, sqlite_template: Path) -> Path:
    return instance_in(tmp_path / "site", sqlite_template)


@pytest.fixture
def site_on_sqlite(instance: Path) -> Iterator[Server]:
    with serving_many(instance, workers=2) as server:
        yield server
        assert server.end() == 0


async def test_a_mariadb_that_freezes_under_load(frail: MariaDB, site_on_mariadb: Server) -> None:
    crowd = Crowd(site_on_mariadb)
    async with crowd.at_work():
        await asyncio.sleep(1)
        working = time.monotonic()
        with frail.frozen():
            frozen = time.monotonic()
            await asyncio.sleep(13)  # three times as long as a request waits: also who was signing up comes to it again
            thawed = time.monotonic()
        await asyncio.sleep(SOON + 1)

    assert statuses(crowd, 0, working) <= set(GOOD)
    assert statuses(crowd, frozen, thawed) == {503}
    assert statuses(crowd, thawed + SOON, time.monotonic()) == set(GOOD)
    assert_everybody_was_answered_soon(crowd)
    assert_nothing_acknowledged_is_lost(crowd, emails_in_mariadb(frail))
    await assert_as_quick_as_before(site_on_mariadb)


async def test_a_mariadb_that_is_killed_and_returns_under_load(frail: MariaDB, site_on_mariadb: Server) -> None:
    crowd = Crowd(site_on_mariadb)
    async with crowd.at_work():
        await asyncio.sleep(2)
        killed = time.monotonic()
        await asyncio.to_thread(frail.kill)
        dead = time.monotonic()
        await asyncio.sleep(2)
        down_until = time.monotonic()
        await asyncio.to_thread(frail.start)
        keep_what_is_committed(frail)
        back = time.monotonic()
        await asyncio.sleep(SOON + 1)

    assert statuses(crowd, 0, killed) <= set(GOOD)
    assert statuses(crowd, dead, down_until) == {503}
    assert statuses(crowd, back + SOON, time.monotonic()) == set(GOOD)
    assert_everybody_was_answered_soon(crowd)
    assert_nothing_acknowledged_is_lost(crowd, emails_in_mariadb(frail))
    await assert_as_quick_as_before(site_on_mariadb)


def statuses(crowd: Crowd, since: float, until: float) -> set[int | str]:
    """Return what those heard who needed the database and who came and went in that time."""
    asked = [one for one in crowd.to("/", "/register", "/readyz") if since <= one.begun and one.ended <= until]
    assert {one.path for one in asked} == {"/", "/register", "/readyz"}
    return {one.status for one in asked}


def assert_everybody_was_answered_soon(crowd: Crowd) -> None:
    assert [one for one in crowd.outcomes if one.took > SOON or one.status not in (*GOOD, 503)] == []
    assert {one.status for one in crowd.to("/healthz")} == {200}
    assert {one.retry_after for one in crowd.to("/", "/register") if one.status == 503} == {"5"}


def assert_nothing_acknowledged_is_lost(crowd: Crowd, kept: set[str]) -> None:
    assert len(crowd.acknowledged) >= crowd.people
    assert set(crowd.acknowledged) <= kept


async def assert_as_quick_as_before(server: Server) -> None:
    """Ask for more connections than there are, so that one that never came back is missed."""
    async with client_of(server) as client:
        for _ in range(3):
            asked = await asyncio.gather(*(ask(client, "/readyz") for _ in range(4 * CONNECTIONS)))
            assert [one for one in asked if one.status != 200 or one.took > 2] == []


def emails_in_mariadb(server: MariaDB) -> set[str]:
    with server.connect("site") as connection, connection.cursor() as cursor:
        cursor.execute("SELECT email FROM user")
        return {email for (email,) in cursor.fetchall()}


async def test_an_sqlite_file_that_somebody_else_has_locked(site_on_sqlite: Server, instance: Path) -> None:
    async with client_of(site_on_sqlite) as client:

        async def all_register() -> list[Outcome]:
            return await asyncio.gather(*(register(client, f"{number}@example.com") for number in range(8)))

        with closing(sqlite3.connect(instance / "app.db", isolation_level=None, timeout=PATIENCE)) as other:
            other.execute("BEGIN IMMEDIATE")
            refused, reader = await asyncio.gather(all_register(), ask(client, "/readyz"))
            other.execute("ROLLBACK")
        welcome = await all_register()

    assert {(one.status, one.retry_after) for one in refused} == {(503, "5")}
    assert {one.status for one in welcome} == {303}
    assert max(one.took for one in refused + welcome) < SOON
    assert (reader.status, reader.took < 2) == (200, True)  # who only reads does not wait for who writes


async def test_an_sqlite_file_that_may_not_grow(site_on_sqlite: Server, instance: Path) -> None:
    crowd = Crowd(site_on_sqlite)
    async with crowd.at_work():
        await asyncio.sleep(1)
        let_no_file_grow_over(size_of(instance / "app.db-wal"), site_on_sqlite)
        full = time.monotonic()
        await asyncio.sleep(2)
        emptied = time.monotonic()
        let_no_file_grow_over(resource.RLIM_INFINITY, site_on_sqlite)
        await asyncio.sleep(SOON + 1)

    meanwhile = [one for one in crowd.to("/register") if full <= one.begun and one.ended <= emptied]
    assert 503 in {one.status for one in meanwhile}
    assert statuses(crowd, emptied + SOON, time.monotonic()) == set(GOOD)
    assert_everybody_was_answered_soon(crowd)
    assert_nothing_acknowledged_is_lost(crowd, emails_in_sqlite(instance))


def size_of(file: Path) -> int:
    return file.stat().st_size


def let_no_file_grow_over(size: int, server: Server) -> None:
    """Have the kernel refuse to the workers what a full disk would."""
    for worker in children(server.process.pid):
        resource.prlimit(worker, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


async def test_an_sqlite_file_whose_writers_are_killed_twenty_times(instance: Path) -> None:
    acknowledged: set[str] = set()
    for _ in range(20):
        with serving_many(instance, workers=2) as server:
            crowd = Crowd(server, people=20)
            async with crowd.at_work():
                await asyncio.sleep(random.uniform(0.5, 0.8))  # noqa: S311 # no secret
                os.killpg(server.process.pid, signal.SIGKILL)
            acknowledged.update(crowd.acknowledged)
        assert acknowledged <= emails_in_sqlite(instance)
    assert len(acknowledged) >= 20


def emails_in_sqlite(instance: Path) -> set[str]:
    """Return whose accounts there are in a database that is whole."""
    with closing(sqlite3.connect(instance / "app.db")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return {email for (email,) in connection.execute('SELECT email FROM "user"')}
