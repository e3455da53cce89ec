"""Numbers of 64 bits on PostgreSQL (SQLite has them); from which revision on programs may work with a database."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

COUNTS = (
    "end_status", "rx_packets", "rx_lost", "tx_packets", "responses", "barge_ins", "holds", "dtmf_digits",
    "function_calls", "errors",
)  # fmt: skip
BIGGER = (
    *(("calls", column) for column in COUNTS),
    ("call_events", "id"),
    ("call_events", "seq"),
    ("link_offsets", "seq"),
    ("tool_decisions", "id"),
    ("audit_entries", "seq"),
    ("voicemails", "voicemail_id"),
    ("voicemails", "seq"),
    ("voicemail_deliveries", "voicemail_id"),
)
COUNTED = ("call_events_id", "tool_decisions_id", "audit_entries_seq", "voicemails_voicemail_id")


def upgrade() -> None:
    """Types and one table."""
    state = op.create_table(
        "schema_state",
        sa.Column("only", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("works_from", sa.String(32), nullable=False),
    )
    op.bulk_insert(state, [{"only": 1, "works_from": revision}])
    if op.get_bind().dialect.name == "postgresql":
        for table, column in BIGGER:
            op.alter_column(table, column, type_=sa.BigInteger)
        for name in COUNTED:
            op.execute(f"ALTER SEQUENCE IF EXISTS {name}_seq AS bigint")
