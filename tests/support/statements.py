"""The statements that a request sends to the database, by the documented events of SQLAlchemy."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from quart import Quart
from sqlalchemy import Engine, event


def engines(app: Quart) -> list[Engine]:
    """Return the engine for reads and the engine for transactions."""
    return [app.extensions[name].engine.sync_engine for name in ("db_read_pool", "db_write_pool")]


@contextmanager
def sent_statements(app: Quart) -> Iterator[list[str]]:
    """Collect every statement, with BEGIN, COMMIT and ROLLBACK of transactions."""
    sent: list[str] = []

    def note_statement(*arguments: Any) -> None:
        if not arguments[2].startswith("BEGIN"):  # noted by the event of that name
            sent.append(arguments[2])

    def note(name: str) -> Callable[..., None]:
        return lambda *_: sent.append(name.upper())

    reads, writes = engines(app)
    listeners: list[tuple[Engine, str, Any]] = [
        (reads, "before_cursor_execute", note_statement),
        (writes, "before_cursor_execute", note_statement),
        *((writes, name, note(name)) for name in ("begin", "commit", "rollback")),
    ]
    for engine, name, listener in listeners:
        event.listen(engine, name, listener)
    yield sent
    for engine, name, listener in listeners:
        event.remove(engine, name, listener)


def kind(statement: str) -> str:
    """Return the first word of a statement and its table: SELECT user."""
    words, table = statement.split(maxsplit=1), re.search(r"(?:FROM|INTO|^UPDATE) [`\"]?(\w+)", statement)
    return f"{words[0]} {table[1]}" if table else words[0]
