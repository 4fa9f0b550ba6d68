"""A database that breaks under load: no acknowledged change is lost, and every request gets a response in time."""

import asyncio
import os
import random
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from pathlib import Path

import pytest

from support.app import migrate
from support.load import Crowd, ask, client_of, instance_in, serving_many, wait_until
from support.mariadb_server import MariaDB
from support.server_process import Server

pytestmark = pytest.mark.slow

GOOD = (200, 303)
SOON = 5  # seconds: the deadline of a transaction is 4
NOISE = 5  # seconds by which a slow machine may delay a response
CONNECTIONS = 15  # of a worker


@pytest.fixture
def frail(mariadb: MariaDB, tmp_path: Path) -> Iterator[MariaDB]:
    """Return a MariaDB that the test may freeze or kill."""
    server = MariaDB(mariadb.program)
    with server.running(tmp_path / "server"):
        keep_what_is_committed(server)
        yield server


def keep_what_is_committed(server: MariaDB) -> None:
    """Undo a setting of the tests, with which a killed server would lose the changes of the last second."""
    server.execute("SET GLOBAL innodb_flush_log_at_trx_commit = 1")


@pytest.fixture
def site_on_mariadb(frail: MariaDB, tmp_path: Path) -> Iterator[Server]:
    uri = frail.create_database("site")
    migrate(uri, instance=tmp_path).check_returncode()
    with serving_many(tmp_path, workers=2, uri=uri) as server:
        yield server
        assert server.end() == 0


@contextmanager
def killed(server: MariaDB) -> Iterator[None]:
    server.kill()
    yield
    server.start()
    keep_what_is_committed(server)


# A freeze lasts three times as long as the deadline: each client sends each of its requests.
@pytest.mark.parametrize(("outage", "seconds"), [(MariaDB.frozen, 13), (killed, 2)], ids=["frozen", "killed"])
async def test_a_mariadb_that_freezes_or_is_killed_under_load(
    frail: MariaDB, site_on_mariadb: Server, outage: Callable[[MariaDB], AbstractContextManager[None]], seconds: int
) -> None:
    crowd = Crowd(site_on_mariadb)
    async with crowd.at_work():
        await asyncio.to_thread(wait_until, lambda: crowd.to("/") != [])
        working = time.monotonic()
        with ExitStack() as stack:
            await asyncio.to_thread(stack.enter_context, outage(frail))
            down = time.monotonic()
            await asyncio.sleep(seconds)
            down_until = time.monotonic()
            await asyncio.to_thread(stack.close)
        back = time.monotonic()
        await asyncio.sleep(SOON + NOISE + 1)

    assert statuses(crowd, 0, working) <= set(GOOD)
    assert statuses(crowd, down, down_until) == {503}
    assert statuses(crowd, back + SOON + NOISE, time.monotonic()) == set(GOOD)
    assert_every_response_came_soon(crowd)
    assert len(crowd.acknowledged) >= crowd.people
    assert set(crowd.acknowledged) <= emails_in_mariadb(frail)
    await assert_as_quick_as_before(site_on_mariadb)


def statuses(crowd: Crowd, since: float, until: float) -> set[int | str]:
    """Return the statuses of the requests that need the database and that began and ended in that time."""
    outcomes = [one for one in crowd.to("/", "/register", "/readyz") if since <= one.begun and one.ended <= until]
    assert {one.path for one in outcomes} == {"/", "/register", "/readyz"}
    return {one.status for one in outcomes}


def assert_every_response_came_soon(crowd: Crowd) -> None:
    assert [one for one in crowd.outcomes if one.took > SOON + NOISE or one.status not in (*GOOD, 503)] == []
    assert {one.status for one in crowd.to("/healthz")} == {200}
    assert {one.retry_after for one in crowd.to("/", "/register") if one.status == 503} == {"5"}


async def assert_as_quick_as_before(server: Server) -> None:
    """Send more requests at once than there are connections. If a connection were lost, they would wait."""
    async with client_of(server) as client:
        for _ in range(3):
            outcomes = await asyncio.gather(*(ask(client, "/readyz") for _ in range(4 * CONNECTIONS)))
            assert [one for one in outcomes if one.status != 200 or one.took > SOON] == []


def emails_in_mariadb(server: MariaDB) -> set[str]:
    with server.connect("site") as connection, connection.cursor() as cursor:
        cursor.execute("SELECT email FROM user")
        return {email for (email,) in cursor.fetchall()}


async def test_an_sqlite_file_whose_writers_are_killed_twenty_times(tmp_path: Path, sqlite_template: Path) -> None:
    instance, acknowledged = instance_in(tmp_path / "site", sqlite_template), set[str]()
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
    """Return the e-mail addresses in a database that is not damaged."""
    with closing(sqlite3.connect(instance / "app.db")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return {email for (email,) in connection.execute('SELECT email FROM "user"')}
