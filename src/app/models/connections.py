"""What our connections have in common, to whatever database: none is asked in vain, or twice where once would do."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from sqlalchemy.connectors.asyncio import AsyncAdapt_dbapi_connection
from sqlalchemy.util import await_

Statement = tuple[str, Any]  # and its parameters


class Connection(AsyncAdapt_dbapi_connection):
    """End only a transaction that is open, and send its last statements along with the COMMIT."""

    def __init__(self, *theirs: Any) -> None:
        super().__init__(*theirs)
        self.is_deferring = False
        self.deferred: list[Statement] = []

    @contextmanager
    def deferring(self) -> Iterator[None]:
        """Keep what is executed within the block for the COMMIT: it has no answer."""
        self.is_deferring = True
        try:
            yield
        finally:
            self.is_deferring = False

    def commit(self) -> None:
        deferred, self.deferred = self.deferred, []
        if not deferred and not self._is_begun():
            return
        try:
            await_(self._run_all([*deferred, ("COMMIT", ())]))
        except Exception as error:  # noqa: BLE001 # whatever it is, nothing stays open
            with suppress(Exception):
                self.rollback()  # SQLAlchemy takes it for ended, and what comes next would be a part of it
            self._handle_exception(error)

    def rollback(self) -> None:
        self.deferred = []
        if self._is_begun():
            super().rollback()

    async def _run_all(self, statements: Sequence[Statement]) -> None:
        raise NotImplementedError

    def _is_begun(self) -> bool:
        raise NotImplementedError
