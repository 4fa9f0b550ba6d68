"""Units of work: one transaction each, in time, repeated when a race for a lock is lost, and nothing held meanwhile."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from quart import Quart
from quart.typing import TestClientProtocol
from sqlalchemy import event, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.pool import QueuePool

from app.app_factory import create_app
from app.models import User, db
from app.models.core import DatabaseUnavailable
from app.services import accounts
from app.services.passwords import PasswordHasher
from conftest import SECRET_KEY, UNTHROTTLED, migrate, serving
from mariadb_server import MariaDB
from people import EMAIL, change_password, count, create_user, log_in, register


def checked_out(app: Quart) -> int:
    """Return how many connections are away from the pool."""
    pool = app.extensions["db"].pool
    assert isinstance(pool, QueuePool)
    return pool.checkedout()


async def test_what_a_unit_returns_is_loaded_and_detached(app: Quart) -> None:
    user = await create_user(app)

    assert (user.id, user.email, user.active, str(user)) == (user.id, EMAIL, True, EMAIL)
    assert user.created_on is not None


async def test_a_unit_that_fails_leaves_nothing_behind(app: Quart) -> None:
    async def register_and_fail(session: AsyncSession) -> None:
        await accounts.register(session, email=EMAIL, password_hash=None)
        raise LookupError

    async with app.app_context():
        with pytest.raises(LookupError):
            await db.write(register_and_fail)
    assert await count(app, User) == 0


async def test_a_request_has_one_session_and_its_units_wait_for_each_other(app: Quart) -> None:
    async def session_itself(session: AsyncSession) -> AsyncSession:
        await session.execute(text("select 1"))
        return session

    async with app.app_context():
        sessions = await asyncio.gather(*(db.read(session_itself) for _ in range(5)), db.write(session_itself))
    assert len(set(sessions)) == 1
    assert checked_out(app) == 0


async def test_a_read_cannot_be_seen_before_it_is_committed_nor_after_a_rollback(app: Quart) -> None:
    user = await create_user(app)

    async def rename_and_look(session: AsyncSession) -> None:
        await session.execute(update(User).values(name="Countess"))
        async with app.app_context():
            seen = await db.read(accounts.find_by_email, email=EMAIL)
        assert seen is not None
        assert seen.name is None

    async with app.app_context():
        await db.write(rename_and_look)
        renamed = await db.read(accounts.find_by_email, email=user.email)
    assert renamed is not None
    assert renamed.name == "Countess"


async def test_twenty_writers_who_read_first_lose_nothing(app: Quart) -> None:
    await create_user(app, name="0")

    async def add_one(session: AsyncSession) -> None:
        user = await accounts.get_by_email(session, email=EMAIL, lock=True)
        await asyncio.sleep(0.001)
        user.name = str(int(user.name or 0) + 1)

    async def write() -> None:
        async with app.app_context():
            await db.write(add_one)

    await asyncio.gather(*(write() for _ in range(20)))
    assert await name_of_ada(app) == "20"
    assert checked_out(app) == 0


async def name_of_ada(app: Quart) -> str | None:
    async with app.app_context():
        user = await db.read(accounts.find_by_email, email=EMAIL)
    assert user is not None
    return user.name


async def test_a_deadlock_is_run_again_and_both_sides_win(app: Quart) -> None:
    await create_user(app, "a@example.com", name="-")
    await create_user(app, "b@example.com", name="-")
    both_hold_one = asyncio.Barrier(2)
    runs = []

    async def lock_one_then_the_other(session: AsyncSession, first: str, second: str) -> None:
        runs.append(first)
        await session.execute(update(User).where(User.email == first).values(name=User.name + "x"))
        if len(runs) <= 2 and app.extensions["db"].dialect.name != "sqlite":
            await both_hold_one.wait()
        await session.execute(update(User).where(User.email == second).values(name=User.name + "x"))

    async def write(first: str, second: str) -> None:
        async with app.app_context():
            await db.write(lock_one_then_the_other, first, second)

    await asyncio.gather(write("a@example.com", "b@example.com"), write("b@example.com", "a@example.com"))
    assert await count(app, User, User.name == "-xx") == 2
    assert len(runs) >= (2 if app.extensions["db"].dialect.name == "sqlite" else 3)


async def test_a_lock_that_nobody_gives_up_is_answered_with_503_in_time(app: Quart, client: TestClientProtocol) -> None:
    await create_user(app)

    async with app.extensions["db"].connect() as stranger:
        await stranger.execution_options(writes=True)
        await stranger.execute(select(User).with_for_update())
        started = time.monotonic()
        answer = await log_in(client)

    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "5"
    assert time.monotonic() - started < 5
    assert (await log_in(client)).status_code == 303


async def test_a_unit_that_takes_too_long_is_given_up(app: Quart) -> None:
    app.extensions["db_timeout"] = 0.2

    async def dawdle(session: AsyncSession) -> None:
        await accounts.register(session, email=EMAIL, password_hash=None)
        await asyncio.sleep(5)

    async with app.app_context():
        with pytest.raises(DatabaseUnavailable):
            await db.write(dawdle)
    app.extensions["db_timeout"] = 4
    assert await count(app, User) == 0
    assert checked_out(app) == 0


async def test_a_pool_that_is_used_up_answers_503_in_time(settings: dict[str, Any]) -> None:
    settings["SQLALCHEMY_ENGINE_OPTIONS"] = {"pool_size": 1, "max_overflow": 0}
    async with serving(settings) as app, app.extensions["db"].connect():
        started = time.monotonic()
        answer = await log_in(app.test_client())

        assert answer.status_code == 503
        assert time.monotonic() - started < 5


@pytest.fixture
def seen_while_hashing(app: Quart, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """What was checked out of the pool each time that a password was hashed or verified."""
    seen: list[int] = []

    def watched(work: Any) -> Any:
        def look(*arguments: Any) -> Any:
            seen.append(checked_out(app))
            return work(*arguments)

        return look

    for method in ("hash", "verify"):
        monkeypatch.setattr(PasswordHasher, method, watched(getattr(PasswordHasher, method)))
    return seen


async def test_nothing_is_checked_out_while_a_password_is_hashed(
    app: Quart, client: TestClientProtocol, seen_while_hashing: list[int]
) -> None:
    await app.extensions["mailer"].stop()  # which has work of its own
    for act, status in ((register, 303), (log_in, 303), (change_password, 303)):
        assert (await act(client)).status_code == status

    assert len(seen_while_hashing) >= 4
    assert set(seen_while_hashing) == {0}


async def test_connections_to_mariadb_are_strict_and_speak_utf8mb4(mariadb: MariaDB, tmp_path: Path) -> None:
    uri = mariadb.create_database("strict")
    app = create_app({"SQLALCHEMY_DATABASE_URI": uri, "SECRET_KEY": SECRET_KEY, "INSTANCE_PATH": str(tmp_path)})

    async with app.extensions["db"].connect() as connection:
        query = text("select @@sql_mode, @@character_set_connection, @@tx_isolation, @@innodb_lock_wait_timeout")
        modes, charset, isolation, wait = (await connection.execute(query)).one()
    await app.extensions["db"].dispose()
    assert "STRICT_ALL_TABLES" in modes
    assert (charset, isolation, wait) == ("utf8mb4", "READ-COMMITTED", 1)


@pytest.fixture
def frail(mariadb: MariaDB, tmp_path: Path) -> Iterator[MariaDB]:
    """A server of one test's own, to be hurt."""
    server = MariaDB(mariadb.program)
    with server.running(tmp_path / "server"):
        yield server


async def test_a_mariadb_that_freezes_dies_and_returns_is_503_meanwhile_and_then_as_before(
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


async def test_a_mariadb_that_dies_in_the_middle_of_a_unit_is_503(frail: MariaDB, tmp_path: Path) -> None:
    app = create_app(
        {
            "SQLALCHEMY_DATABASE_URI": frail.create_database("site"),
            "SECRET_KEY": SECRET_KEY,
            "INSTANCE_PATH": str(tmp_path),
        }
    )

    async def outlive(session: AsyncSession) -> None:
        await session.execute(text("select 1"))
        frail.kill()
        await session.execute(text("select 1"))

    async with app.app_context():
        with pytest.raises(DatabaseUnavailable):
            await db.write(outlive)
        await db.dispose()


async def statuses(client: TestClientProtocol) -> dict[str, int]:
    """Ask for four pages at once, and see that each is answered within five seconds."""
    paths = ("/", "/api/", "/healthz", "/readyz")
    async with asyncio.timeout(5):
        answers = await asyncio.gather(*(client.get(path) for path in paths))
    return dict(zip(paths, (answer.status_code for answer in answers), strict=True))


@pytest.fixture
def sqlite_settings(sqlite_template: Path, tmp_path: Path) -> dict[str, Any]:
    (tmp_path / "app.db").write_bytes(sqlite_template.read_bytes())
    needed = {"SQLALCHEMY_DATABASE_URI": "sqlite:///app.db", "SECRET_KEY": SECRET_KEY, "INSTANCE_PATH": str(tmp_path)}
    return needed | UNTHROTTLED


async def test_a_full_disk_is_503_with_the_reason_in_the_log(
    sqlite_settings: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(sqlite_settings) as app:
        client = app.test_client()
        full = lambda connection, _: connection.execute("PRAGMA max_page_count=1")  # noqa: E731
        event.listen(app.extensions["db"].sync_engine, "connect", full)
        await app.extensions["mailer"].stop()
        await app.extensions["db"].dispose()
        with_much_to_say = {"name": "x" * 100}
        answers = [await register(client, email=f"{n}@{'a' * 60}.example.com", **with_much_to_say) for n in range(40)]

        assert 503 in {answer.status_code for answer in answers}
        assert "database or disk is full" in caplog.text
        event.remove(app.extensions["db"].sync_engine, "connect", full)
        await app.extensions["db"].dispose()
        assert (await register(client, email="after@example.com")).status_code == 303


async def test_an_sqlite_file_that_cannot_be_written_is_503_and_can_be_read(
    sqlite_settings: dict[str, Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sqlite_settings["SQLALCHEMY_DATABASE_URI"] = f"sqlite:///file:{tmp_path}/app.db?mode=ro&uri=true"
    async with serving(sqlite_settings) as app:
        client = app.test_client()

        assert (await client.get("/readyz")).status_code == 200
        assert (await register(client)).status_code == 503
        assert "attempt to write a readonly database" in caplog.text
