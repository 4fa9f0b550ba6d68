"""The database that the site needs before it can be served."""

from quart import current_app

from app.database_url import database_url
from app.models import db
from app.models.core import DatabaseUnavailable
from app.services import schema


class NotReady(Exception):
    """The reason that the site cannot be served, in one line."""


class SchemaNotAtHead(NotReady):
    """The database can be reached, and `alembic upgrade head` would help."""


async def check_ready() -> None:
    """Raise NotReady unless the database of the running app can be reached and is at the head revision."""
    try:
        head = schema.head_revision()
        current = await db.read(schema.current_revision)
        is_newer = current is not None and not schema.is_known(current)
    except schema.BrokenMigrations as error:
        raise NotReady(str(error)) from error
    except (DatabaseUnavailable, TypeError) as error:  # TypeError: the driver has no argument that the URL names
        url = database_url(current_app.config).render_as_string(hide_password=True)
        raise NotReady(f"the database {url} does not answer: {error}") from error
    if is_newer:
        raise NotReady(f"the database is at {current}, which this code does not know: it is newer than the code")
    if current != head:
        at = f"at {current}" if current else "empty"
        raise SchemaNotAtHead(f"the database is {at}, the code needs {head}: run `alembic upgrade head`")
