"""Runs the migrations on the database that the settings name."""

import asyncio
import logging
from typing import Any, Literal

from alembic import context
from alembic.operations.ops import (
    AddConstraintOp,
    CreateIndexOp,
    DropColumnOp,
    DropConstraintOp,
    DropIndexOp,
    DropTableOp,
    ModifyTableOps,
)
from alembic.util import CommandError
from sqlalchemy import Connection, LargeBinary, Text, event, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import OperationalError

from app import features
from app.app_factory import create_app
from app.lib.db.batch_migrations import DroppedWithTable
from app.lib.db.engine import make_engine
from app.lib.db.url import database_url
from app.lib.settings.loader import ConfigError
from app.models import Base
from app.models.base import DecimalNumber, UtcDateTime

LOCK_TIMEOUT_SECONDS = 10
# ALTER TABLE copies rows, and a database of the Flask boilerplate may contain the date 0000-00-00. The connections of
# the site refuse this date. The mode applies to every migration: do not write such dates in yours.
ALLOW_ZERO_DATES = "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'"
IN_USE = "Another run of Alembic is changing this database. Run the command again when it has finished."

MYSQL_SIZES = {"TINY": 255, "": 65_535, "MEDIUM": 16_777_215, "LONG": 4_294_967_295}  # bytes


def render_item(kind: str, item: Any, _autogen_context: Any) -> str | Literal[False]:
    """Write our types as those that the database has: a migration must not depend on a class that may change."""
    is_ours = kind == "type" and isinstance(item, UtcDateTime | DecimalNumber)
    return f"sa.{item.impl_instance!r}" if is_ours else False


def compare_type(context: Any, _reflected: Any, _column: Any, found: Any, wanted: Any) -> bool | None:
    """Return whether MySQL has another type than LargeBinary(n) or Text(n). None lets Alembic compare the types.

    MySQL replaces both by the smallest type that holds n, and forgets n.
    """
    if context.dialect.name == "sqlite" or not isinstance(wanted, LargeBinary | Text) or not wanted.length:
        return None
    kind, bytes_each = ("TEXT", 4) if isinstance(wanted, Text) else ("BLOB", 1)
    size = next(size for size, limit in MYSQL_SIZES.items() if wanted.length * bytes_each <= limit)
    return type(found).__name__ != f"{size}{kind}"


def order_for_mysql(_context: Any, _revision: Any, directives: list[Any]) -> None:
    """Reorder a generated migration: MySQL refuses to drop the only index that a foreign key can use."""
    for script in directives:
        for operations in (script.upgrade_ops, script.downgrade_ops):
            remove_indexes_of_dropped_tables(operations)
            for step in operations.ops:
                if isinstance(step, ModifyTableOps):
                    created = {name_of(each) for each in step.ops if isinstance(each, CreateIndexOp | AddConstraintOp)}
                    step.ops.sort(key=lambda each, created=created: rank(each, created))  # type: ignore[misc] # sort() is stable


def rank(operation: Any, created: set[str | None]) -> int:
    """Return the sort key of an operation: drop foreign keys first, indexes after the new ones, and columns last."""
    if isinstance(operation, DropConstraintOp) and operation.constraint_type == "foreignkey":
        return 0
    if isinstance(operation, DropConstraintOp | DropIndexOp) and name_of(operation) not in created:
        return 2
    return 3 if isinstance(operation, DropColumnOp) else 1


def name_of(operation: Any) -> str | None:
    name: str | None = getattr(operation, "index_name", None) or getattr(operation, "constraint_name", None)
    return name


def remove_indexes_of_dropped_tables(operations: Any) -> None:
    """Leave out the DROP INDEX before a DROP TABLE, which drops the indexes too."""
    dropped = {step.table_name for step in operations.ops if isinstance(step, DropTableOp)}
    operations.ops = [step for step in operations.ops if not is_within(step, dropped)]


def is_within(step: Any, tables: set[str]) -> bool:
    return isinstance(step, ModifyTableOps | DropIndexOp) and step.table_name in tables


def migrate(connection: Connection | None = None, *, url: URL | None = None) -> None:
    options: dict[str, Any] = {"connection": connection, "url": url, "literal_binds": connection is None}
    if connection is not None and connection.dialect.name == "sqlite":
        options["transactional_ddl"] = True  # SQLite can roll back DDL; Alembic assumes that it cannot
    features.import_models()
    context.configure(
        target_metadata=Base.metadata,
        render_as_batch=True,
        render_item=render_item,
        compare_type=compare_type,
        process_revision_directives=order_for_mysql,
        **options,
    )
    with context.begin_transaction():
        context.run_migrations()


def migrate_alone(connection: Connection) -> None:
    """Run the migrations while no other process does. Raises CommandError if one does not finish in time.

    After a killed run the server may still execute its last statement, and holds the lock until that is done. SQLite
    has locked the database at BEGIN.
    """
    if connection.dialect.name == "sqlite":
        DroppedWithTable(connection)
        migrate(connection)
        return
    lock = text("SELECT GET_LOCK(CONCAT('alembic ', MD5(DATABASE())), :timeout)")  # until the connection is closed
    if not connection.scalar(lock, {"timeout": LOCK_TIMEOUT_SECONDS}):
        raise CommandError(IN_USE)
    connection.execute(text(ALLOW_ZERO_DATES))
    migrate(connection)


def prepare_sqlite(connection: Any, _record: Any) -> None:
    """Let a batch migration drop and rename a table, which other tables and views refer to.

    With foreign keys on, the rows that refer to the table would be deleted. Without legacy_alter_table the renaming
    fails if a view selects from the table: https://www.sqlite.org/lang_altertable.html#otheralter
    """
    connection.execute("PRAGMA foreign_keys=OFF")
    connection.execute("PRAGMA legacy_alter_table=ON")


async def migrate_online(url: URL, options: dict[str, Any]) -> None:
    engine = make_engine(url, options)
    if url.get_backend_name() == "sqlite":
        event.listen(engine.sync_engine, "connect", prepare_sqlite)
    try:
        async with engine.begin() as connection:
            await connection.run_sync(migrate_alone)
    finally:
        await engine.dispose()


def main() -> None:
    if context.config.cmd_opts is not None:  # run by the `alembic` command: show each migration
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
