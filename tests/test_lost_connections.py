"""Connections that the server closes, also during COMMIT: what runs again, and what does not."""

from contextlib import nullcontext

import pytest
from quart import Quart
from quart.typing import TestClientProtocol
from sqlalchemy import Connection, event, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.lib.db import DatabaseUnavailable, db
from app.models import Role
from support.actions import count, create_user, is_logged_in, log_in, write
from support.app import on_mariadb
from support.mariadb_server import MariaDB
from support.statements import engines


async def add_role(session: AsyncSession) -> None:
    session.add(Role(name="head"))


def kill_connections(server: MariaDB, database: str) -> int:
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT id FROM information_schema.processlist WHERE db = %s", [database])
        ids = [row[0] for row in cursor.fetchall()]
        for each in ids:
            cursor.execute(f"KILL {each}")
    return len(ids)


@on_mariadb
async def test_connections_that_the_server_has_closed_are_replaced_unnoticed(
    app: Quart, client: TestClientProtocol, mariadb: MariaDB
) -> None:
    await create_user(app)
    await app.extensions["mail_worker"].stop()
    async with app.app_context():
        await db.dispose()  # so that each pool has one connection afterwards
    await log_in(client)
    assert kill_connections(mariadb, "head") == 2

    assert await is_logged_in(client)
    assert (await client.post("/account", form={"name": "Countess"})).status_code == 303


@on_mariadb
async def test_a_connection_lost_before_commit_runs_the_function_again(app: Quart, mariadb: MariaDB) -> None:
    runs: list[int] = []

    async def add_role_and_lose_the_connection(session: AsyncSession) -> None:
        await add_role(session)
        await session.flush()
        runs.append(kill_connections(mariadb, "head") if not runs else 0)
        await session.execute(text("SELECT 1"))

    await write(app, add_role_and_lose_the_connection)
    assert len(runs) == 2
    assert await count(app, Role) == 1


@on_mariadb
async def test_a_connection_lost_during_commit_is_a_503_and_does_not_run_again(app: Quart, mariadb: MariaDB) -> None:
    runs: list[str] = []

    event.listen(engines(app)[1], "begin", lambda _: runs.append("run"))
    event.listen(engines(app)[1], "commit", lambda _: kill_connections(mariadb, "head"))
    with pytest.raises(DatabaseUnavailable, match="CommitUncertain"):
        await write(app, add_role)
    assert runs == ["run"]


@on_mariadb
@pytest.mark.parametrize(("number", "runs"), [(1213, 2), (1205, 2), (1180, 1)])
async def test_a_commit_runs_again_only_if_it_was_certainly_not_executed(app: Quart, number: int, runs: int) -> None:
    """Galera reports 1213 if another node was faster, and 1180 if the node was cut off from the others meanwhile."""
    ran: list[str] = []

    async def add_role_once(session: AsyncSession) -> None:
        ran.append("run")
        await add_role(session)

    def fail_once(connection: Connection) -> None:
        if len(ran) == 1:
            connection.exec_driver_sql(f"SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = {number}")

    event.listen(engines(app)[1], "commit", fail_once)
    with nullcontext() if runs == 2 else pytest.raises(DatabaseUnavailable, match="CommitUncertain") as refused:
        await write(app, add_role_once)
    assert refused is None or refused.value.is_uncertain
    assert (len(ran), await count(app, Role)) == (runs, runs - 1)


# SQLite
