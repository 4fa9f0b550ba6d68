"""What a unit of work writes last, together with its COMMIT, as nobody waits for what it answers."""

from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any

from sqlalchemy import Insert, Update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from app.models.connections import Connection

DEFERRED = "deferred"  # in the info of a session while db.write runs


def begin(session: AsyncSession) -> None:
    session.info[DEFERRED] = []


async def defer(session: AsyncSession, statement: Insert | Update, values: Mapping[str, Any]) -> None:
    """Have a statement run at the end of the unit; outside of db.write at once.

    The database is asked once for all that was deferred. It runs in that order, after all that was not. When it fails,
    the whole unit does. So it must not have to wait for a lock: it adds rows, or changes such as the unit has locked.
    Once it is sent nothing can stop it, and a unit past its deadline is one of which nothing should be written.
    """
    if DEFERRED in session.info:
        session.info[DEFERRED].append((statement, values))
    else:
        await session.execute(statement, values)


async def commit(session: AsyncSession) -> None:
    """Commit, with what was deferred."""
    await session.run_sync(_commit)


def forget(session: AsyncSession) -> None:
    """Forget what was deferred: it is written, or its unit came to nothing."""
    session.info.pop(DEFERRED, None)


def _commit(session: Session) -> None:
    session.flush()
    if deferred := session.info[DEFERRED]:
        connection = session.connection()
        driver = connection.connection.dbapi_connection
        with driver.deferring() if isinstance(driver, Connection) else nullcontext():
            for statement, values in deferred:
                connection.execute(statement, values)
    session.commit()
