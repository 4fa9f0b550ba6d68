"""${message}

Revision: ${up_revision}
Follows: ${down_revision | comma,n}
"""

import sqlalchemy as sa
from alembic import op
${imports + "\n" if imports else ""}
<% quoted = lambda text: f'"{text}"' if isinstance(text, str) else repr(text) %>\
revision = ${quoted(up_revision)}
down_revision = ${quoted(down_revision)}
branch_labels = ${repr(branch_labels)}
depends_on = ${repr(depends_on)}


def upgrade() -> None:
    ${upgrades if upgrades else "pass"}


def downgrade() -> None:
    ${downgrades if downgrades else "pass"}
