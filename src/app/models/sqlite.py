"""How a database in a file is opened, and asked in one go."""

import sqlite3
from collections import deque
from pathlib import Path
from typing import Any

from sqlalchemy.dialects.sqlite.aiosqlite import AsyncAdapt_aiosqlite_connection, AsyncAdapt_aiosqlite_cursor
from sqlalchemy.engine import Dialect
from sqlalchemy.pool import ConnectionPoolEntry

LOCK_TIMEOUT = 1  # seconds: three tries fit into DATABASE_TIMEOUT


class OneTripCursor(AsyncAdapt_aiosqlite_cursor):
    """Ask the thread of the connection once for each query. Theirs asks four times, which takes longer."""

    _awaitable_cursor_close = False
    _cursor: Any  # of sqlite3 itself

    def _make_new_cursor(self, connection: Any) -> Any:
        return connection._conn.cursor()  # noqa: SLF001 # opens nothing, so it needs no thread

    def _aenter_cursor(self, cursor: Any) -> Any:
        return cursor

    async def _execute_async(self, operation: Any, parameters: Any) -> Any:
        async with self._adapt_connection._execute_mutex:  # noqa: SLF001
            self._rows = await self._in_its_thread(self._run, operation, parameters or ())

    async def _executemany_async(self, operation: Any, seq_of_parameters: Any) -> Any:
        async with self._adapt_connection._execute_mutex:  # noqa: SLF001
            await self._in_its_thread(self._cursor.executemany, operation, seq_of_parameters)

    async def _in_its_thread(self, *call: Any) -> Any:
        driver: Any = self._connection
        return await driver._execute(*call)  # noqa: SLF001

    def _run(self, operation: str, parameters: Any) -> deque[Any]:
        self._cursor.execute(operation, parameters)
        return deque(self._cursor.fetchall() if self._cursor.description else ())


class OneTripConnection(AsyncAdapt_aiosqlite_connection):
    _cursor_cls = OneTripCursor


def connect(dialect: Dialect, _record: Any, arguments: list[Any], parameters: dict[str, Any]) -> OneTripConnection:
    """Open a database, and make a new one so that only its owner may read it: it holds addresses and hashes."""
    path = Path(arguments[0])
    if not str(path).startswith("file:"):
        if not path.parent.is_dir():  # said here, as the driver's thread may say it when nobody listens any more
            raise sqlite3.OperationalError("unable to open database file")
        path.touch(mode=0o600)
    theirs: Any = dialect.connect(*arguments, **parameters)
    return OneTripConnection(dialect.dbapi, theirs.driver_connection)


def set_pragmas(connection: Any, _record: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # the driver must not begin transactions by itself
    cursor = connection.cursor()
    for pragma in (f"busy_timeout={LOCK_TIMEOUT * 1000}", "foreign_keys=ON", "journal_mode=WAL", "synchronous=NORMAL"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
