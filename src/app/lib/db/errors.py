"""Which errors mean that the database is unavailable."""

from sqlalchemy import exc

# Errors in our own code. Every other error means that the database is unavailable, full, read-only or overloaded.
PROGRAMMING_ERRORS = (exc.IntegrityError, exc.DataError, exc.ProgrammingError, exc.NotSupportedError)
OUTAGE_ERRORS = (exc.DatabaseError, exc.InterfaceError, exc.TimeoutError, TimeoutError, OSError)


class DatabaseUnavailable(Exception):
    """The database is unavailable or timed out. The transaction was rolled back, unless `is_uncertain`."""

    retry_after = 5  # seconds

    def __init__(self, reason: str, *, is_uncertain: bool = False) -> None:
        super().__init__(reason)
        self.is_uncertain = is_uncertain  # lost during COMMIT: the transaction may have been committed
