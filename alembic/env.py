"""Runs the migrations on the database that the settings name."""

import asyncio
import logging
from typing import Any, Literal

from alembic import context
from alembic.operations.ops import DropIndexOp, DropTableOp, ModifyTableOps
from alembic.util import CommandError
from sqlalchemy import Connection, event
from sqlalchemy.engine import URL
from sqlalchemy.exc import OperationalError

from app.app_factory import create_app
from app.config import ConfigError
from app.database_url import database_url
from app.models import Base
from app.models.columns import UtcDateTime
from app.models.engine import make_engine


def render_item(kind: str, item: Any, _autogen_context: Any) -> str | Literal[False]:
    """Write our types into new migrations as what the database has, so that old migrations need none of our types."""
    return "sa.DateTime()" if kind == "type" and isinstance(item, UtcDateTime) else False


def drop_no_index_of_a_dropped_table(_context: Any, _revision: Any, directives: list[Any]) -> None:
    """Leave the indexes to the table that they go with: MySQL keeps one that a foreign key needs."""
    for script in directives:
        steps = script.downgrade_ops.ops
        dropped = {step.table_name for step in steps if isinstance(step, DropTableOp)}
        script.downgrade_ops.ops = [step for step in steps if not goes_with(step, dropped)]


def goes_with(step: Any, tables: set[str]) -> bool:
    return isinstance(step, ModifyTableOps | DropIndexOp) and step.table_name in tables


def migrate(connection: Connection | None = None, *, url: URL | None = None) -> None:
    options: dict[str, Any] = {"connection": connection, "url": url, "literal_binds": connection is None}
    if connection is not None and connection.dialect.name == "sqlite":
        options["transactional_ddl"] = True  # which SQLite can, and Alembic does not assume
    context.configure(
        target_metadata=Base.metadata,
        render_as_batch=True,
        render_item=render_item,
        process_revision_directives=drop_no_index_of_a_dropped_table,
        **options,
    )
    with context.begin_transaction():
        context.run_migrations()


async def migrate_online(url: URL, options: dict[str, Any]) -> None:
    engine = make_engine(url, options)
    if url.get_backend_name() == "sqlite":
        # There, altering a table builds it again, which would delete the rows that point at it.
        event.listen(engine.sync_engine, "connect", lambda connection, _: connection.execute("PRAGMA foreign_keys=OFF"))
    async with engine.begin() as connection:
        await connection.run_sync(migrate)
    await engine.dispose()


def main() -> None:
    if context.config.cmd_opts is not None:  # somebody typed `alembic …` and wants to see what it does
        logging.basicConfig(format="%(message)s")
        logging.getLogger("alembic.runtime.migration").setLevel(logging.INFO)
    try:
        settings = create_app().config
        url = database_url(settings)
        if context.is_offline_mode():
            migrate(url=url)
        else:
            asyncio.run(migrate_online(url, settings["SQLALCHEMY_ENGINE_OPTIONS"]))
    except (ConfigError, OperationalError, OSError) as error:
        raise CommandError(" ".join(str(error).split())) from error


main()
