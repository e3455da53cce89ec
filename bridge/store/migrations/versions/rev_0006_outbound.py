"""Calls that the bridge places, their tries, and campaigns."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Three tables."""
    op.create_table(
        "outbound_calls",
        sa.Column("job_id", sa.String(16), primary_key=True),
        sa.Column("campaign", sa.String(64), nullable=False),
        sa.Column("number", sa.String(16), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("due_at", sa.Float, nullable=False),
        sa.Column("call_id", sa.String(100), nullable=False),
        sa.Column("boot", sa.String(64), nullable=False),
        sa.Column("dialled_at", sa.Float, nullable=False),
        sa.Column("heard", sa.String(16), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("cancel", sa.Integer, nullable=False),
        sa.Column("wish", sa.Text, nullable=False),
        sa.Column("seal", sa.String(64), nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("updated_at", sa.Float, nullable=False),
    )
    op.create_index("outbound_calls_due", "outbound_calls", ["state", "due_at"])
    op.create_index("outbound_calls_campaign", "outbound_calls", ["campaign", "state"])
    op.create_table(
        "outbound_attempts",
        sa.Column("call_id", sa.String(100), primary_key=True),
        sa.Column("job_id", sa.String(16), nullable=False),
        sa.Column("number", sa.String(16), nullable=False),
        sa.Column("at", sa.Float, nullable=False),
    )
    op.create_index("outbound_attempts_at", "outbound_attempts", ["at", "number"])
    op.create_table(
        "outbound_campaigns",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("asked_by", sa.String(64), nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
    )
