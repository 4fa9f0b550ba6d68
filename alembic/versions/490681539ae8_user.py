"""The user table of the Flask boilerplate

Revision: 490681539ae8
"""

import sqlalchemy as sa
from alembic import op

revision = "490681539ae8"
down_revision = None
branch_labels = None
depends_on = None


# MySQL chose these names for the constraints, to which the original gave none.
def upgrade() -> None:
    op.create_table(
        "user",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(100)),
        sa.Column("email", sa.String(100)),
        sa.Column("phone", sa.String(30)),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("email", name="email"),
        sa.UniqueConstraint("id", name="id"),
        sa.UniqueConstraint("phone", name="phone"),
    )


def downgrade() -> None:
    op.drop_table("user")
