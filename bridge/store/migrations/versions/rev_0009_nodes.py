"""Several nodes: who they are, who does what only one does, whose a call and a request is."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Four tables, and a column in three."""
    big = sa.BigInteger().with_variant(sa.Integer, "sqlite")
    for table in ("calls", "link_offsets", "tool_requests"):
        op.add_column(table, sa.Column("node", sa.String(64), nullable=False, server_default=""))
    op.create_table(
        "nodes",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("epoch", big, nullable=False),
        sa.Column("instance", sa.String(64), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("address", sa.String(64), nullable=False),
        sa.Column("version", sa.String(32), nullable=False),
        sa.Column("plan_version", sa.String(64), nullable=False),
        sa.Column("key_print", sa.String(16), nullable=False),
        sa.Column("started_at", sa.Float, nullable=False),
        sa.Column("seen_at", sa.Float, nullable=False),
        sa.Column("targets", sa.Text, nullable=False),
        sa.Column("facts", sa.Text, nullable=False),
    )
    op.create_table(
        "leases",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("node", sa.String(64), nullable=False),
        sa.Column("epoch", big, nullable=False),
        sa.Column("token", big, nullable=False),
        sa.Column("until", sa.Float, nullable=False),
    )
    op.create_table(
        "node_commands",
        sa.Column("id", big, primary_key=True),
        sa.Column("node", sa.String(64), nullable=False),
        sa.Column("origin", sa.String(64), nullable=False),
        sa.Column("call_id", sa.String(100), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("data", sa.Text, nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("expires_at", sa.Float, nullable=False),
        sa.Column("taken_at", sa.Float),
        sa.Column("answer", sa.Text),
    )
    op.create_index("node_commands_open", "node_commands", ["node", "taken_at"])
    op.create_table(
        "node_keys",
        sa.Column("key_id", sa.String(16), primary_key=True),
        sa.Column("node", sa.String(64), nullable=False),
        sa.Column("public", sa.String(64), nullable=False),
        sa.Column("seal", sa.String(64), nullable=False),
        sa.Column("at", sa.Float, nullable=False),
    )
