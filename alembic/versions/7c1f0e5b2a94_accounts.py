"""Accounts that one address identifies, alike on every database

Revision: 7c1f0e5b2a94
Follows: 3a542da63280
"""

from collections import defaultdict

import sqlalchemy as sa
from alembic import op
from alembic.util import CommandError
from sqlalchemy.dialects import mysql

from app.models.user import EMAIL_KEY_LENGTH, email_key

revision = "7c1f0e5b2a94"
down_revision = "3a542da63280"
branch_labels = None
depends_on = None

USER = sa.table("user", sa.column("id"), sa.column("email"), sa.column("email_key"), sa.column("active"))
ROLE = sa.table("role", sa.column("id"), sa.column("name"))
USER_ROLE = sa.table("user_role", sa.column("id"), sa.column("user_id"), sa.column("role_id"))
KEY = sa.String(320).with_variant(mysql.VARCHAR(320, charset="ascii", collation="ascii_bin"), "mysql", "mariadb")
ROLE_NAME = sa.String(30).with_variant(
    mysql.VARCHAR(30, charset="utf8mb4", collation="utf8mb4_bin"), "mysql", "mariadb"
)
ORIGINAL_UNIQUES = {"user": [["id"], ["email"], ["phone"]], "role": [["id"], ["name"]], "user_role": [["id"]]}
LINKS = [["user_id"], ["role_id"]]


def upgrade() -> None:
    refuse_what_cannot_be_carried_over()
    drop_constraints_of_the_original()
    if op.get_bind().dialect.name != "sqlite":
        for table in ORIGINAL_UNIQUES:  # which a server of 2020 may have made latin1
            op.execute(f"ALTER TABLE `{table}` CONVERT TO CHARACTER SET utf8mb4")
    upgrade_user()
    upgrade_roles()


def refuse_what_cannot_be_carried_over() -> None:
    """Stop before anything is changed: MySQL cannot take back a change of a table."""
    connection = op.get_bind()
    owners = defaultdict(list)
    for row in connection.execute(sa.select(USER.c.id, USER.c.email).order_by(USER.c.id)):
        owners[email_key(row.email or "")].append(row.id)
    problems = []
    if nameless := owners.pop("", []):
        problems.append(f"user {ids(nameless)} without an e-mail address")
    problems += [f"users {ids(rows)} share the address {key}" for key, rows in owners.items() if len(rows) > 1]
    problems += [
        f"the address of user {ids(rows)} is too long" for key, rows in owners.items() if len(key) > EMAIL_KEY_LENGTH
    ]
    if unnamed := connection.scalars(sa.select(ROLE.c.id).where(ROLE.c.name.is_(None))).all():
        problems.append(f"role {ids(list(unnamed))} without a name")
    if problems:
        raise CommandError(f"{'; '.join(problems)}. Mend these rows and run it again; nothing was changed.")


def ids(rows: list[int]) -> str:
    return ", ".join(map(str, rows))


def drop_constraints_of_the_original() -> None:
    inspector = sa.inspect(op.get_bind())
    links = [key["name"] for key in inspector.get_foreign_keys("user_role") if key["constrained_columns"] in LINKS]
    with op.batch_alter_table("user_role") as batch:
        for name in links:
            batch.drop_constraint(str(name), type_="foreignkey")
    for index in inspector.get_indexes("user_role"):
        if index["column_names"] in LINKS:  # which MySQL made for the foreign keys
            op.drop_index(str(index["name"]), "user_role")
    for table, columns in ORIGINAL_UNIQUES.items():
        uniques = [key["name"] for key in inspector.get_unique_constraints(table) if key["column_names"] in columns]
        with op.batch_alter_table(table) as batch:
            for name in uniques:
                batch.drop_constraint(str(name), type_="unique")


def upgrade_user() -> None:
    connection = op.get_bind()
    with op.batch_alter_table("user") as batch:
        batch.add_column(sa.Column("email_key", KEY))
    rows = connection.execute(sa.select(USER.c.id, USER.c.email)).all()
    if rows:
        connection.execute(
            sa.update(USER).where(USER.c.id == sa.bindparam("row")).values(email_key=sa.bindparam("key")),
            [{"row": row.id, "key": email_key(row.email)} for row in rows],
        )
    connection.execute(sa.update(USER).where(USER.c.active.is_(None)).values(active=False))
    with op.batch_alter_table("user") as batch:
        batch.alter_column("email", existing_type=sa.String(100), type_=sa.String(254), nullable=False)
        batch.alter_column("email_key", existing_type=KEY, nullable=False)
        batch.alter_column("password", existing_type=sa.String(200), type_=sa.String(255), existing_nullable=True)
        batch.alter_column("active", existing_type=sa.Boolean(), nullable=False)
        batch.create_unique_constraint("uq_user_email_key", ["email_key"])
        batch.create_unique_constraint("uq_user_phone", ["phone"])


def upgrade_roles() -> None:
    with op.batch_alter_table("role") as batch:
        batch.alter_column("name", existing_type=sa.String(30), type_=ROLE_NAME, nullable=False)
        batch.create_unique_constraint("uq_role_name", ["name"])
    delete_links_that_say_nothing()
    with op.batch_alter_table("user_role") as batch:
        batch.alter_column("user_id", existing_type=sa.Integer(), nullable=False)
        batch.alter_column("role_id", existing_type=sa.Integer(), nullable=False)
        batch.create_unique_constraint("uq_user_role_user_id_role_id", ["user_id", "role_id"])
        batch.create_index("ix_user_role_role_id", ["role_id"])
        batch.create_foreign_key("fk_user_role_user_id", "user", ["user_id"], ["id"], ondelete="CASCADE")
        batch.create_foreign_key("fk_user_role_role_id", "role", ["role_id"], ["id"], ondelete="CASCADE")


def delete_links_that_say_nothing() -> None:
    """Delete the rows of user_role that name nobody, or say again what another says."""
    connection = op.get_bind()
    first = sa.select(sa.func.min(USER_ROLE.c.id)).group_by(USER_ROLE.c.user_id, USER_ROLE.c.role_id)
    connection.execute(sa.delete(USER_ROLE).where(USER_ROLE.c.id.not_in(connection.scalars(first).all())))
    connection.execute(sa.delete(USER_ROLE).where(USER_ROLE.c.user_id.is_(None) | USER_ROLE.c.role_id.is_(None)))


def downgrade() -> None:
    with op.batch_alter_table("user_role") as batch:
        batch.drop_constraint("fk_user_role_user_id", type_="foreignkey")
        batch.drop_constraint("fk_user_role_role_id", type_="foreignkey")
        batch.drop_index("ix_user_role_role_id")
        batch.drop_constraint("uq_user_role_user_id_role_id", type_="unique")
        batch.alter_column("user_id", existing_type=sa.Integer(), nullable=True)
        batch.alter_column("role_id", existing_type=sa.Integer(), nullable=True)
        batch.create_unique_constraint("id", ["id"])
        batch.create_index("role_id", ["role_id"])
        batch.create_index("user_id", ["user_id"])
        batch.create_foreign_key("user_role_ibfk_1", "role", ["role_id"], ["id"])
        batch.create_foreign_key("user_role_ibfk_2", "user", ["user_id"], ["id"])
    with op.batch_alter_table("role") as batch:
        batch.drop_constraint("uq_role_name", type_="unique")
        batch.alter_column("name", existing_type=ROLE_NAME, type_=sa.String(30), nullable=True)
        batch.create_unique_constraint("name", ["name"])
        batch.create_unique_constraint("id", ["id"])
    with op.batch_alter_table("user") as batch:
        batch.drop_constraint("uq_user_email_key", type_="unique")
        batch.drop_constraint("uq_user_phone", type_="unique")
        batch.drop_column("email_key")
        batch.alter_column("email", existing_type=sa.String(254), type_=sa.String(100), nullable=True)
        batch.alter_column("password", existing_type=sa.String(255), type_=sa.String(200), existing_nullable=True)
        batch.alter_column("active", existing_type=sa.Boolean(), nullable=True)
        for column in ("id", "email", "phone"):
            batch.create_unique_constraint(column, [column])
