"""Connections to the database: in which state a unit leaves one behind, and what happens to one that was lost."""

import asyncio
from typing import Any

import pytest
from quart import Quart
from quart.typing import TestClientProtocol
from sqlalchemy import insert, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from app.models import User, db
from app.services import accounts
from conftest import serving
from mariadb_server import MariaDB
from people import EMAIL, count, create_user, is_logged_in, log_in


async def is_in_transaction(connection: AsyncConnection) -> bool:
    """Ask the database itself."""
    if connection.dialect.name == "sqlite":
        raw: Any = await connection.get_raw_connection()
        return bool(raw.driver_connection.in_transaction)
    return bool(await connection.scalar(text("SELECT @@in_transaction")))


async def look(app: Quart) -> tuple[object, bool]:
    """Return the driver's connection that comes next from the pool, and whether a transaction is open on it."""
    async with app.extensions["db"].connect() as connection:
        await connection.execution_options(writes=False)
        raw = await connection.get_raw_connection()
        return raw.driver_connection, await is_in_transaction(connection)


async def test_a_unit_that_fails_leaves_its_connection_clean(settings: dict[str, Any]) -> None:
    async def register_and_fail(session: AsyncSession) -> None:
        await accounts.register(session, email=EMAIL, password_hash=None)
        assert await is_in_transaction(await session.connection())
        raise LookupError

    settings["SQLALCHEMY_ENGINE_OPTIONS"] = {"pool_size": 1, "max_overflow": 0}
    async with serving(settings) as app, app.app_context():
        await app.extensions["mailer"].stop()
        before, _ = await look(app)
        with pytest.raises(LookupError):
            await db.write(register_and_fail)
        assert await look(app) == (before, False)
        assert await count(app, User) == 0


async def test_a_read_opens_no_transaction_and_leaves_none(app: Quart) -> None:
    async def read(session: AsyncSession) -> bool:
        await session.execute(text("SELECT 1"))
        return await is_in_transaction(await session.connection())

    async with app.app_context():
        assert not await db.read(read)
        assert await db.write(read)
    assert (await look(app))[1] is False


async def test_what_begins_without_saying_how_is_a_transaction(app: Quart) -> None:
    ada = {"email": EMAIL, "email_key": EMAIL, "created_on": (await create_user(app, "b@example.com")).created_on}

    async def insert_ada(*, times: int) -> None:
        async with app.extensions["db"].begin() as connection:
            for _ in range(times):
                await connection.execute(insert(User).values(ada))

    with pytest.raises(IntegrityError):
        await insert_ada(times=2)
    assert await count(app, User, User.email == EMAIL) == 0

    await insert_ada(times=1)
    assert await count(app, User, User.email == EMAIL) == 1


def kill_connections(server: MariaDB, database: str) -> int:
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT id FROM information_schema.processlist WHERE db = %s", [database])
        ids = [row[0] for row in cursor.fetchall()]
        for each in ids:
            cursor.execute(f"KILL {each}")
    return len(ids)


@pytest.mark.parametrize("database_uri", ["mariadb"], indirect=True)
async def test_a_connection_that_the_server_ended_is_replaced_and_nobody_notices(
    app: Quart, client: TestClientProtocol, mariadb: MariaDB
) -> None:
    await create_user(app)
    await log_in(client)
    await app.extensions["mailer"].stop()  # else it is the mailer who notices
    assert kill_connections(mariadb, "head") > 0
    await asyncio.sleep(0.6)  # longer than a connection is trusted

    assert await is_logged_in(client)
    assert (await client.post("/account", form={"name": "Countess"})).status_code == 303


async def test_a_verb_that_writes_starts_inside_its_transaction(app: Quart) -> None:
    """On SQLite it has waited by then for those who write, and what it sees of the clock is not from before."""

    async def has_begun(session: AsyncSession) -> bool:
        return session.in_transaction()

    async with app.app_context():
        assert await db.write(has_begun)
