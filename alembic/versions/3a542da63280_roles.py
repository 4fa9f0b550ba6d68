"""Roles, and the columns of Flask-Security, as in the Flask boilerplate

Revision: 3a542da63280
Follows: 490681539ae8
"""

import sqlalchemy as sa
from alembic import op

revision = "3a542da63280"
down_revision = "490681539ae8"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "role",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("created_on", sa.DateTime()),
        sa.Column("name", sa.String(30)),
        sa.Column("description", sa.String(200)),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("id", name="id"),
        sa.UniqueConstraint("name", name="name"),
    )
    op.create_table(
        "user_role",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("created_on", sa.DateTime()),
        sa.Column("user_id", sa.Integer()),
        sa.Column("role_id", sa.Integer()),
        sa.Index("role_id", "role_id"),
        sa.Index("user_id", "user_id"),
        sa.ForeignKeyConstraint(["role_id"], ["role.id"], name="user_role_ibfk_1"),
        sa.ForeignKeyConstraint(["user_id"], ["user.id"], name="user_role_ibfk_2"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("id", name="id"),
    )
    op.add_column("user", sa.Column("active", sa.Boolean()))
    op.add_column("user", sa.Column("created_on", sa.DateTime()))
    op.add_column("user", sa.Column("password", sa.String(200)))


def downgrade() -> None:
    with op.batch_alter_table("user") as batch:
        batch.drop_column("password")
        batch.drop_column("created_on")
        batch.drop_column("active")
    op.drop_table("user_role")
    op.drop_table("role")
