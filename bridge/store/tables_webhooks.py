"""The tables of webhooks. Described, with all others, in tables.py."""

from sqlalchemy import Column, Float, Index, Integer, Table, UniqueConstraint

from bridge.store.columns import BIG, String, Text, metadata

webhook_endpoints = Table(
    "webhook_endpoints",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("key", String(16), nullable=False),
    Column("calls_at", BIG, nullable=False),
    Column("audit_at", BIG, nullable=False),
    Column("failing_since", Float),
    Column("failures", Integer, nullable=False),
    Column("disabled_at", Float),
    Column("delivered_at", Float),
    Column("error", Text, nullable=False),
)

webhook_deliveries = Table(
    "webhook_deliveries",
    metadata,
    Column("delivery_id", BIG, primary_key=True),
    Column("endpoint", String(64), nullable=False),
    Column("source", String(1), nullable=False),
    Column("number", BIG, nullable=False),
    Column("type", String(32), nullable=False),
    Column("call_id", String(100), nullable=False),
    Column("state", String(16), nullable=False),
    Column("tries", Integer, nullable=False),
    Column("next_at", Float, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("updated_at", Float, nullable=False),
    Column("status", Integer),
    Column("error", Text, nullable=False),
    UniqueConstraint("endpoint", "source", "number", name="webhook_deliveries_once"),
    Index("webhook_deliveries_open", "endpoint", "state", "delivery_id"),
    Index("webhook_deliveries_call", "endpoint", "call_id", "state", "delivery_id"),
)
