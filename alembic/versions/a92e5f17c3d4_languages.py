"""In which language an account gets its mails

Revision: a92e5f17c3d4
Follows: f4c8b2d91e07
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "a92e5f17c3d4"
down_revision = "f4c8b2d91e07"
branch_labels = None
depends_on = None

TABLES = ("user", "mail")


def upgrade() -> None:
    code = sa.String(20).with_variant(mysql.VARCHAR(20, charset="ascii", collation="ascii_bin"), "mysql", "mariadb")
    for table in TABLES:
        op.add_column(table, sa.Column("language", code, nullable=True))


def downgrade() -> None:
    for table in TABLES:
        with op.batch_alter_table(table, table_kwargs={"sqlite_autoincrement": True}) as batch:
            batch.drop_column("language")
