"""How aiomysql is told to ask MySQL and MariaDB less: each question takes as long as the way there and back."""

import asyncio
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy.dialects.mysql.aiomysql import AsyncAdapt_aiomysql_connection, AsyncAdapt_aiomysql_cursor
from sqlalchemy.engine import Dialect

from app.models import connections
from app.models.connections import Statement

PAUSE = 0.5  # seconds: no server restarts within them


class Cursor(AsyncAdapt_aiomysql_cursor):
    """Send BEGIN along with the first statement of a transaction."""

    _adapt_connection: "Connection"

    async def _execute_async(self, operation: Any, parameters: Any) -> Any:
        if self._adapt_connection.is_deferring:
            self._adapt_connection.deferred.append((operation, parameters))
        elif self._adapt_connection.begins:
            async with self._adapt_connection._execute_mutex:  # noqa: SLF001
                await self._begin_and_execute(operation, parameters)
        else:
            await super()._execute_async(operation, parameters)

    async def _begin_and_execute(self, operation: str, parameters: Any) -> None:
        cursor: Any = self._cursor
        await cursor.execute(f"BEGIN; {operation}", parameters)
        self._adapt_connection.begins = False  # not before: what cannot be sent has begun nothing
        await cursor.nextset()  # the first answer was that to BEGIN
        if cursor.description:
            self._rows.extend(await cursor.fetchall())

    async def _executemany_async(self, operation: Any, seq_of_parameters: Any) -> Any:
        if self._adapt_connection.begins:  # the driver makes one long statement of many, which nothing may precede
            await self._execute_async("DO 0", ())
        return await super()._executemany_async(operation, seq_of_parameters)


class Connection(connections.Connection, AsyncAdapt_aiomysql_connection):
    """Begin only transactions that do something; the last answer says whether one is open."""

    _cursor_cls = Cursor
    begins = False  # with the next statement

    def cursor(self, server_side: bool = False) -> Any:  # noqa: FBT001, FBT002 # theirs
        if server_side and self.begins:
            before = super().cursor()
            before.execute("DO 0", ())
            before.close()
        return super().cursor(server_side)

    def ping(self, reconnect: bool = False) -> None:  # noqa: FBT001, FBT002 # theirs
        """Ask whether the server still knows the connection, if that was not used a moment ago."""
        driver: Any = self._connection
        if asyncio.get_running_loop().time() - driver.last_usage >= PAUSE:
            super().ping(reconnect)

    async def _run_all(self, statements: Sequence[Statement]) -> None:
        """Send all of them in one go. The server looks at none that stands behind one that fails."""
        driver: Any = self._connection
        async with self._execute_mutex:
            cursor, begin = await driver.cursor(self.dbapi.Cursor), [("BEGIN", ())] * self.begins
            await cursor.execute("; ".join(cursor.mogrify(*each) for each in [*begin, *statements]))
            self.begins = False
            while await cursor.nextset():  # raises what the server has to say to one of them
                pass

    def _is_begun(self) -> bool:
        self.begins = False
        driver: Any = self._connection
        return bool(driver.get_transaction_status())


def connect(dialect: Dialect, _record: Any, arguments: list[Any], parameters: dict[str, Any]) -> Connection:
    theirs: Any = dialect.connect(*arguments, **parameters)
    _parse_columns_once(theirs.dbapi)
    return Connection(theirs.dbapi, theirs.driver_connection)


def _parse_columns_once(dbapi: Any) -> None:
    """Have the driver remember what a column is called: each answer says it anew, and mostly the same."""
    of_driver = dbapi.aiomysql.connection
    if not hasattr(of_driver.FieldDescriptorPacket, "cache_info"):
        of_driver.FieldDescriptorPacket = lru_cache(maxsize=1024)(of_driver.FieldDescriptorPacket)
