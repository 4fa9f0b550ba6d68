"""The base of the tables, and `db`: the running app's database, one unit of work at a time."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, ClassVar, Concatenate, ParamSpec, TypeVar
from weakref import WeakKeyDictionary

from quart import Quart, current_app, g
from sqlalchemy import MetaData, Table, exc
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import DeclarativeBase

from app.models.engine import make_engine, places, writers
from app.models.line import Line
from app.models.races import LostRace, lost_a_race

P = ParamSpec("P")
T = TypeVar("T")
Verb = Callable[Concatenate[AsyncSession, P], Awaitable[T]]

TRIES = 3
LATEST = 0.75  # of DATABASE_TIMEOUT: who has waited longer for a connection would not be done in time
# What we do wrong ourselves. Whatever else comes from a database is one that is away, full, read-only or overloaded.
OUR_FAULT = (exc.IntegrityError, exc.DataError, exc.ProgrammingError, exc.NotSupportedError)
TROUBLE = (exc.DatabaseError, exc.InterfaceError, exc.TimeoutError, TimeoutError, OSError)


class Base(DeclarativeBase):
    """What every table has: names for its constraints; on MySQL, transactions and the whole of Unicode."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        }
    )
    __table__: ClassVar[Table]
    __table_args__: Any = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4"}


class DatabaseUnavailable(Exception):
    """The database could not do the work in time. Nothing was changed, or, if the answer was lost, all of it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.retry_after = 5  # seconds


@dataclass
class _Work:
    """The one session of a request, and the lock that keeps its units in line."""

    session: AsyncSession
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


class Database:
    """Run verbs on the database of the running app: `user = await db.read(find_by_email, email=…)`.

    Each request has one session, made when first asked for. Each call is one unit of work, with a deadline, and gives
    the connection back; what it returns is loaded and detached. Raises DatabaseUnavailable when the database is away.
    """

    def init_app(self, app: Quart, *, url: URL, timeout: timedelta, options: dict[str, Any]) -> None:
        app.extensions["db"] = engine = make_engine(url, options)
        app.extensions["db_reading"] = engine.sync_engine.execution_options(writes=False)
        app.extensions["db_writing"] = engine.sync_engine.execution_options(writes=True)
        app.extensions["db_lines"] = WeakKeyDictionary[asyncio.AbstractEventLoop, Line]()  # a lock belongs to its loop
        app.extensions["db_timeout"] = timeout.total_seconds()
        app.teardown_appcontext(self._wait_for_the_last)
        app.after_serving(app.extensions["db"].dispose)

    @property
    def engine(self) -> AsyncEngine:
        engine: AsyncEngine = current_app.extensions["db"]
        return engine

    @property
    def info(self) -> dict[Any, Any]:
        """What the verbs of this request have put into their `session.info`, for what comes after the answer."""
        return g.db_work.session.info if "db_work" in g else {}

    async def read(self, verb: Verb[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a verb that changes nothing, without a transaction: each of its queries sees the latest."""
        return await self._run(lambda session: verb(session, *args, **kwargs), tries=1, writes=False)

    async def write(self, verb: Verb[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a verb and commit once. When it loses a race for a lock, run the whole of it again."""
        return await self._run(lambda session: verb(session, *args, **kwargs), tries=TRIES, writes=True)

    async def dispose(self) -> None:
        """Close every connection: the last thing that a command does."""
        await self.engine.dispose()

    async def _run(self, unit: Callable[[AsyncSession], Awaitable[T]], *, tries: int, writes: bool) -> T:
        until = asyncio.get_running_loop().time() + current_app.extensions["db_timeout"]
        await self._take_place(writes=writes)  # who goes away meanwhile has asked for nothing
        # Now one that goes away cancels us in the middle. The unit goes on to its end, and leaves a clean connection.
        task = asyncio.create_task(self._run_to_its_end(unit, until=until, tries=tries, writes=writes))
        task.add_done_callback(lambda done: done.cancelled() or done.exception())  # maybe nobody is left to hear it
        return await asyncio.shield(task)

    async def _take_place(self, *, writes: bool) -> None:
        """Wait for a connection; who would get one too late to use it takes none. Raises DatabaseUnavailable.

        Else, once all have waited for long, each would be cut off in the middle, and its connection with it: new ones
        take so long that the next are late as well, and nobody would ever be served.
        """
        try:
            async with asyncio.timeout(LATEST * current_app.extensions["db_timeout"]):
                await self._line().take_place(writes=writes)
        except TimeoutError as error:
            raise DatabaseUnavailable("TimeoutError: all connections are in use") from error

    def _line(self) -> Line:
        lines, loop = current_app.extensions["db_lines"], asyncio.get_running_loop()
        if loop not in lines:
            lines[loop] = Line(places=places(self.engine), writers=writers(self.engine))
        line: Line = lines[loop]
        return line

    async def _run_to_its_end(
        self, unit: Callable[[AsyncSession], Awaitable[T]], *, until: float, tries: int, writes: bool
    ) -> T:
        work = self._work_of_this_request()
        try:
            async with asyncio.timeout_at(until), work.turn:
                for attempt in range(1, tries):
                    try:
                        return await self._transact(work.session, unit, writes=writes)
                    except (LostRace, exc.DBAPIError) as error:
                        if not lost_a_race(error):
                            raise
                        await asyncio.sleep(random.uniform(0.01, 0.05) * attempt)  # noqa: S311 # no secret
                return await self._transact(work.session, unit, writes=writes)
        except OUR_FAULT:
            raise
        except (*TROUBLE, LostRace) as error:
            raise DatabaseUnavailable(f"{type(error).__name__}: {getattr(error, 'orig', None) or error}") from error
        finally:
            self._line().leave(writes=writes)

    async def _transact(
        self, session: AsyncSession, unit: Callable[[AsyncSession], Awaitable[T]], *, writes: bool
    ) -> T:
        session.sync_session.bind = current_app.extensions["db_writing" if writes else "db_reading"]
        try:
            if writes:
                await session.connection()  # begins: on SQLite the verb starts once it is the only one that writes
            result = await unit(session)
            if writes:
                await session.commit()
        finally:
            await session.close()  # rolls back what was not committed, and detaches what was loaded
        return result

    def _work_of_this_request(self) -> _Work:
        if "db_work" not in g:
            g.db_work = _Work(AsyncSession(expire_on_commit=False))
        work: _Work = g.db_work
        return work

    async def _wait_for_the_last(self, _error: BaseException | None) -> None:
        """Wait for a unit whose caller has gone: each closes the session when it is done."""
        if "db_work" in g:
            async with g.db_work.turn:
                pass


db = Database()
