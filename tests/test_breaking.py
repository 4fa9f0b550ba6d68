"""The site while its database breaks under load: what was acknowledged is kept, and who comes meanwhile hears so soon."""

import asyncio
import os
import random
import resource
import signal
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing
from itertools import count
from pathlib import Path

import httpx
import pytest

from conftest import migrate
from load import UNLIMITED, Outcome, ask, children, registration
from mariadb_server import MariaDB
from test_run import PATIENCE, Server, running

GOOD = (200, 303)
SOON = 5  # seconds


class Crowd:
    """People who register and look at a page, one after the other, until they are told to stop."""

    def __init__(self, server: Server, people: int = 8) -> None:
        self.server = server
        self.people = people
        self.numbers = count()
        self.outcomes: list[Outcome] = []
        self.acknowledged: list[str] = []

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(self.register_and_look()) for _ in range(self.people)]
            running.append(tasks.create_task(self.look_after()))
            yield
            for task in running:
                task.cancel()

    async def register_and_look(self) -> None:
        while True:
            async with self.client() as client:
                email = f"{next(self.numbers)}-{random.getrandbits(32)}@example.com"  # noqa: S311 # no secret
                outcome = await ask(client, "POST", "/register", registration(email))
                self.outcomes.append(outcome)
                if outcome.status == 303:
                    self.acknowledged.append(email)
                self.outcomes.append(await ask(client, "GET", "/"))

    async def look_after(self) -> None:
        """Ask every now and then, as a load balancer does."""
        async with self.client() as client:
            while True:
                self.outcomes += await asyncio.gather(ask(client, "GET", "/healthz"), ask(client, "GET", "/readyz"))
                await asyncio.sleep(0.2)

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=f"http://{self.server.address}", timeout=PATIENCE)

    def of(self, *paths: str) -> list[Outcome]:
        return [outcome for outcome in self.outcomes if outcome.what in paths]

    def wrong(self, since: float, until: float, *expected: int) -> list[Outcome]:
        """Return who began and ended in that time, came to the database, and heard something else."""
        asked = [one for one in self.outcomes if one.what != "/healthz" and since <= one.begun and one.ended <= until]
        assert {one.what for one in asked} >= {"/register", "/readyz"}
        return [one for one in asked if one.status not in expected]


@pytest.fixture
def frail(mariadb: MariaDB, tmp_path: Path) -> Iterator[MariaDB]:
    server = MariaDB(mariadb.program)
    with server.running(tmp_path / "server"):
        keep_what_is_committed(server)
        yield server


def keep_what_is_committed(server: MariaDB) -> None:
    server.execute("SET GLOBAL innodb_flush_log_at_trx_commit = 1")


@pytest.fixture
def site_on_mariadb(frail: MariaDB, tmp_path: Path) -> Iterator[Server]:
    uri = frail.create_database("site")
    migrate(uri, instance=tmp_path).check_returncode()
    settings = UNLIMITED | {"SQLALCHEMY_DATABASE_URI": uri}
    with running(tmp_path, "--workers", "2", workers=2, **settings) as server:
        yield server
        assert server.end() == 0
        assert "Traceback" not in server.log.read_text()


@pytest.fixture
def site_on_sqlite(tmp_path: Path, sqlite_template: Path) -> Iterator[Server]:
    (tmp_path / "app.db").write_bytes(sqlite_template.read_bytes())
    with running(tmp_path, "--workers", "2", workers=2, **UNLIMITED) as server:
        yield server
        assert server.end() == 0
        assert "Traceback" not in server.log.read_text()


async def test_a_mariadb_that_freezes_and_dies_under_load(frail: MariaDB, site_on_mariadb: Server) -> None:
    crowd = Crowd(site_on_mariadb)
    async with crowd.at_work():
        started = time.monotonic()
        await asyncio.sleep(2)
        frozen = time.monotonic()
        with frail.frozen():
            await asyncio.sleep(6)
            thawed = time.monotonic()
        await asyncio.sleep(SOON + 2)
        killed = time.monotonic()
        frail.kill()
        dead = time.monotonic()
        await asyncio.sleep(2)
        down_until = time.monotonic()
        await asyncio.to_thread(frail.start)
        keep_what_is_committed(frail)
        back = time.monotonic()
        await asyncio.sleep(SOON + 2)
        ended = time.monotonic()

    assert crowd.wrong(started, frozen, *GOOD) == []
    assert crowd.wrong(frozen, thawed, 503) == []
    assert crowd.wrong(thawed + SOON, killed, *GOOD) == []
    assert crowd.wrong(dead, down_until, 503) == []
    assert crowd.wrong(back + SOON, ended, *GOOD) == []
    assert_everybody_was_answered_soon(crowd)
    assert_nothing_acknowledged_is_lost(crowd, rows(frail))
    await assert_as_quick_as_before(crowd)


def assert_everybody_was_answered_soon(crowd: Crowd) -> None:
    assert [one for one in crowd.outcomes if one.took > SOON or one.status not in (*GOOD, 503)] == []
    assert {one.status for one in crowd.of("/healthz")} == {200}
    assert {one.retry_after for one in crowd.of("/", "/register") if one.status == 503} == {"5"}


def assert_nothing_acknowledged_is_lost(crowd: Crowd, kept: set[str]) -> None:
    assert len(crowd.acknowledged) >= crowd.people
    assert set(crowd.acknowledged) <= kept


async def assert_as_quick_as_before(crowd: Crowd) -> None:
    """Two workers, five connections each and ten more at need: one that never came back would be missed."""
    async with crowd.client() as client:
        asked = [await asyncio.gather(*(ask(client, "GET", "/readyz") for _ in range(60))) for _ in range(3)]
    assert [one for round_ in asked for one in round_ if one.status != 200 or one.took > 2] == []


def rows(server: MariaDB) -> set[str]:
    with server.connect("site") as connection, connection.cursor() as cursor:
        cursor.execute("SELECT email FROM user")
        return {email for (email,) in cursor.fetchall()}


async def test_an_sqlite_file_that_somebody_else_has_locked(site_on_sqlite: Server, tmp_path: Path) -> None:
    crowd = Crowd(site_on_sqlite)
    async with crowd.at_work():
        await asyncio.sleep(1)
        with closing(sqlite3.connect(tmp_path / "app.db", isolation_level=None, timeout=PATIENCE)) as other:
            other.execute("BEGIN IMMEDIATE")
            locked = time.monotonic()
            await asyncio.sleep(6)
            unlocked = time.monotonic()
            other.execute("ROLLBACK")
        await asyncio.sleep(SOON + 1)
        ended = time.monotonic()

    meanwhile = [one for one in crowd.of("/register") if locked <= one.begun and one.ended <= unlocked]
    assert {one.status for one in meanwhile} == {503}
    assert {one.status for one in crowd.of("/readyz")} == {200}  # who only reads does not wait for who writes
    assert crowd.wrong(unlocked + SOON, ended, *GOOD) == []
    assert_everybody_was_answered_soon(crowd)
    assert_nothing_acknowledged_is_lost(crowd, emails(tmp_path))


async def test_an_sqlite_file_that_may_not_grow(site_on_sqlite: Server, tmp_path: Path) -> None:
    crowd = Crowd(site_on_sqlite)
    async with crowd.at_work():
        await asyncio.sleep(1)
        limit_files(site_on_sqlite, (tmp_path / "app.db-wal").stat().st_size)
        full = time.monotonic()
        await asyncio.sleep(2)
        emptied = time.monotonic()
        limit_files(site_on_sqlite, resource.RLIM_INFINITY)
        await asyncio.sleep(SOON + 1)
        ended = time.monotonic()

    assert 503 in {one.status for one in crowd.of("/register") if full <= one.begun and one.ended <= emptied}
    assert crowd.wrong(emptied + SOON, ended, *GOOD) == []
    assert_everybody_was_answered_soon(crowd)
    assert_nothing_acknowledged_is_lost(crowd, emails(tmp_path))


def limit_files(server: Server, size: int) -> None:
    """Have the kernel refuse to the workers what a full disk would."""
    for worker in children(server.process.pid):
        resource.prlimit(worker, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


async def test_an_sqlite_file_whose_writers_are_killed_twenty_times(tmp_path: Path, sqlite_template: Path) -> None:
    (tmp_path / "app.db").write_bytes(sqlite_template.read_bytes())
    acknowledged: set[str] = set()
    for _ in range(20):
        with running(tmp_path, "--workers", "2", workers=2, **UNLIMITED) as server:
            crowd = Crowd(server, people=20)
            async with crowd.at_work():
                await until(lambda crowd=crowd: len(crowd.acknowledged) >= 5)  # type: ignore[misc]
                await asyncio.sleep(random.uniform(0, 0.3))  # noqa: S311 # no secret
                os.killpg(server.process.pid, signal.SIGKILL)
            acknowledged.update(crowd.acknowledged)
        assert acknowledged <= emails(tmp_path)
    assert len(acknowledged) >= 100


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.01)


def emails(instance: Path) -> set[str]:
    """Return whose accounts a database has that is whole."""
    with closing(sqlite3.connect(instance / "app.db")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return {email for (email,) in connection.execute('SELECT email FROM "user"')}
