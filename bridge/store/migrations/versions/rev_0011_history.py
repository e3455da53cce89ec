"""The history: calls page by page, the newest first, and links that share one call."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """An index and a table."""
    op.create_index("calls_history", "calls", ["started_at", "call_id"])
    op.create_table(
        "console_shares",
        sa.Column("hash", sa.String(64), primary_key=True),
        sa.Column("share_id", sa.String(16), nullable=False),
        sa.Column("call_id", sa.String(100), nullable=False),
        sa.Column("user", sa.String(64), nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("expires_at", sa.Float, nullable=False),
    )
    op.create_index("console_shares_call", "console_shares", ["call_id"])
