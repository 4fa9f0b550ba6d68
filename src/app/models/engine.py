"""How we speak to each kind of database."""

import sys
from typing import Any

from sqlalchemy import Connection, event
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool

from app.models import mysql, sqlite
from app.models.sqlite import LOCK_TIMEOUT

CONNECT_TIMEOUT = 3  # seconds
STRICT = "STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ZERO_DATE,NO_ZERO_IN_DATE,NO_ENGINE_SUBSTITUTION"


def make_engine(url: URL, options: dict[str, Any]) -> AsyncEngine:
    """Make an engine whose connections are strict, give up on locks, and survive a restart of the database.

    What begins with the execution option `writes=False` only reads: no transaction is begun, and none ended.
    """
    # How long a unit waits for a connection is up to its deadline, DATABASE_TIMEOUT.
    keeps = {"pool_size": 15, "max_overflow": 0, "pool_recycle": 1800, "pool_pre_ping": True}
    options = keeps | {"hide_parameters": True} | options
    if url.get_backend_name() == "sqlite":
        engine = create_async_engine(url, **options | {"pool_pre_ping": False})
        event.listen(engine.sync_engine, "do_connect", sqlite.connect)
        event.listen(engine.sync_engine, "connect", sqlite.prepare)
        event.listen(engine.sync_engine, "begin", _begin_on_sqlite)
    else:
        session = f"SET SESSION sql_mode='{STRICT}', innodb_lock_wait_timeout={LOCK_TIMEOUT}, autocommit=1"
        connect = {"charset": "utf8mb4", "connect_timeout": CONNECT_TIMEOUT, "init_command": session}
        # None: the driver leaves it as the command above sets it.
        options["connect_args"] = connect | {"autocommit": None} | options.get("connect_args", {})
        engine = create_async_engine(url, **options)
        event.listen(engine.sync_engine, "connect", _lock_no_gaps)
        event.listen(engine.sync_engine, "begin", _begin_on_mysql)
        if engine.dialect.driver == "aiomysql":
            event.listen(engine.sync_engine, "do_connect", mysql.connect)
    return engine


def places(engine: AsyncEngine) -> int:
    """Return how many can work on the database at once: each has a connection to itself."""
    pool = engine.pool
    if not isinstance(pool, QueuePool) or pool._max_overflow < 0:  # noqa: SLF001 # it tells nobody
        return sys.maxsize
    return pool.size() + pool._max_overflow  # noqa: SLF001


def writers(engine: AsyncEngine) -> int:
    """Return how many can write at once."""
    return 1 if engine.dialect.name == "sqlite" else sys.maxsize


def _begin_on_sqlite(connection: Connection) -> None:
    # Two that begin plainly, read, and then write: one fails with "database is locked", busy_timeout or not.
    writes = connection.get_execution_options().get("writes")
    if writes is not False:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _begin_on_mysql(connection: Connection) -> None:
    if connection.get_execution_options().get("writes") is False:
        return
    dbapi_connection = connection.connection.dbapi_connection
    if isinstance(dbapi_connection, mysql.Connection):
        dbapi_connection.begins = True
    else:
        connection.exec_driver_sql("BEGIN")


def _lock_no_gaps(connection: Any, _record: ConnectionPoolEntry) -> None:
    """Two strangers who sign up at once must not deadlock."""
    cursor = connection.cursor()
    cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
    cursor.close()
