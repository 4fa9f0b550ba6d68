"""Addresses that are confirmed, links that were mailed, mails to send, and what happened to an account

Revision: f4c8b2d91e07
Follows: e5d1a7c40b36
"""

from typing import Literal

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "f4c8b2d91e07"
down_revision = "e5d1a7c40b36"
branch_labels = None
depends_on = None

USER = sa.table("user", sa.column("created_on"), sa.column("confirmed_on"))


def upgrade() -> None:
    # On SQLite the table is built again, so that the number of an account that is gone is never given again.
    again: Literal["always", "never"] = "always" if op.get_context().dialect.name == "sqlite" else "never"
    with op.batch_alter_table("user", recreate=again, table_kwargs={"sqlite_autoincrement": True}) as batch:
        batch.add_column(sa.Column("confirmed_on", sa.DateTime(), nullable=True))
    # Whoever has an account keeps it, also where addresses have to be confirmed from now on.
    op.execute(sa.update(USER).values(confirmed_on=sa.func.coalesce(USER.c.created_on, sa.func.current_timestamp())))
    create_user_token()
    create_user_event()
    create_mail()


def create_user_token() -> None:
    op.create_table(
        "user_token",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("purpose", exact(20), nullable=False),
        sa.Column("digest", exact(64), nullable=False),
        sa.Column("email", sa.String(254), nullable=False),
        sa.Column("email_key", exact(320), nullable=False),
        sa.Column("created_on", sa.DateTime(), nullable=False),
        sa.Column("expires_on", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["user.id"], name="fk_user_token_user_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("digest", name="uq_user_token_digest"),
        mysql_engine="InnoDB",
        mysql_charset="utf8mb4",
        sqlite_autoincrement=True,
    )
    index("user_token", "user_id", "email_key", "expires_on")


def create_user_event() -> None:
    op.create_table(
        "user_event",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("event", exact(30), nullable=False),
        sa.Column("ip", sa.String(45), nullable=False),
        sa.Column("user_agent", sa.String(255), nullable=False),
        sa.Column("created_on", sa.DateTime(), nullable=False),
        sa.Column("expires_on", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["user.id"], name="fk_user_event_user_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        mysql_engine="InnoDB",
        mysql_charset="utf8mb4",
    )
    index("user_event", "user_id", "expires_on")


def create_mail() -> None:
    op.create_table(
        "mail",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=True),
        sa.Column("template", exact(30), nullable=False),
        sa.Column("recipient", sa.String(254), nullable=False),
        sa.Column("purpose", exact(20), nullable=True),
        sa.Column("secret", exact(64), nullable=True),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.Column("created_on", sa.DateTime(), nullable=False),
        sa.Column("due_on", sa.DateTime(), nullable=True),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("sent_on", sa.DateTime(), nullable=True),
        sa.Column("error", sa.String(200), nullable=True),
        sa.Column("expires_on", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        mysql_engine="InnoDB",
        mysql_charset="utf8mb4",
        sqlite_autoincrement=True,
    )
    index("mail", "user_id", "due_on", "expires_on")


def exact(length: int) -> sa.types.TypeEngine[str]:
    binary = mysql.VARCHAR(length, charset="ascii", collation="ascii_bin")
    return sa.String(length).with_variant(binary, "mysql", "mariadb")


def index(table: str, *columns: str) -> None:
    for column in columns:
        op.create_index(f"ix_{table}_{column}", table, [column])


def downgrade() -> None:
    for table in ("mail", "user_event", "user_token"):
        op.drop_table(table)
    with op.batch_alter_table("user") as batch:
        batch.drop_column("confirmed_on")
