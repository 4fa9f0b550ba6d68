"""`db`: the database of the running app."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from typing import Any, Concatenate, ParamSpec, TypeVar

from quart import Quart, current_app, g
from sqlalchemy import exc
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from app.lib.db.call import Call, Pool, current_call
from app.lib.db.engine import make_engine, make_read_engine, pool_capacity
from app.lib.db.engine_options import check_options
from app.lib.db.errors import OUTAGE_ERRORS, READ_ONLY_ERRORS, DatabaseUnavailable, code_of, is_programming_error
from app.lib.db.request_session import CHANGES_IN_READ, commit, refuse_changes, request_session
from app.lib.db.retry import CommitUncertain, RetryTransaction, is_rolled_back, retry

P = ParamSpec("P")
T = TypeVar("T")
Operation = Callable[Concatenate[AsyncSession, P], Awaitable[T]]

# Of DATABASE_TIMEOUT. A call that has waited for longer fails fast: under overload it would be cancelled half way, its
# connection discarded, and throughput would drop to zero.
MAX_QUEUE_SHARE = 0.75


class Database:
    """Run service functions on the database of the running app: `user = await db.read(users.find, 17)`.

    Each request has one session, made when it is first needed and closed when the request ends. The objects that a
    function returns are loaded and detached. Between two calls no connection is held.
    """

    def init_app(self, app: Quart, *, url: URL, timeout: timedelta, options: dict[str, Any]) -> None:
        """Make the engines. `timeout` is the deadline of one call, with the wait for a connection."""
        check_options(url, options)
        capacity = pool_capacity(options)
        # A second writer to SQLite would sleep between its attempts. It waits for a slot instead.
        max_writers = 1 if url.get_backend_name() == "sqlite" else capacity
        app.extensions["db_read_pool"] = Pool(make_read_engine(url, options), capacity)
        app.extensions["db_write_pool"] = pool = Pool(make_engine(url, options), max_writers)
        app.extensions["db"] = pool.engine
        app.extensions["db_timeout"] = timeout.total_seconds()
        app.teardown_appcontext(self._wait_for_shielded_calls)
        app.after_serving(self.dispose)

    @property
    def engine(self) -> AsyncEngine:
        """The engine for transactions."""
        engine: AsyncEngine = current_app.extensions["db"]
        return engine

    @property
    def info(self) -> dict[Any, Any]:
        """The values that the functions of this request have put into `session.info`."""
        return request_session().session.info if "db_session" in g else {}

    async def read(self, function: Operation[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call `function(session, …)` without a transaction: several queries in it do not share a snapshot.

        Raises DatabaseUnavailable; RuntimeError if the function changes rows, or if called by a function that `read`
        or `write` runs.
        """
        call = self._new_call("read")
        return await self._run(call, partial(self._read, call, function, *args, **kwargs))

    async def write(self, function: Operation[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call `function(session, …)` in a transaction and commit it.

        The whole function runs again after a deadlock, a lock timeout or a connection that was lost before COMMIT. It
        must do nothing that a rollback does not undo. Raises DatabaseUnavailable; RuntimeError if the function commits,
        or if called by a function that `read` or `write` runs.
        """
        call = self._new_call("write")
        return await self._run(call, partial(self._write, call, function, *args, **kwargs))

    async def dispose(self) -> None:
        """Close all connections: the last thing that a command does."""
        for name in ("db_read_pool", "db_write_pool"):
            await current_app.extensions[name].engine.dispose()

    def _new_call(self, name: str) -> Call:
        if (outer := current_call.get()) and outer.is_running:
            raise RuntimeError(f"db.{name}() inside a function that db.{outer.name}() runs: use its session")
        deadline = asyncio.get_running_loop().time() + current_app.extensions["db_timeout"]
        return Call(name, current_app.extensions[f"db_{name}_pool"], deadline)

    async def _run(self, call: Call, attempt: Callable[[], Awaitable[T]]) -> T:
        try:
            async with asyncio.timeout(MAX_QUEUE_SHARE * current_app.extensions["db_timeout"]):
                await call.pool.acquire()
        except TimeoutError as error:
            call.pool.timeouts += 1
            raise DatabaseUnavailable("TimeoutError: all connections are in use") from error
        # A client disconnect cancels this coroutine. Shield the call: it completes and returns a clean connection.
        task = asyncio.create_task(self._finish(call, attempt))
        task.add_done_callback(lambda done: done.cancelled() or done.exception())  # retrieved, also without a caller
        return await asyncio.shield(task)

    async def _finish(self, call: Call, attempt: Callable[[], Awaitable[T]]) -> T:
        current_call.set(call)  # for this task alone
        started = time.monotonic()
        try:
            async with asyncio.timeout_at(call.deadline) as deadline, request_session().lock:
                return await retry(attempt)
        except (*OUTAGE_ERRORS, RetryTransaction, CommitUncertain) as error:
            is_own_timeout = isinstance(error, TimeoutError) and not deadline.expired()  # set by the function itself
            if is_own_timeout or is_programming_error(error):
                raise
            reason = f"{type(error).__name__}: {getattr(error, 'orig', None) or error}"
            raise DatabaseUnavailable(reason, is_uncertain=call.is_committing) from error
        finally:
            call.is_running = False
            call.pool.release(busy_seconds=time.monotonic() - started)

    async def _read(self, call: Call, function: Operation[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        async with request_session().use(call.pool.engine, read_only=True, deadline=call.deadline) as session:
            try:
                result = await function(session, *args, **kwargs)
            except exc.DBAPIError as error:
                if error.statement and code_of(error) in READ_ONLY_ERRORS:  # not while the connection is opened
                    raise RuntimeError(CHANGES_IN_READ) from error
                raise
            refuse_changes(session.sync_session)
            return result

    async def _write(self, call: Call, function: Operation[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        async with request_session().use(call.pool.engine, read_only=False, deadline=call.deadline) as session:
            await session.connection()  # begins: on SQLite this waits until the function is the only writer
            result = await function(session, *args, **kwargs)
            await session.flush()
            call.is_committing = True
            try:
                await commit(session)
            except exc.DBAPIError as error:
                await session.invalidate()  # a failed COMMIT may leave the transaction open
                if not is_rolled_back(error):
                    raise CommitUncertain(str(error.orig)) from error
                call.is_committing = False
                raise
            return result

    async def _wait_for_shielded_calls(self, _error: BaseException | None) -> None:
        """Wait for the calls that continue although their caller was cancelled."""
        if "db_session" in g:
            async with g.db_session.lock:
                pass


db = Database()
