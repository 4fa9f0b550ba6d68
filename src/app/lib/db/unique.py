"""Values of which each row has its own, such as the e-mail address of a user."""

import sqlite3
from typing import Any

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from app.lib.db.errors import code_of

DUPLICATE_ERRORS = {1062, sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY}


async def flush_unique(session: AsyncSession, column: InstrumentedAttribute[Any], *, taken: Exception) -> None:
    """Flush, and raise `taken` if another row has the same value in a unique column: of two writers one succeeds.

    The violation of another constraint, such as NOT NULL of a column that you have added, is an error in the code:
    raises IntegrityError.
    """
    try:
        await session.flush()
    except IntegrityError as error:
        if not is_duplicate(error, column):
            raise
        raise taken from error


def is_duplicate(error: IntegrityError, column: InstrumentedAttribute[Any]) -> bool:
    table, message = column.class_.__tablename__, str(error.orig)
    names = {f"{table}.{column.key}", f"uq_{table}_{column.key}"}  # SQLite names the column, MySQL the constraint
    if column.primary_key:
        names.add("PRIMARY'")
    return code_of(error) in DUPLICATE_ERRORS and any(name in message for name in names)
