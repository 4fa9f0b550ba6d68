"""Keep what a batch migration loses on SQLite. Alembic copies the table, drops it, and renames the copy."""

from typing import Any

from sqlalchemy import Connection, Inspector, Table, event
from sqlalchemy.engine.interfaces import ReflectedColumn

COPY_PREFIX = "_alembic_tmp_"
TABLES = "SELECT name FROM sqlite_master WHERE type = 'table'"
TRIGGERS = "SELECT name, tbl_name, sql FROM sqlite_master WHERE type = 'trigger'"
HIGHEST_IDS = "SELECT name, seq FROM sqlite_sequence"  # of the tables with AUTOINCREMENT, with the deleted rows

RAISE_ID = "UPDATE sqlite_sequence SET seq = max(seq, ?)"


@event.listens_for(Table, "before_create")
def keep_autoincrement(table: Table, connection: Connection | None, **_: Any) -> None:
    """Create a copy with AUTOINCREMENT if the table has it. SQLAlchemy does not reflect it."""
    original = table.name.removeprefix(COPY_PREFIX)
    if connection is None or original == table.name or "sqlite_autoincrement" in set(table.kwargs):
        return
    query = "SELECT sql FROM sqlite_master WHERE type = 'table' AND name = ?"
    statement = connection.exec_driver_sql(query, (original,)).scalar() or ""
    table.dialect_options["sqlite"]["autoincrement"] = "AUTOINCREMENT" in statement.upper()


@event.listens_for(Table, "column_reflect")
def keep_default(_inspector: Inspector, _table: Table, column: ReflectedColumn) -> None:
    """Escape colons in a default. SQLAlchemy reflects it as text(), which takes `:size` for a parameter."""
    if isinstance(default := column.get("default"), str):
        column["default"] = default.replace(":", r"\:")


class DroppedWithTable:
    """The triggers of a table and its highest id, which SQLite drops with it: restored when its copy has its name."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.triggers: list[Any] = []
        self.highest: dict[str, int] = {}
        event.listen(connection, "before_cursor_execute", self.remember)
        event.listen(connection, "after_cursor_execute", self.restore)

    def remember(self, _connection: Connection, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.lstrip().startswith("DROP TABLE"):
            self.triggers = list(self.connection.exec_driver_sql(TRIGGERS))
            self.highest = highest_ids(self.connection)

    def restore(self, _connection: Connection, _cursor: Any, statement: str, *_: Any) -> None:
        if " RENAME TO " in statement:
            self.restore_triggers()
            for table, number in self.highest.items():  # so that no id of a deleted row is used again
                self.connection.exec_driver_sql(f"{RAISE_ID} WHERE name = ?", (number, table))

    def restore_triggers(self) -> None:
        tables = {name.lower() for name in self.connection.exec_driver_sql(TABLES).scalars()}
        existing = {trigger.name for trigger in self.connection.exec_driver_sql(TRIGGERS)}
        for trigger in self.triggers:
            if trigger.name not in existing and trigger.tbl_name.lower() in tables:
                self.connection.exec_driver_sql(trigger.sql)
        self.triggers = []


def highest_ids(connection: Connection) -> dict[str, int]:
    if "sqlite_sequence" not in connection.exec_driver_sql(TABLES).scalars().all():
        return {}
    return {row.name: row.seq for row in connection.exec_driver_sql(HIGHEST_IDS)}
