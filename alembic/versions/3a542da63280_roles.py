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


# MySQL commits each statement, so an interrupted run has done some of them.
def upgrade() -> None:
    if not has_table("role"):
        create_role()
    if not has_table("user_role"):
        create_user_role()
    create_indexes()
    add_columns()


def has_table(name: str) -> bool:
    return not op.get_context().as_sql and sa.inspect(op.get_bind()).has_table(name)


def create_role() -> None:
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


def create_user_role() -> None:
    op.create_table(
        "user_role",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("created_on", sa.DateTime()),
        sa.Column("user_id", sa.Integer()),
        sa.Column("role_id", sa.Integer()),
        sa.ForeignKeyConstraint(["role_id"], ["role.id"], name="user_role_ibfk_1"),
        sa.ForeignKeyConstraint(["user_id"], ["user.id"], name="user_role_ibfk_2"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("id", name="id"),
    )


def create_indexes() -> None:
    indexes = [] if op.get_context().as_sql else sa.inspect(op.get_bind()).get_indexes("user_role")
    for column in ("role_id", "user_id"):
        if column not in {index["name"] for index in indexes}:
            op.create_index(column, "user_role", [column])


def add_columns() -> None:
    existing = [] if op.get_context().as_sql else sa.inspect(op.get_bind()).get_columns("user")
    names = {column["name"] for column in existing}
    if "active" not in names:
        op.add_column("user", sa.Column("active", sa.Boolean()))
    if "created_on" not in names:
        op.add_column("user", sa.Column("created_on", sa.DateTime()))
    if "password" not in names:
        op.add_column("user", sa.Column("password", sa.String(200)))


def downgrade() -> None:
    with op.batch_alter_table("user") as batch:
        batch.drop_column("password")
        batch.drop_column("created_on")
        batch.drop_column("active")
    op.drop_table("user_role")
    op.drop_table("role")
