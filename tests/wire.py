"""What is really asked of a database: each way there and back, also those that no line of ours asks for."""

import re
from dataclasses import dataclass, field
from typing import Any

import aiomysql  # type: ignore[import-untyped]
import aiosqlite
import pytest
from pymysql.constants import COMMAND

from app.models import sqlite

PINGS = {COMMAND.COM_PING: "PING"}


@dataclass
class Wire:
    """`asked` has every command, in the words of the database; `trips` what SQLite was asked in a thread."""

    asked: list[str] = field(default_factory=list)
    trips: list[str] = field(default_factory=list)

    @property
    def kinds(self) -> list[str]:
        """What was asked, each with its first word and the table it is about."""
        return [kind(command) for command in self.asked]

    def clear(self) -> None:
        self.asked.clear()
        self.trips.clear()

    def listen(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Hear what all connections are asked, in the functions of each driver through which all of it goes."""
        ask_mysql, run = aiomysql.Connection._execute_command, sqlite.Cursor._run
        ask_thread: Any = aiosqlite.Connection._execute

        async def note_and_ask_mysql(connection: Any, command: int, sql: str | bytes) -> Any:
            self.asked.append(PINGS.get(command) or (sql if isinstance(sql, str) else sql.decode()))
            return await ask_mysql(connection, command, sql)

        def note_and_run(cursor: sqlite.Cursor, operation: str, parameters: Any) -> None:
            self.asked.append(operation)
            run(cursor, operation, parameters)

        async def note_and_ask_thread(connection: aiosqlite.Connection, work: Any, *arguments: Any, **more: Any) -> Any:
            self.trips.append(in_words(work, *arguments))
            if getattr(work, "__func__", None) not in (note_and_run, sqlite.Cursor._run_each):
                self.asked.append(self.trips[-1])
            return await ask_thread(connection, work, *arguments, **more)

        monkeypatch.setattr(aiomysql.Connection, "_execute_command", note_and_ask_mysql)
        monkeypatch.setattr(sqlite.Cursor, "_run", note_and_run)
        monkeypatch.setattr(aiosqlite.Connection, "_execute", note_and_ask_thread)


def in_words(work: Any, operation: Any = None, *_: Any) -> str:
    """Say what the thread of a connection to SQLite is to do."""
    if isinstance(operation, list):
        return "; ".join(each for each, _ in operation)
    return operation if isinstance(operation, str) else work.__name__.upper()


def kind(command: str) -> str:
    """Return the first word of a command and the table it is about; of each, where several are sent in one go."""
    if "; " in command:
        return "; ".join(kind(part) for part in command.split("; "))
    first, table = command.split(maxsplit=1)[0], re.search(r"(?:FROM|INTO|^UPDATE) [`\"]?(\w+)", command)
    return f"{first} {table[1]}" if table else first
