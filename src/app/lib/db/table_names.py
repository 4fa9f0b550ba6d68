"""Find views and tables that already have the name of a new table."""

from collections.abc import Iterable, Iterator

import sqlalchemy as sa
from alembic.util import CommandError


def taken_names(connection: sa.Connection, tables: Iterable[sa.Table]) -> Iterator[str]:
    """Yield a problem for each new table whose name belongs to a view or to a table with other columns.

    A table with the same columns is accepted: an interrupted run of the migration has created it.
    """
    inspector = sa.inspect(connection)
    views = inspector.get_view_names()
    for table in tables:
        if table.name in views:
            yield f"the view {table.name} has the name of a new table: rename it"
        elif inspector.has_table(table.name):
            existing = {column["name"] for column in inspector.get_columns(table.name)}
            if existing != set(table.columns.keys()):
                yield f"the table {table.name} has the name of a new table: rename it"


def refuse_taken_names(connection: sa.Connection, tables: Iterable[sa.Table]) -> None:
    """Raise CommandError if the name of a new table is taken. Call this before the migration changes anything."""
    if problems := list(taken_names(connection, tables)):
        raise CommandError(f"{'; '.join(problems)}. Then run the command again: it continues with this migration.")
