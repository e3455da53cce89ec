"""How each node is, as it said it last: for the health page of the others."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """One small table. Beside `nodes`, whose rows are written and read with every heartbeat."""
    op.create_table(
        "node_health",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("told_at", sa.Float, nullable=False),
        sa.Column("facts", sa.Text, nullable=False),
    )
