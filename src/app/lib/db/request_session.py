"""The one session of a request."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

from quart import g
from sqlalchemy import Engine, event
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import ORMExecuteState, Session, SessionTransaction

from app.lib.db import sqlite

# Keys of session.info
ENGINE, READ_ONLY, IS_COMMITTING = "engine", "read_only", "is_committing"
ON_COMMIT, SAVEPOINTS = "on_commit", "savepoints"
CHANGES_IN_READ = "db.read() ran a function that changes rows, which needs a transaction: use db.write()"
OWN_COMMIT = "a function must not commit, because db.write() commits after it: remove session.commit()"


class RoutedSession(Session):
    """Use the engine that the running call of `db.read` or `db.write` has chosen."""

    def get_bind(self, *_args: Any, **_kwargs: Any) -> Engine:
        return cast(Engine, self.info[ENGINE])


class RequestSession:
    """A session, and the lock that runs its calls one after the other."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.session = AsyncSession(sync_session_class=RoutedSession, expire_on_commit=False)

    @asynccontextmanager
    async def use(self, engine: AsyncEngine, *, read_only: bool, deadline: float) -> AsyncIterator[AsyncSession]:
        """Yield the session on an engine. At the end roll back uncommitted changes, and detach all objects."""
        self.session.info.update({ENGINE: engine.sync_engine, READ_ONLY: read_only, IS_COMMITTING: False})
        self.session.info.update({ON_COMMIT: [], SAVEPOINTS: []})
        try:
            if engine.dialect.name == "sqlite":
                async with sqlite.interrupt_at(deadline, self.session):
                    yield self.session
            else:
                yield self.session
        finally:
            await self.session.close()


def request_session() -> RequestSession:
    """Return the session of the current request or command, made when it is first needed."""
    if "db_session" not in g:
        g.db_session = RequestSession()
    return cast(RequestSession, g.db_session)


@event.listens_for(RoutedSession, "before_flush")
def refuse_changes(session: Session, *_: Any) -> None:
    """Raise RuntimeError if a function that `db.read` runs has changed objects."""
    if session.info[READ_ONLY] and (session.new or session.dirty or session.deleted):
        raise RuntimeError(CHANGES_IN_READ)


@event.listens_for(RoutedSession, "do_orm_execute")
def refuse_changing_statement(state: ORMExecuteState) -> None:
    if state.session.info[READ_ONLY] and (state.is_insert or state.is_update or state.is_delete):
        raise RuntimeError(CHANGES_IN_READ)


def on_commit(session: AsyncSession, function: Callable[[], None]) -> None:
    """Call a function once the transaction is committed, and not if it is rolled back or runs again."""
    session.info.setdefault(ON_COMMIT, []).append(function)


async def commit(session: AsyncSession) -> None:
    """Commit the transaction of `db.write`."""
    session.info[IS_COMMITTING] = True
    await session.commit()


@event.listens_for(RoutedSession, "before_commit")
def refuse_own_commit(session: Session) -> None:
    """Raise RuntimeError if a function commits: its later statements would be in another transaction."""
    if not session.info[IS_COMMITTING] and not session.in_nested_transaction():
        raise RuntimeError(OWN_COMMIT)


@event.listens_for(Session, "after_transaction_create")
def mark_savepoint(session: Session, transaction: SessionTransaction) -> None:
    if transaction.nested:
        session.info.setdefault(SAVEPOINTS, []).append(len(session.info.get(ON_COMMIT, ())))


@event.listens_for(Session, "after_transaction_end")
def forget_savepoint(session: Session, transaction: SessionTransaction) -> None:
    if transaction.nested:
        session.info[SAVEPOINTS].pop()


@event.listens_for(Session, "after_commit")
def run_on_commit(session: Session) -> None:
    """Call the functions of `on_commit` after the commit of the transaction, not after that of a savepoint."""
    if not session.in_nested_transaction():
        for function in session.info.pop(ON_COMMIT, ()):
            function()


@event.listens_for(Session, "after_rollback")
def forget_on_rollback(session: Session) -> None:
    """Discard the functions of `on_commit`; after the rollback of a savepoint, only those added since it began."""
    functions, savepoints = session.info.get(ON_COMMIT, []), session.info.get(SAVEPOINTS)
    first = savepoints[-1] if savepoints else 0
    del functions[first:]
