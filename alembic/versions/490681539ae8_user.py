"""The user table of the Flask boilerplate

Revision: 490681539ae8
"""

import sqlalchemy as sa
from alembic import op
from alembic.util import CommandError

revision = "490681539ae8"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    if is_created():
        return
    op.create_table(
        "user",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(100)),
        sa.Column("email", sa.String(100)),
        sa.Column("phone", sa.String(30)),
        sa.PrimaryKeyConstraint("id"),
        # MySQL chose these names for the constraints, to which the original gave none.
        sa.UniqueConstraint("email", name="email"),
        sa.UniqueConstraint("id", name="id"),
        sa.UniqueConstraint("phone", name="phone"),
    )


def is_created() -> bool:
    """Return whether an interrupted run has created the table. Raises CommandError for that of another application."""
    if op.get_context().as_sql or not (inspector := sa.inspect(op.get_bind())).has_table("user"):
        return False
    if missing := {"id", "name", "email", "phone"} - {column["name"] for column in inspector.get_columns("user")}:
        columns = ", ".join(sorted(missing))
        raise CommandError(f"the table user is of another application: it has no {columns}. Use another database.")
    return True


def downgrade() -> None:
    op.drop_table("user")
