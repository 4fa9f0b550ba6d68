"""Names of new tables that something else in the database already has."""

from collections.abc import Iterable, Iterator

import sqlalchemy as sa
from alembic.util import CommandError


def taken(connection: sa.Connection, tables: Iterable[sa.Table]) -> Iterator[str]:
    """Return a sentence for each name that a view has, or a table with other columns.

    A table with the same columns was created by an interrupted run of the migration.
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


def refuse_taken(connection: sa.Connection, tables: Iterable[sa.Table]) -> None:
    """Raise CommandError, before a migration creates the tables, if a name of theirs is taken."""
    if problems := list(taken(connection, tables)):
        raise CommandError(f"{'; '.join(problems)}. Then run the command again: it continues here.")
