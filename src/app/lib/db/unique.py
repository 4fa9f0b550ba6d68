"""Unique values, such as the e-mail address of a user."""

import re
import sqlite3
from collections.abc import Iterator
from typing import Any

from sqlalchemy import Index, Table, UniqueConstraint
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from app.lib.db.errors import code_of

DUPLICATE_ERRORS = {1062, sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY}
# SQLite names the columns: "UNIQUE constraint failed: user.email_key".
# MySQL names the key: "Duplicate entry 'ada' for key 'uq_user_email_key'". MySQL 8 writes the table before it.
VIOLATION = re.compile(r"constraint failed: (?P<columns>.+)|'(?:\w+\.)?(?P<key>[^'.]+)'\W*$")


async def flush_unique(session: AsyncSession, column: InstrumentedAttribute[Any], *, taken: Exception) -> None:
    """Flush, and raise `taken` if another row has the same value in a unique column: of two writers one succeeds.

    The column may be one of several columns that are unique together. Raises IntegrityError if another
    constraint is violated, such as NOT NULL of an added column: an error in the code.
    """
    try:
        await session.flush()
    except IntegrityError as error:
        if not is_duplicate(error, column):
            raise
        raise taken from error


def is_duplicate(error: IntegrityError, column: InstrumentedAttribute[Any]) -> bool:
    if code_of(error) not in DUPLICATE_ERRORS or not (found := VIOLATION.search(str(error.orig))):
        return False
    table = column.class_.__table__
    if found["columns"]:
        return f"{table.name}.{column.key}" in found["columns"].split(", ")
    return found["key"] in unique_keys(table, column.key)


def unique_keys(table: Table, column: str) -> Iterator[str]:
    """Yield the names of the unique keys that contain a column."""
    keys: list[Index | UniqueConstraint] = [key for key in table.constraints if isinstance(key, UniqueConstraint)]
    keys += [index for index in table.indexes if index.unique]
    for key in keys:
        if column in key.columns:
            yield str(key.name)
    if column in table.primary_key.columns:
        yield "PRIMARY"
