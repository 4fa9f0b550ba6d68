"""How a database in a file is opened, and asked: what is quick at once, the rest in the thread of its connection."""

import asyncio
import sqlite3
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from sqlalchemy.dialects.sqlite.aiosqlite import AsyncAdapt_aiosqlite_connection, AsyncAdapt_aiosqlite_cursor
from sqlalchemy.engine import Dialect
from sqlalchemy.pool import ConnectionPoolEntry

from app.models import connections
from app.models.connections import Statement

LOCK_TIMEOUT = 1  # seconds: three tries fit into DATABASE_TIMEOUT
# Most queries take less time than the way to a thread and back. They can be given up without a trace, as they change
# nothing: after twice so many instructions of SQLite's machine, mostly less than a millisecond (one of them may count a
# whole table, which is as quick as reading its pages), or when another process has what they want.
QUICK = ("SELECT", "BEGIN")
INSTRUCTIONS = 1_000
GIVEN_UP = {sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_BUSY}


class Cursor(AsyncAdapt_aiosqlite_cursor):
    """Ask at once, or the thread of the connection once for each query. Theirs asks it four times."""

    _awaitable_cursor_close = False
    _adapt_connection: "Connection"
    _cursor: Any  # of sqlite3 itself

    def _make_new_cursor(self, connection: Any) -> Any:
        return connection._conn.cursor()  # noqa: SLF001 # opens nothing, so it needs no thread

    def _aenter_cursor(self, cursor: Any) -> Any:
        return cursor

    async def _execute_async(self, operation: Any, parameters: Any) -> Any:
        if self._adapt_connection.is_deferring:
            self._adapt_connection.deferred.append((operation, parameters or ()))
            return
        async with self._adapt_connection._execute_mutex:  # noqa: SLF001
            if not operation.startswith(QUICK) or not self._ran_at_once(operation, parameters or ()):
                await self._in_its_thread(self._run, operation, parameters or ())

    async def _executemany_async(self, operation: Any, seq_of_parameters: Any) -> Any:
        async with self._adapt_connection._execute_mutex:  # noqa: SLF001
            await self._in_its_thread(self._cursor.executemany, operation, seq_of_parameters)

    async def run_all(self, statements: Sequence[Statement]) -> None:
        async with self._adapt_connection._execute_mutex:  # noqa: SLF001
            await self._in_its_thread(self._run_each, statements)

    def _run_each(self, statements: Sequence[Statement]) -> None:
        for operation, parameters in statements:
            self._run(operation, parameters)

    async def _in_its_thread(self, *call: Any) -> Any:
        driver: Any = self._connection
        try:
            return await driver._execute(*call)  # noqa: SLF001
        except asyncio.CancelledError:  # past the deadline: nobody waits any more, and the connection is thrown away
            driver._conn.interrupt()  # noqa: SLF001
            raise

    def _ran_at_once(self, operation: str, parameters: Any) -> bool:
        """Run what holds the event loop for a moment at most; say whether that was enough."""
        try:
            with self._adapt_connection.in_a_hurry():
                self._run(operation, parameters)
        except sqlite3.OperationalError as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF not in GIVEN_UP:  # the module's own errors have none
                raise
            return False
        return True

    def _run(self, operation: str, parameters: Any) -> None:
        self._cursor.execute(operation, parameters)
        self._rows = deque(self._cursor.fetchall() if self._cursor.description else ())


class Connection(connections.Connection, AsyncAdapt_aiosqlite_connection):
    _cursor_cls = Cursor

    @contextmanager
    def in_a_hurry(self) -> Iterator[None]:
        """Wait for no lock, and not long for anything else."""
        theirs: sqlite3.Connection = self._connection._conn  # noqa: SLF001
        theirs.execute("PRAGMA busy_timeout=0")
        # SQLite goes on counting where the statement's last run ended. So the first time that it asks says nothing: a
        # BEGIN takes three instructions, and one that is given up has begun all the same.
        theirs.set_progress_handler(count().__next__, INSTRUCTIONS)
        try:
            yield
        finally:
            theirs.set_progress_handler(None, 0)
            theirs.execute(f"PRAGMA busy_timeout={LOCK_TIMEOUT * 1000}")

    async def _run_all(self, statements: Sequence[Statement]) -> None:
        await Cursor(self).run_all(statements)

    def _is_begun(self) -> bool:
        driver: Any = self._connection
        return bool(driver.in_transaction)


def connect(dialect: Dialect, _record: Any, arguments: list[Any], parameters: dict[str, Any]) -> Connection:
    """Open a database, and make a new one so that only its owner may read it: it holds addresses and hashes."""
    path = Path(arguments[0])
    if not str(path).startswith("file:"):
        if not path.parent.is_dir():  # said here, as the driver's thread may say it when nobody listens any more
            raise sqlite3.OperationalError("unable to open database file")
        path.touch(mode=0o600)
    theirs: Any = dialect.connect(*arguments, **parameters | {"check_same_thread": False})
    return Connection(dialect.dbapi, theirs.driver_connection)


def prepare(connection: Connection, _record: ConnectionPoolEntry) -> None:
    """Set what SQLite asks each connection for. The driver must not begin transactions by itself."""
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in (f"busy_timeout={LOCK_TIMEOUT * 1000}", "foreign_keys=ON", "journal_mode=WAL", "synchronous=NORMAL"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
