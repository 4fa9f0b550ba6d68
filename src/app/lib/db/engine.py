"""The two engines of a database: one for reads, one for transactions."""

import sys
from functools import partial
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from app.lib.db import mysql, sqlite

LOCK_TIMEOUT = 1  # seconds: three attempts fit into DATABASE_TIMEOUT
# Each engine has a pool of its own, so a process opens at most twice as many connections. A connection that the server
# has closed is found at its next use, and the function runs again: a ping before each use would cost a round trip.
DEFAULT_OPTIONS = {"pool_size": 15, "max_overflow": 0, "pool_recycle": 1800, "hide_parameters": True}


def make_read_engine(url: URL, options: dict[str, Any]) -> AsyncEngine:
    """Return an engine that opens no transaction, so a query is one packet each way. It refuses to change rows."""
    engine = _make_engine(url, options | {"isolation_level": "AUTOCOMMIT", "skip_autocommit_rollback": True})
    event.listen(engine.sync_engine, "connect", sqlite.refuse_changes if is_sqlite(url) else mysql.refuse_changes)
    return engine


def make_engine(url: URL, options: dict[str, Any]) -> AsyncEngine:
    """Return an engine for transactions: READ COMMITTED on MySQL and MariaDB, BEGIN IMMEDIATE on SQLite.

    READ COMMITTED locks no gaps, so two simultaneous registrations do not deadlock.
    """
    if not is_sqlite(url):
        return _make_engine(url, {"isolation_level": "READ COMMITTED"} | options)
    engine = _make_engine(url, options)
    event.listen(engine.sync_engine, "begin", sqlite.begin_immediate)
    return engine


def is_sqlite(url: URL) -> bool:
    return url.get_backend_name() == "sqlite"


def pool_capacity(options: dict[str, Any]) -> int:
    """Return how many connections one pool opens at most."""
    options = DEFAULT_OPTIONS | options
    has_limit = options["pool_size"] > 0 and options["max_overflow"] >= 0
    return options["pool_size"] + options["max_overflow"] if has_limit else sys.maxsize


def _make_engine(url: URL, options: dict[str, Any]) -> AsyncEngine:
    options = DEFAULT_OPTIONS | options
    if is_sqlite(url):
        engine = create_async_engine(url, **options)
        event.listen(engine.sync_engine, "do_connect", sqlite.create_file)
        event.listen(engine.sync_engine, "connect", partial(sqlite.set_pragmas, lock_timeout=LOCK_TIMEOUT))
        return engine
    url, arguments = mysql.connection_arguments(url, options.get("connect_args", {}), lock_timeout=LOCK_TIMEOUT)
    engine = create_async_engine(url, **options | {"connect_args": arguments})
    event.listen(engine.sync_engine, "handle_error", mysql.mark_unusable)
    return engine
