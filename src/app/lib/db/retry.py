"""Errors after which a transaction is retried."""

import asyncio
import random
import sqlite3
from collections.abc import Awaitable, Callable
from typing import TypeVar

from sqlalchemy import exc

from app.lib.db.errors import is_programming_error

T = TypeVar("T")

MAX_ATTEMPTS = 3
MYSQL_ERRORS = {1020, 1205, 1213}  # record changed, lock wait timeout, deadlock or (Galera) failed certification
SQLITE_ERRORS = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


class RetryTransaction(Exception):
    """Raised by a service function to run its transaction again: a concurrent one has changed the rows that it read."""


class CommitUncertain(Exception):
    """COMMIT failed, for example with its connection: it may have been executed, so the function must not run again."""


def is_retryable(error: RetryTransaction | exc.DBAPIError) -> bool:
    """Return whether the same function may succeed at once: after a lock conflict, or on a new connection."""
    return isinstance(error, RetryTransaction) or error.connection_invalidated or is_lock_conflict(error)


def is_rolled_back(error: exc.DBAPIError) -> bool:
    """Return whether a COMMIT that failed with this error was certainly not executed."""
    return not error.connection_invalidated and (is_programming_error(error) or is_lock_conflict(error))


def is_lock_conflict(error: exc.DBAPIError) -> bool:
    if isinstance(error.orig, Exception) and error.orig.args and error.orig.args[0] in MYSQL_ERRORS:
        return True
    return getattr(error.orig, "sqlite_errorcode", 0) & 0xFF in SQLITE_ERRORS


async def retry(attempt: Callable[[], Awaitable[T]]) -> T:
    """Return the result of the first attempt that succeeds, of at most three. Sleep for a random time between them."""
    for number in range(1, MAX_ATTEMPTS):
        try:
            return await attempt()
        except (RetryTransaction, exc.DBAPIError) as error:
            if not is_retryable(error):
                raise
            await asyncio.sleep(random.uniform(0.01, 0.05) * number)  # noqa: S311 # not a secret
    return await attempt()
