"""The checks of the database before the site is served."""

from logging import WARNING

from quart import current_app
from sqlalchemy import MetaData

from app.lib import logs
from app.lib.db import schema
from app.lib.db.database import db
from app.lib.db.errors import DatabaseUnavailable
from app.lib.db.url import database_url, without_secrets


class StartupError(Exception):
    """The reason why the site cannot be served, in one line."""


class PendingMigrations(StartupError):
    """The database can be reached, and `alembic upgrade head` must be run."""


async def check_database_ready(tables: MetaData) -> None:
    """Raise StartupError unless the database of the running app can be reached and is at the head revision.

    A revision that alembic/versions does not have is accepted, with a warning, if no column of `tables` is missing.
    Otherwise the database is not newer: it belongs to a site with migrations of its own.
    """
    try:
        head = schema.head_revision()
        current = await db.read(schema.current_revision)
        is_newer = schema.is_newer(current)
        missing = await db.read(schema.missing_columns, tables) if is_newer else []
    except schema.BrokenMigrations as error:
        raise StartupError(str(error)) from error
    except (DatabaseUnavailable, TypeError) as error:  # TypeError: the driver has no argument that the URL names
        url = without_secrets(database_url(current_app.config))
        raise StartupError(f"the database {url} is unavailable: {error}") from error
    if missing:
        raise StartupError(
            f"the database is at {current}, which alembic/versions does not have, and lacks the column {missing[0]}."
            " If the site has migrations of its own, see docs/how-to/move-from-flask-security.md"
        )
    if is_newer:  # during an upgrade, or after a return to the code before it
        logs.record("database_is_newer", level=WARNING, revision=current, code=head)
    elif current != head:
        at = f"at {current}" if current else "empty"
        raise PendingMigrations(f"the database is {at}, the code needs {head}: run `alembic upgrade head`")
