"""Everything that the accounts need beyond the tables of the Flask boilerplate

Revision: 7c1f0e5b2a94
Follows: 3a542da63280

MySQL and MariaDB commit each DDL statement, so an interrupted run leaves a half-migrated database. Each step therefore
compares the database with the tables below and does only what is missing: the same command completes the migration.
"""

import logging
import re
import warnings
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa
from alembic import op
from alembic.operations.base import BatchOperations
from alembic.util import CommandError
from sqlalchemy.dialects import mysql
from sqlalchemy.exc import DBAPIError

from app.lib.db import table_names
from app.lib.db.batch_migrations import COPY_PREFIX
from app.lib.db.sql_scripts import refuse_sql_script
from app.lib.email_address import email_key

revision = "7c1f0e5b2a94"
down_revision = "3a542da63280"
branch_labels = None
depends_on = None

logger = logging.getLogger("alembic.runtime.migration")

EMAIL_LENGTH, EMAIL_KEY_LENGTH, PASSWORD_LENGTH, ROLE_NAME_LENGTH = 254, 320, 255, 30
ORIGINAL_EMAIL_LENGTH = 100
MAX_IDS = 20  # in one message
ORIGINAL_PASSWORD_LENGTH = 200
INNODB: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4"}
CONTINUES = "No row is lost. Correct the cause and run the command again: it continues here."
# What a batch migration does not copy on SQLite. It copies named checks. Those of Booleans, which SQLAlchemy 1.3 wrote,
# are not needed.
UNCOPIED = re.compile(r"\b(CHECK|COLLATE|GENERATED|AS|STRICT|WITHOUT|CONFLICT|DEFERRABLE)\b", re.IGNORECASE)
# The parts of an index that it does not copy. The index of a primary or unique key is part of the table.
UNCOPIED_INDEXES = """
    SELECT DISTINCT list.name, CASE WHEN cid = -2 THEN 'an expression' WHEN "desc" THEN 'DESC' ELSE 'COLLATE' END
    FROM pragma_index_list(:table) AS list, pragma_index_xinfo(list.name)
    WHERE list.origin = 'c' AND key AND (cid = -2 OR "desc" OR coll != 'BINARY')
"""
COPIED = re.compile(r"CONSTRAINT \S+ CHECK|CHECK \(\w+ IN \(0, 1\)\)", re.IGNORECASE)
# MySQL stores 0000-00-00 and 2020-05-00, which Python cannot read.
IS_ZERO_DATE = "YEAR(created_on) * MONTH(created_on) * DAY(created_on) = 0"
# Names for the constraints that have none: SQLite can only drop a constraint by its name.
NAMES = {"uq": "uq_%(table_name)s_%(column_0_N_name)s", "fk": "fk_%(table_name)s_%(column_0_N_name)s"}


def case_sensitive_string(length: int, charset: str = "ascii") -> sa.types.TypeEngine[str]:
    """Return a string type compared character by character on MySQL too, which otherwise ignores case and accents."""
    binary = mysql.VARCHAR(length, charset=charset, collation=f"{charset}_bin")
    return sa.String(length).with_variant(binary, "mysql", "mariadb")


# The tables that the Flask boilerplate has, with the columns and constraints that this migration replaces.
ORIGINAL = sa.MetaData()
sa.Table(
    "user",
    ORIGINAL,
    sa.Column("id", sa.Integer(), primary_key=True),
    sa.Column("email", sa.String(ORIGINAL_EMAIL_LENGTH)),
    sa.Column("phone", sa.String(30)),
    sa.Column("password", sa.String(ORIGINAL_PASSWORD_LENGTH)),
    sa.Column("active", sa.Boolean()),
    sa.UniqueConstraint("id", name="id"),
    sa.UniqueConstraint("email", name="email"),
    sa.UniqueConstraint("phone", name="phone"),
)
sa.Table(
    "role",
    ORIGINAL,
    sa.Column("id", sa.Integer(), primary_key=True),
    sa.Column("name", sa.String(30)),
    sa.UniqueConstraint("id", name="id"),
    sa.UniqueConstraint("name", name="name"),
)
sa.Table(
    "user_role",
    ORIGINAL,
    sa.Column("id", sa.Integer(), primary_key=True),
    sa.Column("user_id", sa.Integer()),
    sa.Column("role_id", sa.Integer()),
    sa.UniqueConstraint("id", name="id"),
    sa.Index("role_id", "role_id"),
    sa.Index("user_id", "user_id"),
    sa.ForeignKeyConstraint(["role_id"], ["role.id"], name="user_role_ibfk_1"),
    sa.ForeignKeyConstraint(["user_id"], ["user.id"], name="user_role_ibfk_2"),
)

# The same three tables afterwards, and the new ones.
CURRENT = sa.MetaData()
USER = sa.Table(
    "user",
    CURRENT,
    sa.Column("id", sa.Integer(), primary_key=True),
    sa.Column("email", sa.String(EMAIL_LENGTH), nullable=False),
    sa.Column("email_key", case_sensitive_string(EMAIL_KEY_LENGTH), nullable=False),
    sa.Column("phone", sa.String(30)),
    sa.Column("password", sa.String(PASSWORD_LENGTH)),
    sa.Column("active", sa.Boolean(), nullable=False),
    sa.Column("created_on", sa.DateTime()),
    sa.Column("confirmed_on", sa.DateTime()),
    sa.Column("language", case_sensitive_string(20)),
    sa.UniqueConstraint("email_key", name="uq_user_email_key"),
    sa.UniqueConstraint("phone", name="uq_user_phone"),
    sqlite_autoincrement=True,
)
ROLE = sa.Table(
    "role",
    CURRENT,
    sa.Column("id", sa.Integer(), primary_key=True),
    sa.Column("name", case_sensitive_string(ROLE_NAME_LENGTH, "utf8mb4"), nullable=False),
    sa.UniqueConstraint("name", name="uq_role_name"),
)
USER_ROLE = sa.Table(
    "user_role",
    CURRENT,
    sa.Column("id", sa.Integer(), primary_key=True),
    sa.Column("user_id", sa.Integer(), nullable=False),
    sa.Column("role_id", sa.Integer(), nullable=False),
    sa.UniqueConstraint("user_id", "role_id", name="uq_user_role_user_id_role_id"),
    sa.Index("ix_user_role_role_id", "role_id"),
    sa.ForeignKeyConstraint(["user_id"], ["user.id"], name="fk_user_role_user_id", ondelete="CASCADE"),
    sa.ForeignKeyConstraint(["role_id"], ["role.id"], name="fk_user_role_role_id", ondelete="CASCADE"),
)
sa.Table(
    "user_session",
    CURRENT,
    sa.Column("id", sa.Integer(), primary_key=True),
    sa.Column("user_id", sa.Integer(), nullable=False),
    sa.Column("digest", case_sensitive_string(64), nullable=False),
    sa.Column("remember", sa.Boolean(), nullable=False),
    sa.Column("created_on", sa.DateTime(), nullable=False),
    sa.Column("last_seen_on", sa.DateTime(), nullable=False),
    sa.Column("expires_on", sa.DateTime(), nullable=False),
    sa.Column("authenticated_on", sa.DateTime(), nullable=False),
    sa.Column("ip", sa.String(45), nullable=False),
    sa.Column("user_agent", sa.String(255), nullable=False),
    sa.ForeignKeyConstraint(["user_id"], ["user.id"], name="fk_user_session_user_id", ondelete="CASCADE"),
    sa.UniqueConstraint("digest", name="uq_user_session_digest"),
    sa.Index("ix_user_session_user_id", "user_id"),
    sa.Index("ix_user_session_expires_on", "expires_on"),
    sqlite_autoincrement=True,
    **INNODB,
)
sa.Table(
    "user_token",
    CURRENT,
    sa.Column("id", sa.Integer(), primary_key=True),
    sa.Column("user_id", sa.Integer(), nullable=False),
    sa.Column("purpose", case_sensitive_string(20), nullable=False),
    sa.Column("digest", case_sensitive_string(64), nullable=False),
    sa.Column("email", sa.String(254), nullable=False),
    sa.Column("email_key", case_sensitive_string(EMAIL_KEY_LENGTH), nullable=False),
    sa.Column("created_on", sa.DateTime(), nullable=False),
    sa.Column("since", sa.DateTime()),
    sa.Column("expires_on", sa.DateTime(), nullable=False),
    sa.ForeignKeyConstraint(["user_id"], ["user.id"], name="fk_user_token_user_id", ondelete="CASCADE"),
    sa.UniqueConstraint("digest", name="uq_user_token_digest"),
    sa.Index("ix_user_token_user_id", "user_id"),
    sa.Index("ix_user_token_email_key", "email_key"),
    sa.Index("ix_user_token_expires_on", "expires_on"),
    sqlite_autoincrement=True,
    **INNODB,
)
sa.Table(
    "user_event",
    CURRENT,
    sa.Column("id", sa.Integer(), primary_key=True),
    sa.Column("user_id", sa.Integer(), nullable=False),
    sa.Column("event", case_sensitive_string(30), nullable=False),
    sa.Column("ip", sa.String(45), nullable=False),
    sa.Column("user_agent", sa.String(255), nullable=False),
    sa.Column("created_on", sa.DateTime(), nullable=False),
    sa.Column("expires_on", sa.DateTime(), nullable=False),
    sa.ForeignKeyConstraint(["user_id"], ["user.id"], name="fk_user_event_user_id", ondelete="CASCADE"),
    sa.Index("ix_user_event_user_id", "user_id"),
    sa.Index("ix_user_event_expires_on", "expires_on"),
    **INNODB,
)
sa.Table(
    "throttle",
    CURRENT,
    sa.Column("key", case_sensitive_string(64), primary_key=True),
    sa.Column("used", sa.Integer(), nullable=False),
    sa.Column("resets_on", sa.DateTime(), nullable=False),
    sa.Index("ix_throttle_resets_on", "resets_on"),
    **INNODB,
)
sa.Table(
    "mail",
    CURRENT,
    sa.Column("id", sa.Integer(), primary_key=True),
    sa.Column("user_id", sa.Integer()),
    sa.Column("template", case_sensitive_string(30), nullable=False),
    sa.Column("recipient", sa.String(254), nullable=False),
    sa.Column("language", case_sensitive_string(20)),
    sa.Column("purpose", case_sensitive_string(20)),
    sa.Column("secret", case_sensitive_string(64)),
    sa.Column("facts", sa.JSON(), nullable=False),
    sa.Column("created_on", sa.DateTime(), nullable=False),
    sa.Column("due_on", sa.DateTime()),
    sa.Column("tries", sa.Integer(), nullable=False),
    sa.Column("sent_on", sa.DateTime()),
    sa.Column("error", sa.String(200)),
    sa.Column("expires_on", sa.DateTime(), nullable=False),
    sa.Index("ix_mail_user_id", "user_id"),
    sa.Index("ix_mail_due_on", "due_on"),
    sa.Index("ix_mail_expires_on", "expires_on"),
    sqlite_autoincrement=True,
    **INNODB,
)

ADDED_COLUMNS = ("email_key", "confirmed_on", "language")  # to user, in this order
ALTERED_COLUMNS = {
    "user": ("id", "email", "email_key", "password", "active"),
    "role": ("id", "name"),
    "user_role": ("id", "user_id", "role_id"),
}


def upgrade() -> None:
    refuse_sql_script(op.get_context())
    refuse("tables", problems_of_tables())
    refuse("rows", problems_of_upgrade())
    for change in changes():
        logger.info("Will %s", change)
    for column in unfilled_columns():
        logger.warning("%s is NOT NULL without a default: until a model has it, no row can be added", column)
    try:
        with without_triggers():
            change_tables()
    except DBAPIError as error:
        raise CommandError(f"{error.orig}. {CONTINUES if is_mysql() else 'Nothing was changed.'}") from error


def change_tables() -> None:
    drop_constraints(ORIGINAL, CURRENT)
    convert_tables()
    add_columns()
    fill_columns()
    delete_redundant_user_roles()
    alter_columns(CURRENT)
    CURRENT.create_all(op.get_bind())
    create_constraints(CURRENT)


def downgrade() -> None:
    """Return to the tables of the Flask boilerplate. Sessions, tokens, the outbox and the audit log are deleted."""
    refuse_sql_script(op.get_context())
    refuse("rows", problems_of_downgrade())
    new_tables = [table for table in CURRENT.sorted_tables if table.name not in ORIGINAL.tables]
    CURRENT.drop_all(op.get_bind(), tables=new_tables)
    drop_constraints(CURRENT, ORIGINAL)
    drop_columns()
    alter_columns(ORIGINAL)
    create_constraints(ORIGINAL)


# Checks, before anything is changed


def is_mysql() -> bool:
    return op.get_bind().dialect.name != "sqlite"


def refuse(kind: str, problems: list[str]) -> None:
    if problems:
        raise CommandError(f"{'; '.join(problems)}. Fix these {kind} and run the command again; nothing was changed.")


def problems_of_tables() -> list[str]:
    """Return what the upgrade would lose or cannot do. A half-migrated database has none of it."""
    inspector = sa.inspect(op.get_bind())
    new = [table for table in CURRENT.sorted_tables if table.name not in ORIGINAL.tables]
    names = table_names.taken_names(op.get_bind(), new)
    problems = [*column_problems(inspector), *names, *references_to_dropped_keys()]
    return [*problems, *(problems_of_mysql if is_mysql() else problems_of_sqlite)(inspector)]


def column_problems(inspector: sa.Inspector) -> Iterator[str]:
    existing = {column["name"].lower(): column for column in inspector.get_columns("user")}
    for number, name in enumerate(ADDED_COLUMNS):
        if name in existing:
            is_from_interrupted_run = is_mysql() and set(ADDED_COLUMNS[:number]) <= set(existing)
            if not is_from_interrupted_run or not has_type(USER.c[name], existing[name]):
                yield f"the table user has a column {name} of its own, {existing[name]['type']}: rename it"
    for table in ORIGINAL.tables:
        kind = next(column["type"] for column in inspector.get_columns(table) if column["name"] == "id")
        if not isinstance(kind, sa.Integer) or isinstance(kind, sa.BigInteger) or getattr(kind, "unsigned", False):
            yield f"{table}.id is {kind!r} instead of a signed INTEGER: change it, and the keys that refer to it"


def references_to_dropped_keys() -> Iterator[str]:
    for table, key in references_to_originals():
        if [name.lower() for name in key["referred_columns"]] != ["id"]:
            referred = f"{key['referred_table']}.{key['referred_columns'][0]}"
            yield f"a foreign key of {table} refers to {referred}, whose key changes: let it refer to the id"


def references_to_originals() -> Iterator[tuple[str, sa.engine.interfaces.ReflectedForeignKeyConstraint]]:
    """Yield each foreign key that refers to an original table, with the name of its own table."""
    inspector = sa.inspect(op.get_bind())
    for table in inspector.get_table_names():
        for key in inspector.get_foreign_keys(table):
            is_local = key["referred_schema"] is None  # MySQL can refer to another database
            if is_local and key["referred_table"].lower() in ORIGINAL.tables:  # SQLite keeps the case
                yield table, key


def trigger_problems() -> Iterator[str]:
    """Yield the triggers of MySQL that would run for the rows which the upgrade changes."""
    query = sa.text(
        "SELECT trigger_name, event_object_table, event_manipulation FROM information_schema.triggers"
        " WHERE trigger_schema = DATABASE() ORDER BY trigger_name"
    )
    advice = "drop it, and create it again after the upgrade"
    for name, table, event in op.get_bind().execute(query):
        if (table in ORIGINAL.tables and event == "UPDATE") or (table, event) == ("user_role", "DELETE"):
            yield f"the trigger {name} of {table} would run: {advice}"


@contextmanager
def without_triggers() -> Iterator[None]:
    """Drop the triggers of SQLite, which would run for the changed rows, and create them again, in one transaction."""
    connection, query = op.get_bind(), "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"
    triggers = [] if is_mysql() else connection.exec_driver_sql(query).all()
    for trigger in triggers:
        connection.exec_driver_sql(f"DROP TRIGGER {connection.dialect.identifier_preparer.quote(trigger.name)}")
    yield
    for trigger in triggers:
        connection.exec_driver_sql(trigger.sql)


def problems_of_mysql(inspector: sa.Inspector) -> Iterator[str]:
    yield from trigger_problems()
    for table in ORIGINAL.tables:
        converted_columns = columns_in_other_charset(table)
        for key in inspector.get_foreign_keys(table):
            if set(key["constrained_columns"]) & set(converted_columns):
                yield f"the foreign key {key['name']} of {table} has a column that becomes utf8mb4: drop the key"


def problems_of_sqlite(inspector: sa.Inspector) -> Iterator[str]:
    tables = {name.lower() for name in inspector.get_table_names()}
    for table in ORIGINAL.tables:
        if (copy := f"{COPY_PREFIX}{table}") in tables:
            yield f"the table {copy} is left from another migration: drop it"
        for key in inspector.get_foreign_keys(table):
            if key["referred_table"].lower() not in tables:
                yield f"a foreign key of {table} refers to the missing table {key['referred_table']}: remove the key"
    yield from uncopied_columns(inspector)
    yield from uncopied_parts()


def uncopied_columns(inspector: sa.Inspector) -> Iterator[str]:
    for table in ORIGINAL.tables:
        for column in inspector.get_columns(table):
            if isinstance(column["type"], sa.types.NullType):
                yield f"{table}.{column['name']} has no type, or one that cannot be copied: declare it as BLOB"


def uncopied_parts() -> Iterator[str]:
    """Yield what a batch migration loses on SQLite: it creates the table again, as SQLAlchemy reflects it."""
    lost = "the upgrade would lose {} in the {} {}: create it without that"
    definitions = sa.text("SELECT name, sql FROM sqlite_master WHERE type = 'table'")
    for table, statement in op.get_bind().execute(definitions):
        found = UNCOPIED.search(COPIED.sub("", statement.partition("(")[2]))
        if table in ORIGINAL.tables and found:
            yield lost.format(found[0], "table", table)
    for table in ORIGINAL.tables:
        for index, part in op.get_bind().execute(sa.text(UNCOPIED_INDEXES), {"table": table}):
            yield lost.format(part, "index", index)


def changes() -> Iterator[str]:
    """Return what the upgrade does to existing rows and tables, beyond new columns and keys."""
    connection = op.get_bind()
    for table in ORIGINAL.tables if is_mysql() else ():
        if has_other_charset(table) or not has_current_format(table):
            yield f"convert the table {table} to utf8mb4, InnoDB and the row format DYNAMIC"
    if redundant := ids(redundant_user_roles()):
        yield f"delete the rows of user_role that repeat another, or have no user or no role: {redundant}"
    if inactive := ids(connection.scalars(sa.select(USER.c.id).where(USER.c.active.is_(None))).all()):
        yield f"deactivate the users whose `active` is NULL: {inactive}"


def unfilled_columns() -> Iterator[str]:
    """Yield the added columns that need a value in each new row: NOT NULL, and without a default."""
    inspector = sa.inspect(op.get_bind())
    for table in ORIGINAL.tables:
        for column in inspector.get_columns(table):
            is_optional = column["nullable"] or column["default"] is not None or column.get("computed")
            if not is_optional and column["name"] not in CURRENT.tables[table].columns:
                yield f"{table}.{column['name']}"


def problems_of_upgrade() -> list[str]:
    """Return what is wrong with the rows. Uses original columns only, which a half-migrated database has too."""
    return [*binary_problems()] or [
        *email_problems(),
        *phone_problems(),
        *role_problems(),
        *user_role_problems(),
        *repetition_problems(),
        *orphan_problems(),
        *too_long_values(),
        *([*own_key_problems(), *zero_date_problems()] if is_mysql() else date_problems()),
    ]


def binary_problems() -> Iterator[str]:
    """Yield the rows with bytes instead of text. SQLite stores them in any column, and Python cannot compare them."""
    for column in (USER.c.email, USER.c.phone, USER.c.password, ROLE.c.name) if not is_mysql() else ():
        found = sa.select(column.table.c.id).where(sa.func.typeof(column) == "blob").order_by(column.table.c.id)
        if rows := op.get_bind().scalars(found).all():
            yield f"{column} is not text: {ids(rows)}"


def email_problems() -> list[str]:
    owners = defaultdict(list)
    for row in op.get_bind().execute(sa.select(USER.c.id, USER.c.email).order_by(USER.c.id)):
        owners[email_key(row.email or "")].append(row.id)
    missing = owners.pop("", [])
    problems = [f"users without an e-mail address: {ids(missing)}"] if missing else []
    for key, users in owners.items():
        if len(users) > 1:
            problems.append(f"users with the same e-mail address {key}: {ids(users)}")
        if len(key) > EMAIL_KEY_LENGTH:
            problems.append(f"users with a too long e-mail address: {ids(users)}")
    return problems


def phone_problems() -> list[str]:
    return [f"users with the same phone number: {users}" for users in duplicates(USER, in_utf8mb4(USER.c.phone))]


def own_key_problems() -> Iterator[str]:
    """Yield the rows that violate a unique key of the site after the conversion of its columns."""
    for table in ORIGINAL.tables:
        converted = columns_in_other_charset(table)
        replaced = [list(item.columns) for item in items_of(ORIGINAL.tables[table])]
        for key in sa.inspect(op.get_bind()).get_unique_constraints(table):
            if key["column_names"] not in replaced and set(key["column_names"]) & set(converted):
                columns: list[sa.ColumnClause[str]] = [sa.column(name) for name in key["column_names"]]
                values = [in_utf8mb4(column) if column.name in converted else column for column in columns]
                for rows in duplicates(sa.table(table, sa.column("id")), *values):
                    yield f"rows of {table} with the same {', '.join(key['column_names'])} in utf8mb4: {rows}"


def role_problems() -> list[str]:
    connection = op.get_bind()
    missing = connection.scalars(sa.select(ROLE.c.id).where(ROLE.c.name.is_(None))).all()
    problems = [f"roles without a name: {ids(missing)}"] if missing else []
    name = in_utf8mb4(ROLE.c.name)
    if is_mysql():
        name = sa.collate(name, "utf8mb4_bin")
    return problems + [f"roles with the same name: {roles}" for roles in duplicates(ROLE, name)]


def user_role_problems() -> list[str]:
    """Return the rows of deleted users and roles: SQLite would give their roles to the next user with that id."""
    has_no_user = USER_ROLE.c.user_id.is_not(None) & USER_ROLE.c.user_id.not_in(sa.select(USER.c.id))
    has_no_role = USER_ROLE.c.role_id.is_not(None) & USER_ROLE.c.role_id.not_in(sa.select(ROLE.c.id))
    orphans = op.get_bind().scalars(sa.select(USER_ROLE.c.id).where(has_no_user | has_no_role)).all()
    return [f"rows of user_role whose user or role does not exist: {ids(orphans)}"] if orphans else []


def repetition_problems() -> Iterator[str]:
    """Yield the rows of user_role that repeat another, except for a column that the site added."""
    groups = defaultdict(list)
    for row in op.get_bind().execute(sa.text("SELECT * FROM user_role ORDER BY id")).mappings():
        groups[row["user_id"], row["role_id"]].append(dict(row))
    for (user, role), repeated in groups.items():
        if None not in {user, role} and not all(has_same_own_columns(row, repeated[0]) for row in repeated):
            numbers = ids([row["id"] for row in repeated])
            yield f"rows of user_role with the same user and role, and differences in other columns: {numbers}"


def has_same_own_columns(row: dict[str, Any], other: dict[str, Any]) -> bool:
    return all(value == other[name] for name, value in row.items() if name not in {"id", "created_on"})


def orphan_problems() -> Iterator[str]:
    """Yield the rows of other tables that belong to a deleted user or role: a new user could get the same id."""
    for table, key in references_to_originals():
        (column,) = key["constrained_columns"]
        if (table, column) not in {("user_role", "user_id"), ("user_role", "role_id")}:  # user_role_problems()
            referring: sa.ColumnClause[int] = sa.column(column)
            referred = sa.table(key["referred_table"], sa.column("id"))
            is_orphan = referring.is_not(None) & referring.not_in(sa.select(referred.c.id))
            found = sa.select(referring).distinct().select_from(sa.table(table)).where(is_orphan).order_by(referring)
            if missing := op.get_bind().scalars(found).all():
                yield f"{table}.{column} refers to rows of {referred.name} that do not exist: {ids(missing)}"


def too_long_values() -> list[str]:
    """Return the rows with a value that is too long for the new column. The site may have widened the old one."""
    limits = {USER.c.email: EMAIL_LENGTH, USER.c.password: PASSWORD_LENGTH, ROLE.c.name: ROLE_NAME_LENGTH}
    problems = []
    for column, limit in limits.items():
        found = sa.select(column.table.c.id).where(length(column) > limit).order_by(column.table.c.id)
        if rows := op.get_bind().scalars(found).all():
            problems.append(f"{column} of more than {limit} characters: {ids(rows)}")
    return problems


def zero_date_problems() -> Iterator[str]:
    for table in ORIGINAL.tables:
        found = op.get_bind().scalars(sa.text(f"SELECT id FROM `{table}` WHERE {IS_ZERO_DATE} ORDER BY id")).all()
        if found and not columns_in_database(table)["created_on"]["nullable"]:
            yield f"{table}.created_on is NOT NULL, and has dates that become NULL: {ids(found)}"


def date_problems() -> Iterator[str]:
    """Yield the rows whose date is a number, or a text that SQLAlchemy cannot read. SQLite checks no types."""
    for table in ORIGINAL.tables:
        stored = op.get_bind().execute(sa.text(f"SELECT id, created_on FROM {table} ORDER BY id"))
        if rows := [row.id for row in stored if not is_date(row.created_on)]:
            yield f"{table}.created_on is not a date: {ids(rows)}"


def is_date(value: Any) -> bool:
    """Return whether the model can read a value of SQLite."""
    try:
        return value is None or bool(datetime.fromisoformat(value))
    except (TypeError, ValueError):
        return False


def length(column: sa.Column[str]) -> sa.ColumnElement[int]:
    """Return the number of characters."""
    return (sa.func.char_length if is_mysql() else sa.func.length)(column)


def problems_of_downgrade() -> list[str]:
    """Return the rows that do not fit into the original's columns and unique constraints."""
    too_long = (length(USER.c.email) > ORIGINAL_EMAIL_LENGTH) | (length(USER.c.password) > ORIGINAL_PASSWORD_LENGTH)
    users = op.get_bind().scalars(sa.select(USER.c.id).where(too_long)).all()
    return [
        *([f"users with a too long e-mail address or password hash: {ids(users)}"] if users else []),
        *(f"users with the same e-mail address: {users}" for users in duplicates(USER, USER.c.email)),
        *(f"roles with the same name: {roles}" for roles in duplicates(ROLE, in_utf8mb4(ROLE.c.name))),
    ]


def ids(rows: Sequence[int]) -> str:
    more = f" and {len(rows) - MAX_IDS} more" if len(rows) > MAX_IDS else ""
    return ", ".join(map(str, rows[:MAX_IDS])) + more


def in_utf8mb4(column: sa.ColumnElement[str]) -> sa.ColumnElement[str]:
    """Return a column as it will be compared: MySQL treats other characters as equal in another character set."""
    if not is_mysql():
        return column
    return sa.func.convert(column.op("USING")(sa.literal_column("utf8mb4")))


def duplicates(table: sa.TableClause, *values: sa.ColumnElement[str]) -> Sequence[str]:
    """Return the ids of the rows with the same values, "1,2", for each set of values that several rows have."""
    in_row = sa.and_(*(value.is_not(None) for value in values))
    several = sa.select(sa.func.group_concat(table.c.id)).where(in_row).group_by(*values).having(sa.func.count() > 1)
    return [",".join(sorted(filter(None, rows.split(",")), key=int)) for rows in op.get_bind().scalars(several)]


# Data


def fill_columns() -> None:
    connection = op.get_bind()
    rows = connection.execute(sa.select(USER.c.id, USER.c.email, USER.c.email_key)).all()
    keys = [{"row": row.id, "key": key} for row in rows if (key := email_key(row.email)) != row.email_key]
    if keys:
        by_id = sa.update(USER).where(USER.c.id == sa.bindparam("row"))
        connection.execute(by_id.values(email_key=sa.bindparam("key")), keys)
    connection.execute(sa.update(USER).where(USER.c.active.is_(None)).values(active=False))
    for table in ORIGINAL.tables if is_mysql() else ():
        connection.execute(sa.text(f"UPDATE `{table}` SET created_on = NULL WHERE {IS_ZERO_DATE}"))
    # Existing users stay able to log in if the site requires confirmed e-mail addresses from now on.
    confirmed_on = sa.func.coalesce(USER.c.created_on, sa.func.current_timestamp())
    connection.execute(sa.update(USER).where(USER.c.confirmed_on.is_(None)).values(confirmed_on=confirmed_on))


def delete_redundant_user_roles() -> None:
    if redundant := [{"row": row} for row in redundant_user_roles()]:
        op.get_bind().execute(sa.delete(USER_ROLE).where(USER_ROLE.c.id == sa.bindparam("row")), redundant)


def redundant_user_roles() -> list[int]:
    """Return the rows of user_role that have no user or no role, and those that repeat an earlier row."""
    seen: set[tuple[int | None, int | None]] = set()
    redundant = []
    for row in op.get_bind().execute(sa.select(USER_ROLE).order_by(USER_ROLE.c.id)):
        pair = (row.user_id, row.role_id)
        if None in pair or pair in seen:
            redundant.append(row.id)
        seen.add(pair)
    return redundant


# Tables: each function does what is not done yet


class Item(NamedTuple):
    """A foreign key, an index or a unique constraint."""

    kind: str
    name: str | None  # None on SQLite, if the statement that created the table gave none
    columns: tuple[str | None, ...]


def items_in_database(table: str) -> list[Item]:
    """Return them in the order in which MySQL allows dropping them: a foreign key needs its index."""
    inspector = sa.inspect(op.get_bind())
    keys, indexes = inspector.get_foreign_keys(table), inspector.get_indexes(table)
    return [
        *(Item("foreignkey", key["name"], tuple(key["constrained_columns"])) for key in keys),
        *(Item("index", index["name"], tuple(index["column_names"])) for index in indexes if not index["unique"]),
        *(Item("unique", key["name"], tuple(key["column_names"])) for key in inspector.get_unique_constraints(table)),
    ]


def items_of(table: sa.Table) -> list[Item]:
    """Return them in the order in which MySQL should create them: a foreign key creates an index if it finds none."""
    uniques = [key for key in table.constraints if isinstance(key, sa.UniqueConstraint)]
    return [
        *sorted(Item("unique", str(key.name), tuple(key.columns.keys())) for key in uniques),
        *sorted(Item("index", str(index.name), tuple(index.columns.keys())) for index in table.indexes),
        *sorted(Item("foreignkey", str(key.name), tuple(key.column_keys)) for key in table.foreign_key_constraints),
    ]


@contextmanager
def altered(table: sa.Table) -> Iterator[BatchOperations]:
    batch_alter = op.batch_alter_table(table.name, naming_convention=NAMES, table_kwargs=dict(table.kwargs))
    # Warnings of checks that are not copied: uncopied_parts() refuses those that are needed.
    with warnings.catch_warnings(action="ignore", category=UserWarning), batch_alter as batch:
        yield batch


def drop_constraints(old: sa.MetaData, new: sa.MetaData) -> None:
    """Drop what the old tables have and the new ones do not. Compares columns: the names differ between servers."""
    for table in reversed(ORIGINAL.sorted_tables):  # foreign keys before the unique constraints that they refer to
        outdated = {(item.kind, item.columns) for item in items_of(old.tables[table.name])}
        wanted = items_of(new.tables[table.name])
        with altered(new.tables[table.name]) as batch:
            for item in items_in_database(table.name):
                if (item.kind, item.columns) in outdated and item not in wanted:
                    drop(batch, table.name, item)


def drop(batch: BatchOperations, table: str, item: Item) -> None:
    if item.kind == "index":
        batch.drop_index(str(item.name))
    else:
        prefix = "uq" if item.kind == "unique" else "fk"
        name = item.name or "_".join([prefix, table, *map(str, item.columns)])
        batch.drop_constraint(name, type_=item.kind)


def create_constraints(new: sa.MetaData) -> None:
    for table in new.sorted_tables:
        existing = items_in_database(table.name)
        with altered(table) as batch:
            for item in items_of(table):
                if item not in existing:
                    create(batch, table, item)


def create(batch: BatchOperations, table: sa.Table, item: Item) -> None:
    name, columns = str(item.name), [str(column) for column in item.columns]
    if item.kind == "unique":
        batch.create_unique_constraint(name, columns)
    elif item.kind == "index":
        batch.create_index(name, columns)
    else:
        (key,) = [key for key in table.foreign_key_constraints if key.name == name]
        batch.create_foreign_key(name, key.referred_table.name, columns, ["id"], ondelete=key.ondelete)


def convert_tables() -> None:
    """Convert the original tables, which an old server may have created with latin1, or without transactions.

    The old row formats COMPACT and REDUNDANT allow an index 767 bytes of a column, too few for a wider e-mail address.

    Columns that were added keep their character set: their keys and collations depend on it.
    """
    for table in ORIGINAL.tables if is_mysql() else ():
        if not has_current_format(table):
            op.execute(f"ALTER TABLE `{table}` ENGINE=InnoDB ROW_FORMAT=DYNAMIC")
        if has_other_charset(table):
            convert_to_utf8mb4(table)


def convert_to_utf8mb4(name: str) -> None:
    """Convert the original's columns of a table in one statement, which copies the table once."""
    existing = columns_in_database(name)
    columns = [converted(existing[column]) for column in columns_in_other_charset(name)]
    sa.Table(name, sa.MetaData(), *columns)
    connection = op.get_bind()
    changes = [f"MODIFY {sa.schema.CreateColumn(column).compile(connection)}" for column in columns]
    connection.exec_driver_sql(f"ALTER TABLE `{name}` {', '.join(['DEFAULT CHARACTER SET utf8mb4', *changes])}")


def converted(column: sa.engine.interfaces.ReflectedColumn) -> sa.Column[str]:
    kind: Any = column["type"]
    kind.charset, kind.collation = "utf8mb4", None
    kept = {key.removeprefix("existing_"): value for key, value in kept_attributes(column).items()}
    return sa.Column(column["name"], kind, nullable=column["nullable"], **kept)


def kept_attributes(column: sa.engine.interfaces.ReflectedColumn) -> dict[str, Any]:
    """Return what MySQL would remove from a column that is altered without it."""
    default = column["default"]
    return {
        "existing_server_default": None if default in {None, "NULL"} else sa.literal_column(str(default)),
        "existing_comment": column.get("comment"),
    }


def has_current_format(table: str) -> bool:
    query = sa.text(
        "SELECT 1 FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = :table"
        " AND engine = 'InnoDB' AND row_format IN ('Dynamic', 'Compressed')"
    )
    return op.get_bind().scalar(query, {"table": table}) is not None


def has_other_charset(table: str) -> bool:
    """Return whether a table, or one of the original's columns, has another character set."""
    found = sa.text(
        "SELECT table_collation FROM information_schema.tables"
        " WHERE table_schema = DATABASE() AND table_name = :table AND table_collation NOT LIKE 'utf8mb4%'"
    )
    return op.get_bind().scalar(found, {"table": table}) is not None or bool(columns_in_other_charset(table))


def columns_in_other_charset(table: str) -> Sequence[str]:
    """Return the original's columns that are to be converted."""
    found = sa.text(
        "SELECT column_name FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = :table"
        " AND column_name IN ('name', 'email', 'phone', 'password', 'description') AND character_set_name != 'utf8mb4'"
    )
    return op.get_bind().scalars(found, {"table": table}).all()


def columns_in_database(table: str) -> dict[str, sa.engine.interfaces.ReflectedColumn]:
    return {column["name"]: column for column in sa.inspect(op.get_bind()).get_columns(table)}


def add_columns() -> None:
    existing = columns_in_database("user")
    for name in ADDED_COLUMNS:
        if name not in existing:
            op.add_column("user", sa.Column(name, USER.c[name].type))


def drop_columns() -> None:
    existing = columns_in_database("user")
    with altered(USER) as batch:
        for name in ADDED_COLUMNS:
            if name in existing:
                batch.drop_column(name)


def alter_columns(new: sa.MetaData) -> None:
    for table_name, names in ALTERED_COLUMNS.items():
        table, existing = new.tables[table_name], columns_in_database(table_name)
        with altered(table) as batch:
            for column in table.columns:
                if column.name in names and not is_altered(column, existing[column.name]):
                    found = existing[column.name]
                    wanted: dict[str, Any] = {"type_": column.type, "nullable": column.nullable}
                    batch.alter_column(column.name, existing_type=found["type"], **wanted, **kept_attributes(found))


def is_altered(column: sa.Column[str], existing: sa.engine.interfaces.ReflectedColumn) -> bool:
    return has_type(column, existing) and existing["nullable"] == column.nullable


def has_type(column: sa.Column[str], existing: sa.engine.interfaces.ReflectedColumn) -> bool:
    wanted, found = column.type.dialect_impl(op.get_bind().dialect), existing["type"]
    if isinstance(wanted, sa.DateTime) != isinstance(found, sa.DateTime):
        return False
    keys = ("length", "collation")
    return all(getattr(wanted, key, None) in {None, getattr(found, key, None)} for key in keys)
