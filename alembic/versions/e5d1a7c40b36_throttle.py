"""How often somebody has tried

Revision: e5d1a7c40b36
Follows: b3d92c61f8e0
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "e5d1a7c40b36"
down_revision = "b3d92c61f8e0"
branch_labels = None
depends_on = None

KEY = sa.String(64).with_variant(mysql.VARCHAR(64, charset="ascii", collation="ascii_bin"), "mysql", "mariadb")


def upgrade() -> None:
    op.create_table(
        "throttle",
        sa.Column("key", KEY, nullable=False),
        sa.Column("used", sa.Integer(), nullable=False),
        sa.Column("resets_on", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("key"),
        mysql_engine="InnoDB",
        mysql_charset="utf8mb4",
    )
    op.create_index("ix_throttle_resets_on", "throttle", ["resets_on"])


def downgrade() -> None:
    op.drop_table("throttle")
