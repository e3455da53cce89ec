"""Webhooks: how far each of them is, and what it still has to be told."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0011"
BIG = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Two tables."""
    op.create_table(
        "webhook_endpoints",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("key", sa.String(16), nullable=False),
        sa.Column("calls_at", BIG, nullable=False),
        sa.Column("audit_at", BIG, nullable=False),
        sa.Column("failing_since", sa.Float),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("disabled_at", sa.Float),
        sa.Column("delivered_at", sa.Float),
        sa.Column("error", sa.Text, nullable=False),
    )
    op.create_table(
        "webhook_deliveries",
        sa.Column("delivery_id", BIG, primary_key=True),
        sa.Column("endpoint", sa.String(64), nullable=False),
        sa.Column("source", sa.String(1), nullable=False),
        sa.Column("number", BIG, nullable=False),
        sa.Column("type", sa.String(32), nullable=False),
        sa.Column("call_id", sa.String(100), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("next_at", sa.Float, nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("updated_at", sa.Float, nullable=False),
        sa.Column("status", sa.Integer),
        sa.Column("error", sa.Text, nullable=False),
        sa.UniqueConstraint("endpoint", "source", "number", name="webhook_deliveries_once"),
    )
    for name, columns in (
        ("open", ["endpoint", "state", "delivery_id"]),
        ("call", ["endpoint", "call_id", "state", "delivery_id"]),
    ):
        op.create_index(f"webhook_deliveries_{name}", "webhook_deliveries", columns)
