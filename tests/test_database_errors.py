"""Errors in the code are not reported as an outage of the database, nor as a value that is taken."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from quart import Quart
from sqlalchemy import Connection, event, text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute, Mapper

from app.lib.db.unique import flush_unique
from app.models import Base, Role, User, UserRole
from support.actions import read, register, write
from support.app import both_databases

TABLE = "CREATE TABLE fussy (id INTEGER PRIMARY KEY, nick VARCHAR(9) NOT NULL, age INTEGER CHECK (age > 0))"
WRONG = [
    "INSERT INTO fussy (id) VALUES (1)",
    "INSERT INTO fussy (id, nick, age) VALUES (1, 'ada', 0)",
    "INSERT INTO fussy (id, nick) VALUES (1)",
    "SELECT colour FROM user",
    "SELECT id FROM missing",
    "SELECT missing(1)",
    "SELEKT 1",
    "SELECT name FROM user ORDER BY name COLLATE missing",
]


async def execute(session: AsyncSession, statement: str) -> None:
    await session.execute(text(statement))


@pytest_asyncio.fixture
async def fussy_table(app: Quart) -> AsyncIterator[None]:
    await write(app, execute, TABLE)
    yield
    await write(app, execute, "DROP TABLE fussy")


@pytest.fixture
def user_without_key() -> Iterator[None]:
    """Insert NULL as the key of a user, as a model that lacks the value of a column would."""

    def remove_key(_mapper: Mapper[User], _connection: Connection, user: User) -> None:
        user.email_key = None  # type: ignore[assignment]

    event.listen(User, "before_insert", remove_key)
    yield
    event.remove(User, "before_insert", remove_key)


@both_databases
@pytest.mark.usefixtures("fussy_table")
async def test_a_wrong_statement_raises_the_error_of_the_database(app: Quart) -> None:
    for statement in WRONG:
        for call in (write, read) if statement.startswith("SEL") else (write,):
            with pytest.raises(DBAPIError):
                await call(app, execute, statement)


@both_databases
@pytest.mark.usefixtures("user_without_key")
async def test_a_missing_value_is_not_taken_for_a_duplicate_email_address(app: Quart) -> None:
    assert (await register(app.test_client())).status_code == 500


async def add(session: AsyncSession, row: Base, column: InstrumentedAttribute[Any]) -> None:
    session.add(row)
    await flush_unique(session, column, taken=LookupError())


def user_with(**columns: Any) -> User:
    return User(**{"email": "b", "email_key": "b"} | columns)


@both_databases
async def test_only_a_duplicate_value_of_the_column_is_reported_as_taken(app: Quart) -> None:
    await write(app, add, user_with(id=1), User.email_key)
    await write(app, add, Role(id=1, name="admin"), Role.name)
    await write(app, add, UserRole(user_id=1, role_id=1), UserRole.role_id)

    for row, column in (
        (Role(name="admin"), Role.name),
        (Role(id=1, name="editor"), Role.id),
        (user_with(), User.email_key),
        (user_with(id=1, email_key="c"), User.id),
        (UserRole(user_id=1, role_id=1), UserRole.role_id),  # both columns are unique together
    ):
        with pytest.raises(LookupError):
            await write(app, add, row, column)
    for row, column in (
        (Role(name=None), Role.name),
        (Role(id=1, name="editor"), Role.name),
        (user_with(id=1, email_key="c"), User.email_key),
        (UserRole(user_id=1, role_id=9), UserRole.role_id),
    ):
        with pytest.raises(IntegrityError):
            await write(app, add, row, column)


async def test_a_file_that_a_service_function_does_not_find_is_not_an_outage(app: Quart, tmp_path: Path) -> None:
    async def open_file(_session: AsyncSession) -> None:
        (tmp_path / "missing").read_bytes()

    with pytest.raises(FileNotFoundError):
        await write(app, open_file)


async def test_a_timeout_in_a_service_function_is_not_an_outage(app: Quart) -> None:
    async def wait(_session: AsyncSession) -> None:
        async with asyncio.timeout(0.01):
            await asyncio.sleep(60)

    with pytest.raises(TimeoutError):
        await write(app, wait)
