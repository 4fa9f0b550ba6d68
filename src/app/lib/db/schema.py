"""The schema revision of the database, compared with the migrations in alembic/versions."""

import logging
import warnings
from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, MetaData, inspect
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

PYPROJECT = Path(__file__).resolve().parents[4] / "pyproject.toml"

# MigrationContext logs two lines at INFO each time, which would be two for each request to /readyz.
logging.getLogger("alembic.runtime.migration").setLevel(logging.WARNING)


class BrokenMigrations(Exception):
    """alembic/versions cannot be loaded, or has more than one head."""


class UpgradeFailed(Exception):
    """The reason that Alembic gave, in one line."""


def head_revision() -> str | None:
    """Return the newest revision in alembic/versions, None without any. Raises BrokenMigrations."""
    heads = sorted(_scripts().get_heads())
    if len(heads) > 1:
        raise BrokenMigrations(f"alembic/versions has several heads, {' and '.join(heads)}: run `alembic merge heads`")
    return heads[0] if heads else None


def is_newer(revision: str | None) -> bool:
    """Return whether a database is at a revision that alembic/versions does not have. Raises BrokenMigrations.

    Newer code has then migrated the database, or it belongs to a site with migrations of its own:
    check_database_ready() compares the columns. The code runs on the tables of newer code, because a migration must be
    compatible with the code before it (docs/how-to/deploy.md).
    """
    known = {script.revision for script in _scripts().walk_revisions()}
    return revision is not None and not known.issuperset(revision.split(", "))


async def current_revision(session: AsyncSession) -> str | None:
    """Return the revision that the database is at, None for an empty database."""
    connection = await session.connection()
    return await connection.run_sync(_current_revision)


async def missing_columns(session: AsyncSession, tables: MetaData) -> list[str]:
    """Return the columns, such as "user.email_key", that the models have and the database lacks."""
    connection = await session.connection()
    return await connection.run_sync(_missing_columns, tables)


def upgrade() -> None:
    """Upgrade the database that the settings name to head. Raises UpgradeFailed.

    Must not be called inside a running event loop: alembic/env.py starts its own.
    """
    try:
        command.upgrade(Config(toml_file=PYPROJECT), "head")
    except (CommandError, SQLAlchemyError) as error:
        raise UpgradeFailed(" ".join(str(error).split())) from error


@cache
def _scripts() -> ScriptDirectory:
    """Import every migration, once: /readyz compares revisions at each request."""
    scripts = ScriptDirectory.from_config(Config(toml_file=PYPROJECT))
    try:
        with warnings.catch_warnings(action="error", category=UserWarning):  # a revision is missing, or there twice
            scripts.get_heads()
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise BrokenMigrations(f"alembic/versions cannot be loaded, `alembic heads` shows where: {reason}") from error
    return scripts


def _current_revision(connection: Connection) -> str | None:
    return ", ".join(sorted(MigrationContext.configure(connection).get_current_heads())) or None


def _missing_columns(connection: Connection, tables: MetaData) -> list[str]:
    inspector = inspect(connection)
    missing = []
    for table in tables.tables.values():
        existing = (
            inspector.get_columns(table.name, table.schema) if inspector.has_table(table.name, table.schema) else []
        )
        names = {column["name"] for column in existing}
        missing += [str(column) for column in table.columns if column.name not in names]
    return missing
