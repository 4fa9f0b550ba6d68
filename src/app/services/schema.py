"""Whether the database has the tables that the code expects: Alembic's revisions."""

from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.ext.asyncio import AsyncSession

ALEMBIC_INI = Path(__file__).resolve().parents[3] / "alembic.ini"


@cache
def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(Config(ALEMBIC_INI))


@cache
def head_revision() -> str | None:
    """Return the newest revision in alembic/versions."""
    return _scripts().get_current_head()


def is_known(revision: str) -> bool:
    """Say whether the code has a revision."""
    return revision in {script.revision for script in _scripts().walk_revisions()}


async def current_revision(session: AsyncSession) -> str | None:
    """Return the revision that the database is at; None for an empty one."""
    connection = await session.connection()
    return await connection.run_sync(lambda sync: MigrationContext.configure(sync).get_current_revision())


def upgrade() -> None:
    """Bring the database that the settings name to head: `alembic upgrade head`. Not inside a running loop."""
    command.upgrade(Config(ALEMBIC_INI), "head")
