"""What the errors of the database mean."""

import sqlite3
import ssl

from sqlalchemy import exc

# Errors in the code, as are STATEMENT_ERRORS. Other errors mean that the database is unavailable, full or overloaded.
PROGRAMMING_ERRORS = (exc.IntegrityError, exc.DataError, exc.ProgrammingError, exc.NotSupportedError)
# Not every OSError: a service function may have opened a file that does not exist.
OUTAGE_ERRORS = (exc.DatabaseError, exc.InterfaceError, exc.TimeoutError, TimeoutError, ConnectionError, ssl.SSLError)

# The drivers raise OperationalError not only for an outage, but also for these errors of a statement.
STATEMENT_ERRORS = {1052, 1054, 1060, 1066, 1091, 1109, 1305}  # MySQL: an ambiguous, unknown or duplicate name
STATEMENT_ERRORS |= {1055, 1056, 1140}  # GROUP BY
STATEMENT_ERRORS |= {1136, 1222, 1241, 1242, 1582}  # the number of values, columns or rows
STATEMENT_ERRORS |= {1139, 1191, 1193, 1267, 1271, 1273, 1292}  # REGEXP, MATCH, a variable, collations, a wrong value
STATEMENT_ERRORS |= {1365, 1411, 1690, 1792, 3140, 4015, 4161}  # a wrong or large number, read-only, JSON, a type
STATEMENT_ERRORS |= {1364, 1644, 3819, 4025}  # a column without a default, SIGNAL of a trigger, CHECK
# A statement that changes rows, on a connection for reads.
READ_ONLY_ERRORS = {sqlite3.SQLITE_READONLY, 1792}


class DatabaseUnavailable(Exception):
    """The database is unavailable or timed out. The transaction was rolled back, unless `is_uncertain`."""

    retry_after = 5  # seconds

    def __init__(self, reason: str, *, is_uncertain: bool = False) -> None:
        super().__init__(reason)
        self.is_uncertain = is_uncertain  # lost during COMMIT: the transaction may have been committed


def is_programming_error(error: BaseException) -> bool:
    """Return whether our own code caused the error, so that the same call would fail again."""
    if isinstance(error, PROGRAMMING_ERRORS):
        return True
    if not isinstance(error, exc.DBAPIError) or error.statement is None:  # None: the connection could not be opened
        return False
    return code_of(error) in STATEMENT_ERRORS or is_sqlite_error(error)


def is_sqlite_error(error: exc.DBAPIError) -> bool:
    """Return whether SQLite refused the statement: an unknown table, column, function or collation, or the syntax."""
    return getattr(error.orig, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_ERROR


def code_of(error: exc.DBAPIError) -> int | None:
    """Return the number of an error of the server, or SQLite's extended result code."""
    arguments = getattr(error.orig, "args", None) or (None,)
    return getattr(error.orig, "sqlite_errorcode", None) or arguments[0]
