"""The checks of the database before the site is served."""

from quart import current_app

from app.lib.db import schema
from app.lib.db.database import db
from app.lib.db.errors import DatabaseUnavailable
from app.lib.db.url import database_url


class StartupError(Exception):
    """The reason why the site cannot be served, in one line."""


class PendingMigrations(StartupError):
    """The database can be reached, and `alembic upgrade head` must be run."""


async def check_database_ready() -> None:
    """Raise StartupError unless the database of the running app can be reached and is at the head revision."""
    try:
        head = schema.head_revision()
        current = await db.read(schema.current_revision)
        is_newer = current is not None and not schema.is_known(current)
    except schema.BrokenMigrations as error:
        raise StartupError(str(error)) from error
    except (DatabaseUnavailable, TypeError) as error:  # TypeError: the driver has no argument that the URL names
        url = database_url(current_app.config).render_as_string(hide_password=True)
        raise StartupError(f"the database {url} is unavailable: {error}") from error
    if is_newer:
        raise StartupError(f"the database is at {current}, which this code does not have: it is newer than the code")
    if current != head:
        at = f"at {current}" if current else "empty"
        raise PendingMigrations(f"the database is {at}, the code needs {head}: run `alembic upgrade head`")
