"""The table of what the history's pages keep: links that share one call. Beside tables.py, in the same metadata."""

from sqlalchemy import Column, Float, Index, Table

from bridge.store.tables import String, metadata

console_shares = Table(
    "console_shares",
    metadata,
    Column("hash", String(64), primary_key=True),
    Column("share_id", String(16), nullable=False),
    Column("call_id", String(100), nullable=False),
    Column("user", String(64), nullable=False),
    Column("created_at", Float, nullable=False),
    Column("expires_at", Float, nullable=False),
    Index("console_shares_call", "call_id"),
)
