"""How we speak to each kind of database."""

import sqlite3
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, event
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

LOCK_TIMEOUT = 1  # seconds: three tries fit into DATABASE_TIMEOUT
CONNECT_TIMEOUT = 3  # seconds
STRICT = "STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ZERO_DATE,NO_ZERO_IN_DATE,NO_ENGINE_SUBSTITUTION"


def make_engine(url: URL, options: dict[str, Any]) -> AsyncEngine:
    """Make an engine whose connections are strict, give up on locks, and survive a restart of the database."""
    options = {"pool_pre_ping": True, "pool_recycle": 1800, "pool_timeout": 2, "hide_parameters": True} | options
    if url.get_backend_name() == "sqlite":
        engine = create_async_engine(url, **options)
        event.listen(engine.sync_engine, "do_connect", _make_private_file)
        event.listen(engine.sync_engine, "connect", _set_pragmas)
        event.listen(engine.sync_engine, "begin", _begin)
        return engine

    session = f"SET SESSION sql_mode='{STRICT}', innodb_lock_wait_timeout={LOCK_TIMEOUT}"
    connect = {"charset": "utf8mb4", "connect_timeout": CONNECT_TIMEOUT, "init_command": session}
    options["connect_args"] = connect | options.get("connect_args", {})
    # READ COMMITTED locks no gaps, so two strangers who sign up at once do not deadlock.
    return create_async_engine(url, isolation_level="READ COMMITTED", **options)


def _make_private_file(_dialect: Any, _record: Any, arguments: list[Any], _parameters: Any) -> None:
    """Make a new database that only its owner may read: it holds addresses and hashes."""
    path = Path(arguments[0])
    if str(path).startswith("file:"):
        return
    if not path.parent.is_dir():  # said here, as the driver's thread may say it when nobody listens any more
        raise sqlite3.OperationalError("unable to open database file")
    path.touch(mode=0o600)


def _set_pragmas(connection: Any, _record: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # the driver must not begin transactions by itself
    cursor = connection.cursor()
    for pragma in (f"busy_timeout={LOCK_TIMEOUT * 1000}", "foreign_keys=ON", "journal_mode=WAL", "synchronous=NORMAL"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin(connection: Connection) -> None:
    # Two that begin plainly, read, and then write: one fails with "database is locked", busy_timeout or not.
    writes = connection.get_execution_options().get("writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
