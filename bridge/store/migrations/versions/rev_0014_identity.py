"""Second factors, steps of signing in, wrong tries that all nodes count, and what a session and a token may."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Three tables, and columns that older programs leave alone."""
    op.create_table(
        "console_factors",
        sa.Column("factor_id", sa.String(32), primary_key=True),
        sa.Column("user", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("label", sa.String(100), nullable=False),
        sa.Column("sealed", sa.Text, nullable=False),
        sa.Column("confirmed", sa.Integer, nullable=False),
        sa.Column("counter", sa.BigInteger().with_variant(sa.Integer, "sqlite"), nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("used_at", sa.Float),
    )
    op.create_index("console_factors_user", "console_factors", ["user"])
    op.create_table(
        "console_steps",
        sa.Column("hash", sa.String(64), primary_key=True),
        sa.Column("data", sa.Text, nullable=False),
        sa.Column("expires_at", sa.Float, nullable=False),
    )
    op.create_table(
        "console_tries",
        sa.Column("hash", sa.String(64), primary_key=True),
        sa.Column("count", sa.Integer, nullable=False),
        sa.Column("last_at", sa.Float, nullable=False),
    )
    for column in (
        sa.Column("factor_at", sa.Float),
        sa.Column("began_by", sa.String(16), nullable=False, server_default=""),
        sa.Column("address", sa.String(64), nullable=False, server_default=""),
        sa.Column("agent", sa.String(200), nullable=False, server_default=""),
    ):
        op.add_column("console_sessions", column)
    op.add_column("api_tokens", sa.Column("roles", sa.Text))
    op.add_column("users", sa.Column("subject", sa.Text))
    op.create_index("users_subject", "users", ["subject"], unique=True)
