"""The base of the tables, and `db`: the running app's database, one unit of work at a time."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import cached_property, partial
from typing import Any, ClassVar, Concatenate, ParamSpec, TypeVar

from quart import Quart, current_app, g
from sqlalchemy import Connection, MetaData, Table, exc
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.util import greenlet_spawn

from app.models import deferred
from app.models.engine import make_engine, places, writers
from app.models.line import Line, Lines
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


class _Work:
    """The one session of a request, made when first asked for, and the lock that keeps its units in line."""

    def __init__(self) -> None:
        self.turn = asyncio.Lock()

    @cached_property
    def session(self) -> AsyncSession:
        return AsyncSession(expire_on_commit=False)


class Database:
    """Run verbs on the database of the running app: `user = await db.read(find_by_email, email=…)`.

    Each request has one session, made when first asked for. Each call is one unit of work, with a deadline, and gives
    the connection back; what it returns is loaded and detached. Raises DatabaseUnavailable when the database is away.
    """

    def init_app(self, app: Quart, *, url: URL, timeout: timedelta, options: dict[str, Any]) -> None:
        app.extensions["db"] = engine = make_engine(url, options)
        app.extensions["db_reading"] = engine.sync_engine.execution_options(writes=False)
        app.extensions["db_writing"] = engine.sync_engine.execution_options(writes=True)
        app.extensions["db_lines"] = Lines(places=places(engine), writers=writers(engine))
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
        return g.db_work.session.info if "db_work" in g and "session" in vars(g.db_work) else {}

    async def read(self, verb: Verb[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a verb that changes nothing, without a transaction: each of its queries sees the latest."""
        return await self._run(partial(self._read, verb, *args, **kwargs), writes=False)

    async def write(self, verb: Verb[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a verb and commit once. When it loses a race for a lock, run the whole of it again."""
        return await self._run(partial(self._write, verb, *args, **kwargs), writes=True)

    async def ask(self, question: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a plain function that only reads, on a connection: without the ORM, that takes a third less time."""
        return await self._run(partial(greenlet_spawn, partial(self._ask, question, *args, **kwargs)), writes=False)

    async def dispose(self) -> None:
        """Close every connection: the last thing that a command does."""
        await self.engine.dispose()

    async def _run(self, unit: Callable[[], Awaitable[T]], *, writes: bool) -> T:
        line, seconds = current_app.extensions["db_lines"].here(), current_app.extensions["db_timeout"]
        until = asyncio.get_running_loop().time() + seconds
        try:
            await line.take_place(writes=writes, within=LATEST * seconds)  # who goes away meanwhile has asked nothing
        except TimeoutError as error:
            raise DatabaseUnavailable("TimeoutError: all connections are in use") from error
        # Now one that goes away cancels us in the middle. The unit goes on to its end, and leaves a clean connection.
        task = asyncio.create_task(self._run_to_its_end(unit, line, until=until, writes=writes))
        task.add_done_callback(lambda done: done.cancelled() or done.exception())  # maybe nobody is left to hear it
        return await asyncio.shield(task)

    async def _run_to_its_end(self, unit: Callable[[], Awaitable[T]], line: Line, *, until: float, writes: bool) -> T:
        try:
            async with asyncio.timeout_at(until), self._work_of_this_request().turn:
                for attempt in range(1, TRIES if writes else 1):
                    try:
                        return await unit()
                    except (LostRace, exc.DBAPIError) as error:
                        if not lost_a_race(error):
                            raise
                        await asyncio.sleep(random.uniform(0.01, 0.05) * attempt)  # noqa: S311 # no secret
                return await unit()
        except OUR_FAULT:
            raise
        except (*TROUBLE, LostRace) as error:
            raise DatabaseUnavailable(f"{type(error).__name__}: {getattr(error, 'orig', None) or error}") from error
        finally:
            line.leave(writes=writes)

    async def _read(self, verb: Verb[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        async with self._session("db_reading") as session:
            return await verb(session, *args, **kwargs)

    async def _write(self, verb: Verb[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        async with self._session("db_writing") as session:
            deferred.begin(session)
            await session.connection()  # begins: on SQLite the verb starts once it is the only one that writes
            result = await verb(session, *args, **kwargs)
            await deferred.commit(session)
        return result

    def _ask(self, question: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        with current_app.extensions["db_reading"].connect() as connection:
            return question(connection, *args, **kwargs)

    @asynccontextmanager
    async def _session(self, engine: str) -> AsyncIterator[AsyncSession]:
        session = self._work_of_this_request().session
        session.sync_session.bind = current_app.extensions[engine]
        try:
            yield session
        finally:
            deferred.forget(session)
            await session.close()  # rolls back what was not committed, and detaches what was loaded

    def _work_of_this_request(self) -> _Work:
        if "db_work" not in g:
            g.db_work = _Work()
        work: _Work = g.db_work
        return work

    async def _wait_for_the_last(self, _error: BaseException | None) -> None:
        """Wait for a unit whose caller has gone: each closes the session when it is done."""
        if "db_work" in g:
            async with g.db_work.turn:
                pass


db = Database()
