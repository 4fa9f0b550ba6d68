"""What has to be true before the site can be served."""

from quart import current_app

from app.database_url import database_url
from app.models import db
from app.models.core import DatabaseUnavailable
from app.services import schema


class NotReady(Exception):
    """Why the site cannot be served, in one line."""


class SchemaNotAtHead(NotReady):
    """The database answers, and `alembic upgrade head` would help."""


async def check_ready() -> None:
    """Raise NotReady unless the running app's database answers and has the tables that the code expects."""
    try:
        current = await db.read(schema.current_revision)
    except (DatabaseUnavailable, TypeError) as error:  # TypeError: the address has an argument that no driver knows
        url = database_url(current_app.config).render_as_string(hide_password=True)
        raise NotReady(f"the database {url} does not answer: {error}") from error
    if current is not None and not schema.is_known(current):
        raise NotReady(f"the database is at {current}, which this code does not know: it is newer than the code")
    if current != schema.head_revision():
        at = f"at {current}" if current else "empty"
        raise SchemaNotAtHead(
            f"the database is {at}, the code needs {schema.head_revision()}: run `alembic upgrade head`"
        )
