"""The tables of features/second_factor

Revision: a1c5d27e9b10
Follows: 7c1f0e5b2a94

MySQL and MariaDB commit each DDL statement. Each step therefore does only what is missing, so the same command
completes an interrupted run.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from app.lib.db import table_names
from app.lib.db.sql_scripts import refuse_sql_script

revision = "a1c5d27e9b10"
down_revision = "7c1f0e5b2a94"
branch_labels = None
depends_on = None

INNODB: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4"}
TABLES = sa.MetaData()
sa.Table("user", TABLES, sa.Column("id", sa.Integer(), primary_key=True))


def ascii_string(length: int) -> sa.types.TypeEngine[str]:
    """Return a string type compared character by character on MySQL too."""
    binary = mysql.VARCHAR(length, charset="ascii", collation="ascii_bin")
    return sa.String(length).with_variant(binary, "mysql", "mariadb")


SECOND_FACTOR = sa.Table(
    "second_factor",
    TABLES,
    sa.Column("id", sa.Integer(), primary_key=True),
    sa.Column("user_id", sa.Integer(), nullable=False),
    sa.Column("secret", ascii_string(255), nullable=False),
    sa.Column("last_step", sa.Integer(), nullable=False),
    sa.Column("wrong_codes", sa.Integer(), nullable=False),
    sa.Column("created_on", sa.DateTime(), nullable=False),
    sa.ForeignKeyConstraint(["user_id"], ["user.id"], name="fk_second_factor_user_id", ondelete="CASCADE"),
    sa.UniqueConstraint("user_id", name="uq_second_factor_user_id"),
    **INNODB,
)
RECOVERY_CODE = sa.Table(
    "recovery_code",
    TABLES,
    sa.Column("id", sa.Integer(), primary_key=True),
    sa.Column("user_id", sa.Integer(), nullable=False),
    sa.Column("number", sa.Integer(), nullable=False),
    sa.Column("hash", sa.String(255), nullable=False),
    sa.Column("created_on", sa.DateTime(), nullable=False),
    sa.ForeignKeyConstraint(["user_id"], ["user.id"], name="fk_recovery_code_user_id", ondelete="CASCADE"),
    sa.UniqueConstraint("user_id", "number", name="uq_recovery_code_user_id_number"),
    **INNODB,
)
LOGIN_ATTEMPT = sa.Table(
    "login_attempt",
    TABLES,
    sa.Column("id", sa.Integer(), primary_key=True),
    sa.Column("user_id", sa.Integer(), nullable=False),
    sa.Column("digest", ascii_string(64), nullable=False),
    sa.Column("password_digest", ascii_string(64), nullable=False),
    sa.Column("remember", sa.Boolean(), nullable=False),
    sa.Column("target", ascii_string(2000), nullable=False),
    sa.Column("tries", sa.Integer(), nullable=False),
    sa.Column("created_on", sa.DateTime(), nullable=False),
    sa.Column("expires_on", sa.DateTime(), nullable=False),
    sa.ForeignKeyConstraint(["user_id"], ["user.id"], name="fk_login_attempt_user_id", ondelete="CASCADE"),
    sa.UniqueConstraint("digest", name="uq_login_attempt_digest"),
    sa.Index("ix_login_attempt_user_id", "user_id"),
    sa.Index("ix_login_attempt_expires_on", "expires_on"),
    **INNODB,
)
CREATED = [SECOND_FACTOR, RECOVERY_CODE, LOGIN_ATTEMPT]


def upgrade() -> None:
    refuse_sql_script(op.get_context())
    connection = op.get_bind()
    table_names.refuse_taken_names(connection, CREATED)
    TABLES.create_all(connection, tables=CREATED)
    for index in LOGIN_ATTEMPT.indexes:
        index.create(connection, checkfirst=True)


def downgrade() -> None:
    refuse_sql_script(op.get_context())
    TABLES.drop_all(op.get_bind(), tables=CREATED)
