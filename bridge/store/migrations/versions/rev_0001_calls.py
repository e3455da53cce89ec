"""Calls, their events, and how far each worker's events are stored."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the three tables."""
    op.create_table(
        "calls",
        sa.Column("call_id", sa.String(100), primary_key=True),
        sa.Column("boot", sa.String(64), nullable=False),
        sa.Column("started_at", sa.Float, nullable=False),
        sa.Column("worker", sa.Text),
        sa.Column("direction", sa.Text),
        sa.Column("from_uri", sa.Text),
        sa.Column("to_uri", sa.Text),
        sa.Column("from_display", sa.Text),
        sa.Column("sip_call_id", sa.Text),
        sa.Column("remote", sa.Text),
        sa.Column("route", sa.Text),
        sa.Column("agent", sa.Text),
        sa.Column("plan_version", sa.Text),
        sa.Column("answered_at", sa.Float),
        sa.Column("answered_mono", sa.Float),
        sa.Column("ended_at", sa.Float),
        sa.Column("duration_s", sa.Float),
        sa.Column("ended_by", sa.Text),
        sa.Column("end_status", sa.Integer),
        sa.Column("end_reason", sa.Text),
        sa.Column("end_detail", sa.Text),
        sa.Column("codec", sa.Text),
        sa.Column("ptime_ms", sa.Float),
        sa.Column("provider", sa.Text),
        sa.Column("model", sa.Text),
        sa.Column("session_id", sa.Text),
        sa.Column("session_ms", sa.Float),
        sa.Column("session_error", sa.Text),
        sa.Column("rx_packets", sa.Integer),
        sa.Column("rx_lost", sa.Integer),
        sa.Column("rx_loss_pct", sa.Float),
        sa.Column("rx_jitter_ms", sa.Float),
        sa.Column("tx_packets", sa.Integer),
        sa.Column("rtt_ms", sa.Float),
        sa.Column("mos", sa.Float),
        sa.Column("responses", sa.Integer, nullable=False),
        sa.Column("cost_usd", sa.Float),
        sa.Column("worst_latency_ms", sa.Float),
        sa.Column("barge_ins", sa.Integer, nullable=False),
        sa.Column("holds", sa.Integer, nullable=False),
        sa.Column("dtmf_digits", sa.Integer, nullable=False),
        sa.Column("function_calls", sa.Integer, nullable=False),
        sa.Column("errors", sa.Integer, nullable=False),
        sa.Column("recording_path", sa.Text),
        sa.Column("recording_s", sa.Float),
    )
    op.create_index("calls_started_at", "calls", ["started_at"])
    op.create_index("calls_open", "calls", ["ended_at", "boot"])
    op.create_table(
        "call_events",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("boot", sa.String(64), nullable=False),
        sa.Column("seq", sa.Integer, nullable=False),
        sa.Column("call_id", sa.String(100), nullable=False),
        sa.Column("type", sa.String(64), nullable=False),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("mono", sa.Float, nullable=False),
        sa.Column("data", sa.Text, nullable=False),
        sa.UniqueConstraint("boot", "seq", name="call_events_once"),
    )
    op.create_index("call_events_call", "call_events", ["call_id", "id"])
    op.create_table(
        "link_offsets",
        sa.Column("boot", sa.String(64), primary_key=True),
        sa.Column("worker", sa.Integer, nullable=False),
        sa.Column("seq", sa.Integer, nullable=False),
    )


def downgrade() -> None:
    """Drop them, with everything in them."""
    for table in ("link_offsets", "call_events", "calls"):
        op.drop_table(table)
