"""Signed audit entries with their payloads apart; users and their tokens."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Four columns, three tables."""
    caller = sa.Column("caller", sa.String(100), nullable=False, server_default="")
    op.add_column("tool_requests", caller)
    op.create_index("tool_requests_caller", "tool_requests", ["tool", "caller", "created_at"])
    op.create_index("tool_requests_day", "tool_requests", ["tool", "created_at"])
    for column in (
        sa.Column("payload_hash", sa.String(64)),
        sa.Column("key_id", sa.String(16)),
        sa.Column("signature", sa.String(128)),
    ):
        op.add_column("audit_entries", column)
    op.create_index("audit_entries_call", "audit_entries", ["call_id"])
    op.create_table(
        "audit_payloads",
        sa.Column("hash", sa.String(64), primary_key=True),
        sa.Column("call_id", sa.String(100), nullable=False),
        sa.Column("salt", sa.String(32), nullable=False),
        sa.Column("payload", sa.Text),
        sa.Column("erased_at", sa.Float),
    )
    op.create_index("audit_payloads_call", "audit_payloads", ["call_id"])
    op.create_table(
        "users",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("roles", sa.Text, nullable=False),
        sa.Column("groups", sa.Text, nullable=False),
        sa.Column("numbers", sa.Text, nullable=False),
        sa.Column("password", sa.Text),
        sa.Column("disabled", sa.Integer, nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
    )
    op.create_table(
        "api_tokens",
        sa.Column("token_id", sa.String(16), primary_key=True),
        sa.Column("user", sa.String(64), nullable=False),
        sa.Column("label", sa.String(100), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("expires_at", sa.Float),
        sa.Column("used_at", sa.Float),
    )
    op.create_index("api_tokens_user", "api_tokens", ["user"])
