"""What is really asked of a database: each way there and back, also those that no line of ours asks for."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import aiomysql  # type: ignore[import-untyped]
import aiosqlite
import pytest
from pymysql.constants import COMMAND

PINGS = {COMMAND.COM_PING: "PING"}


@dataclass
class Wire:
    """`asked` has every command, in the words of the database."""

    asked: list[str] = field(default_factory=list)

    @property
    def kinds(self) -> list[str]:
        """What was asked, each with its first word and the table it is about."""
        return [kind(command) for command in self.asked]

    def listen(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Hear what all connections are asked, in the one function of each driver through which all of it goes."""
        for connection, name, command_of in (
            (aiomysql.Connection, "_execute_command", on_mysql),
            (aiosqlite.Connection, "_execute", on_sqlite),
        ):
            monkeypatch.setattr(connection, name, self.heard(getattr(connection, name), command_of))

    def heard(self, ask: Callable[..., Any], command_of: Callable[..., str]) -> Callable[..., Any]:
        async def note_and_ask(connection: Any, *command: Any, **more: Any) -> Any:
            self.asked.append(command_of(*command))
            return await ask(connection, *command, **more)

        return note_and_ask


def on_mysql(command: int, sql: str | bytes) -> str:
    return PINGS.get(command) or (sql if isinstance(sql, str) else sql.decode())


def on_sqlite(work: Callable[..., Any], *arguments: Any) -> str:
    """Return what the driver's thread is to do: run a statement, or something else, under its name."""
    return str(arguments[0]) if work.__name__ in ("_run", "executemany") else work.__name__.upper()


def kind(command: str) -> str:
    first, table = command.split(maxsplit=1)[0], re.search(r"(?:FROM|INTO|^UPDATE) [`\"]?(\w+)", command)
    return f"{first} {table[1]}" if table else first
