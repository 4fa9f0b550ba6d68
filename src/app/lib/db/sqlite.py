"""How the engines connect to a database in a file."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.pool import ConnectionPoolEntry


def create_file(_dialect: Dialect, _record: Any, arguments: list[Any], _parameters: dict[str, Any]) -> None:
    """Create a missing database file, readable by its owner only: it holds e-mail addresses and password hashes.

    Raises sqlite3.OperationalError, for example if the folder does not exist.
    """
    path = Path(arguments[0])
    if str(path).startswith("file:"):  # a URI, which names its own mode
        return
    try:
        path.touch(mode=0o600)
    except OSError as error:
        raise sqlite3.OperationalError(f"unable to open database file: {error.strerror}") from error


def set_pragmas(connection: Any, _record: ConnectionPoolEntry, *, lock_timeout: int) -> None:
    """Set the options that SQLite keeps per connection. `lock_timeout` is in seconds.

    https://docs.sqlalchemy.org/en/21/dialects/sqlite.html#pysqlite-serializable explains `isolation_level`: the driver
    must not begin transactions by itself.
    """
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in (f"busy_timeout={lock_timeout * 1000}", "foreign_keys=ON", "journal_mode=WAL", "synchronous=NORMAL"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def refuse_changes(connection: Any, _record: ConnectionPoolEntry) -> None:
    connection.execute("PRAGMA query_only=ON")


def begin_immediate(connection: Connection) -> None:
    """Take the write lock at BEGIN.

    Of two deferred transactions that read and then write, one fails with "database is locked" whatever busy_timeout is.
    """
    connection.exec_driver_sql("BEGIN IMMEDIATE")


@asynccontextmanager
async def interrupt_at(deadline: float, session: AsyncSession) -> AsyncIterator[None]:
    """Interrupt the query that runs at the deadline. A query runs in a thread, which cannot be cancelled."""
    loop, connection = asyncio.get_running_loop(), await (await session.connection()).get_raw_connection()
    driver: Any = connection.driver_connection  # of aiosqlite
    tasks: list[asyncio.Task[None]] = []
    timer = loop.call_at(deadline, lambda: tasks.append(loop.create_task(driver.interrupt())))
    try:
        yield
    finally:
        timer.cancel()
        for task in tasks:  # one that has not begun yet would hit the next user of the connection
            task.cancel()
