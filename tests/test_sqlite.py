"""A database in a file: what is quick is asked at once, what is not holds the event loop for nobody."""

import asyncio
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from quart import Quart
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app.app_factory import create_app
from app.models import db
from app.models.core import DatabaseUnavailable
from app.models.sqlite import LOCK_TIMEOUT
from app.services import accounts
from conftest import SECRET_KEY
from people import EMAIL, create_user
from wire import Wire

COUNT = (
    "SELECT count(*) FROM (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT {}) SELECT * FROM n)"
)


@pytest.fixture
def site(sqlite_template: Path, tmp_path: Path) -> Quart:
    (tmp_path / "app.db").write_bytes(sqlite_template.read_bytes())
    uri = f"sqlite:///{tmp_path}/app.db"
    return create_app({"SQLALCHEMY_DATABASE_URI": uri, "SECRET_KEY": SECRET_KEY, "INSTANCE_PATH": str(tmp_path)})


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Wire:
    (wire := Wire()).listen(monkeypatch)
    return wire


async def ask(session: AsyncSession, question: str) -> Any:
    return (await session.execute(text(question))).scalar()


@pytest.mark.parametrize(("rows", "runs"), [(100, 1), (1_000_000, 2)])
async def test_what_takes_long_is_asked_again_in_a_thread(site: Quart, wire: Wire, rows: int, runs: int) -> None:
    async with site.app_context():
        await db.read(ask, "SELECT 1")
        wire.clear()

        assert await db.read(ask, COUNT.format(rows)) == rows

        assert len(wire.asked) == runs
        assert len(wire.trips) == runs - 1
        await db.dispose()


async def test_what_takes_long_in_a_transaction_leaves_what_was_written(site: Quart) -> None:
    await create_user(site, name="-")

    async def rename_and_count(session: AsyncSession) -> int:
        await session.execute(text("UPDATE user SET name = 'Countess'"))
        return int(await ask(session, COUNT.format(1_000_000)))

    async with site.app_context():
        assert await db.write(rename_and_count) == 1_000_000

        user = await db.read(accounts.find_by_email, email=EMAIL)
        assert user is not None
        assert user.name == "Countess"
        await db.dispose()


async def test_the_event_loop_goes_on_while_another_process_writes(site: Quart, wire: Wire, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "app.db", isolation_level=None)) as other:
        async with site.app_context():
            other.execute("BEGIN IMMEDIATE")
            asking = asyncio.create_task(db.write(ask, "SELECT count(*) FROM user"))
            began = time.monotonic()
            await asyncio.sleep(0.3)
            assert time.monotonic() - began < LOCK_TIMEOUT
            assert wire.trips[-1] == "BEGIN IMMEDIATE"
            assert not asking.done()

            other.execute("ROLLBACK")
            assert await asking == 0
            await db.dispose()


async def test_an_error_of_the_module_itself_is_one_of_the_database(site: Quart) -> None:
    async with site.app_context():
        with pytest.raises(DatabaseUnavailable):
            await db.read(ask, "SELECT CAST(x'ff' AS TEXT)")
        await db.dispose()


async def test_a_commit_that_fails_leaves_nothing_open(site: Quart) -> None:
    async def point_at_nobody(session: AsyncSession) -> None:
        await session.execute(text("PRAGMA defer_foreign_keys=ON"))
        await session.execute(text("INSERT INTO user_role (user_id, role_id) VALUES (0, 0)"))

    async with site.app_context():
        with pytest.raises(IntegrityError):
            await db.write(point_at_nobody)
        await db.write(ask, "SELECT 1")
        assert await db.read(ask, "SELECT count(*) FROM user_role") == 0
        await db.dispose()


async def test_a_query_past_its_deadline_ends(site: Quart) -> None:
    site.extensions["db_timeout"] = 0.3
    async with site.app_context():
        began = time.monotonic()
        with pytest.raises(DatabaseUnavailable):
            await db.read(ask, COUNT.format(30_000_000))
        assert time.monotonic() - began < 2  # to close a connection whose thread is busy takes two seconds more
        await db.dispose()


async def test_what_is_quick_is_asked_once_however_often_it_was_asked_before(site: Quart, wire: Wire) -> None:
    async with site.app_context():
        for _ in range(1_500):
            await db.write(ask, COUNT.format(1))
        await db.dispose()
    assert wire.asked.count("BEGIN IMMEDIATE") == wire.asked.count(COUNT.format(1)) == 1_500
