"""Passkeys, the handles of their users, and the challenges that were used

Revision: b2d8e36fa0c4
Follows: a1c5d27e9b10

MySQL and MariaDB commit each DDL statement. After an interruption, the same command creates what is missing.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from app.lib.db import table_names
from app.lib.db.sql_scripts import refuse_sql_script

revision = "b2d8e36fa0c4"
down_revision = "a1c5d27e9b10"
branch_labels = None
depends_on = None


def case_sensitive_string(length: int) -> sa.types.TypeEngine[str]:
    """Return a string type compared character by character on MySQL too, which otherwise ignores case and accents."""
    binary = mysql.VARCHAR(length, charset="ascii", collation="ascii_bin")
    return sa.String(length).with_variant(binary, "mysql", "mariadb")


TABLES = sa.MetaData(naming_convention={"ix": "ix_%(table_name)s_%(column_0_N_name)s"})
sa.Table("user", TABLES, sa.Column("id", sa.Integer(), primary_key=True))
PASSKEY = sa.Table(
    "passkey",
    TABLES,
    sa.Column("id", sa.Integer(), primary_key=True),
    sa.Column("user_id", sa.Integer(), nullable=False, index=True),
    sa.Column("digest", case_sensitive_string(64), nullable=False),
    sa.Column("credential_id", case_sensitive_string(1364), nullable=False),
    sa.Column("public_key", case_sensitive_string(1024), nullable=False),
    sa.Column("sign_count", sa.BigInteger(), nullable=False),
    sa.Column("backup_eligible", sa.Boolean(), nullable=False),
    sa.Column("backed_up", sa.Boolean(), nullable=False),
    sa.Column("transports", case_sensitive_string(50), nullable=False),
    sa.Column("name", sa.String(50), nullable=False),
    sa.Column("created_on", sa.DateTime(), nullable=False),
    sa.Column("last_used_on", sa.DateTime()),
    sa.ForeignKeyConstraint(["user_id"], ["user.id"], name="fk_passkey_user_id", ondelete="CASCADE"),
    sa.UniqueConstraint("digest", name="uq_passkey_digest"),
    sqlite_autoincrement=True,
    mysql_engine="InnoDB",
    mysql_charset="utf8mb4",
)
HANDLE = sa.Table(
    "passkey_handle",
    TABLES,
    sa.Column("user_id", sa.Integer(), primary_key=True, autoincrement=False),
    sa.Column("handle", case_sensitive_string(43), nullable=False),
    sa.ForeignKeyConstraint(["user_id"], ["user.id"], name="fk_passkey_handle_user_id", ondelete="CASCADE"),
    sa.UniqueConstraint("handle", name="uq_passkey_handle_handle"),
    mysql_engine="InnoDB",
    mysql_charset="utf8mb4",
)
CHALLENGE = sa.Table(
    "passkey_challenge",
    TABLES,
    sa.Column("nonce", case_sensitive_string(22), primary_key=True),
    sa.Column("expires_on", sa.DateTime(), nullable=False, index=True),
    mysql_engine="InnoDB",
    mysql_charset="utf8mb4",
)


def upgrade() -> None:
    """Create the missing tables, and the missing indexes of tables that an interrupted run has created."""
    refuse_sql_script(op.get_context())
    table_names.refuse_taken_names(op.get_bind(), [PASSKEY, HANDLE, CHALLENGE])
    TABLES.create_all(op.get_bind(), tables=[PASSKEY, HANDLE, CHALLENGE])
    for table in (PASSKEY, HANDLE, CHALLENGE):
        existing = {index["name"] for index in sa.inspect(op.get_bind()).get_indexes(table.name)}
        for index in table.indexes:
            if index.name not in existing:
                index.create(op.get_bind())


def downgrade() -> None:
    refuse_sql_script(op.get_context())
    TABLES.drop_all(op.get_bind(), tables=[PASSKEY, HANDLE, CHALLENGE])
