"""Refuse the option --sql of Alembic for a migration that reads the database."""

from alembic.runtime.migration import MigrationContext
from alembic.util import CommandError


def refuse_sql_script(context: MigrationContext) -> None:
    """Raise CommandError if Alembic writes a script, and so has no connection. Call this first in a migration."""
    if context.as_sql:
        raise CommandError("This migration inspects the database, so run the command without --sql.")
