"""The tables of who may do what, and of how they prove who they are. Described, with all others, in tables.py."""

from sqlalchemy import Column, Float, Index, Integer, Table

from bridge.store.columns import BIG, String, Text, metadata

users = Table(
    "users",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("roles", Text, nullable=False),
    Column("groups", Text, nullable=False),
    Column("numbers", Text, nullable=False),
    Column("password", Text),
    Column("disabled", Integer, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("subject", Text),
    Index("users_subject", "subject", unique=True),
)

api_tokens = Table(
    "api_tokens",
    metadata,
    Column("token_id", String(16), primary_key=True),
    Column("user", String(64), nullable=False),
    Column("label", String(100), nullable=False),
    Column("hash", String(64), nullable=False),
    Column("created_at", Float, nullable=False),
    Column("expires_at", Float),
    Column("used_at", Float),
    Column("roles", Text),
    Index("api_tokens_user", "user"),
)

console_sessions = Table(
    "console_sessions",
    metadata,
    Column("hash", String(64), primary_key=True),
    Column("user", String(64), nullable=False),
    Column("created_at", Float, nullable=False),
    Column("seen_at", Float, nullable=False),
    Column("factor_at", Float),
    Column("began_by", String(16), nullable=False, server_default=""),
    Column("address", String(64), nullable=False, server_default=""),
    Column("agent", String(200), nullable=False, server_default=""),
)

console_factors = Table(
    "console_factors",
    metadata,
    Column("factor_id", String(32), primary_key=True),
    Column("user", String(64), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("label", String(100), nullable=False),
    Column("sealed", Text, nullable=False),
    Column("confirmed", Integer, nullable=False),
    Column("counter", BIG, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("used_at", Float),
    Index("console_factors_user", "user"),
)

console_steps = Table(
    "console_steps",
    metadata,
    Column("hash", String(64), primary_key=True),
    Column("data", Text, nullable=False),
    Column("expires_at", Float, nullable=False),
)

console_tries = Table(
    "console_tries",
    metadata,
    Column("hash", String(64), primary_key=True),
    Column("count", Integer, nullable=False),
    Column("last_at", Float, nullable=False),
)

console_links = Table(
    "console_links",
    metadata,
    Column("hash", String(64), primary_key=True),
    Column("user", String(64), nullable=False),
    Column("expires_at", Float, nullable=False),
)
