"""Messages that callers left, and to whom they still have to go."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0003"


def upgrade() -> None:
    """Two tables."""
    op.create_table(
        "voicemails",
        sa.Column("voicemail_id", sa.Integer, primary_key=True),
        sa.Column("boot", sa.String(64), nullable=False),
        sa.Column("seq", sa.Integer, nullable=False),
        sa.Column("call_id", sa.String(100), nullable=False),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("mailbox", sa.String(100), nullable=False),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("seconds", sa.Float, nullable=False),
        sa.Column("from_uri", sa.Text, nullable=False),
        sa.Column("called", sa.Text, nullable=False),
        sa.Column("transcript", sa.Text),
        sa.Column("state", sa.String(16), nullable=False),
        sa.UniqueConstraint("boot", "seq", name="voicemails_once"),
    )
    op.create_index("voicemails_state", "voicemails", ["state", "voicemail_id"])
    op.create_table(
        "voicemail_deliveries",
        sa.Column("voicemail_id", sa.Integer, primary_key=True),
        sa.Column("channel", sa.String(32), primary_key=True),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("next_at", sa.Float, nullable=False),
        sa.Column("error", sa.Text),
    )
    op.create_index("voicemail_deliveries_due", "voicemail_deliveries", ["state", "next_at"])
