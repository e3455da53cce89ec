"""The tables, as SQLAlchemy Core sees them; the migrations make them, a test holds the two together.

calls         one row a call: exactly the fields of CallRecord, folded from the call's events
call_events   every event of every call, append-only; (boot, seq) is unique
tool_requests  one row a function call that reached the gate; `gate` is the machine as JSON, `version` guards changes
tool_decisions what people decided, until control has answered it
audit_entries  everything the gate did, append-only, each with the hash of the one before and signed
audit_payloads what of that is personal, under the hash that the entry names; `payload` is NULL once erased
users         who may look, decide or administer; `password` is an argon2 hash
api_tokens    what programs and commands prove a user by; `hash` is SHA-256 of 256 random bits
console_sessions, console_links  who is signed in; who may choose a password once: SHA-256 of 256 random bits
console_factors  second factors; `sealed` opens with a key that is not in the database; `counter` only grows
console_steps what a sign-in that takes several requests has to know again; each is taken once
console_tries wrong passwords and codes, by the hash of whose they were
outbound_calls  one row a call that was asked for (bridge/outbound/job.py); `wish` is sealed, `version` guards changes
outbound_attempts  one row a try, written before it is dialled: what the caps count
outbound_campaigns  running, paused or cancelled
voicemails    messages that callers left: new, done; a deleted one has no row; (boot, seq) is its event's
voicemail_deliveries  to which channel a message has to go: pending, delivered, given_up
call_holds    legal holds: calls that retention and erasure leave alone
link_offsets  how far each boot of each worker is stored: what makes a second delivery harmless
nodes         one row a node (bridge/store/nodestore.py); `epoch` grows with every start, `targets` and `facts` are JSON
node_commands what one node asks another to do with a call, and the answer
node_keys     public keys of the audit chain, of every node; `seal` is by the nodes' common decision key
node_health   how each node is, as it said it last; for the health pages of the others
leases        who does what only one node does, until when by the database's clock; `token` grows with every holder
webhook_endpoints  how far each webhook is (numbers of call_events and audit_entries), and how it fares
webhook_deliveries  which event has to go to which webhook: pending, delivered, parked; the event itself is not in it
schema_state  one row: `works_from` is the oldest revision whose programs may still work with this database
"""

from sqlalchemy import Column, Float, Index, Integer, Table, UniqueConstraint

from bridge.store.columns import BIG, String, Text, metadata
from bridge.store.tables_users import (
    api_tokens,
    console_factors,
    console_links,
    console_sessions,
    console_steps,
    console_tries,
    users,
)
from bridge.store.tables_webhooks import webhook_deliveries, webhook_endpoints

__all__ = [
    "BIG", "HERE_STATES", "HOLDS", "OPEN_STATES", "String", "Text", "api_tokens", "audit_entries", "audit_payloads",
    "call_events", "call_holds", "calls", "console_factors", "console_links", "console_sessions", "console_steps",
    "console_tries", "leases", "link_offsets", "metadata", "node_commands", "node_health", "node_keys", "nodes",
    "outbound_attempts", "outbound_calls", "outbound_campaigns", "schema_state", "tool_decisions", "tool_requests",
    "users", "voicemail_deliveries", "voicemails", "webhook_deliveries", "webhook_endpoints",
]  # fmt: skip

OPEN_STATES = ("requested", "confirming", "pending", "approved", "executing", "unknown")
"""Of tool_requests: what may still happen, or wants somebody to look."""


HERE_STATES = ("live", "draining")
"""Of nodes: those that are not lost and have not left."""


calls = Table(
    "calls",
    metadata,
    Column("call_id", String(100), primary_key=True),
    Column("boot", String(64), nullable=False),
    Column("started_at", Float, nullable=False),
    Column("worker", Text),
    Column("direction", Text),
    Column("from_uri", Text),
    Column("to_uri", Text),
    Column("from_display", Text),
    Column("sip_call_id", Text),
    Column("remote", Text),
    Column("route", Text),
    Column("agent", Text),
    Column("plan_version", Text),
    Column("answered_at", Float),
    Column("answered_mono", Float),
    Column("ended_at", Float),
    Column("duration_s", Float),
    Column("ended_by", Text),
    Column("end_status", BIG),
    Column("end_reason", Text),
    Column("end_detail", Text),
    Column("codec", Text),
    Column("ptime_ms", Float),
    Column("provider", Text),
    Column("model", Text),
    Column("session_id", Text),
    Column("session_ms", Float),
    Column("session_error", Text),
    Column("rx_packets", BIG),
    Column("rx_lost", BIG),
    Column("rx_loss_pct", Float),
    Column("rx_jitter_ms", Float),
    Column("tx_packets", BIG),
    Column("rtt_ms", Float),
    Column("mos", Float),
    Column("responses", BIG, nullable=False),
    Column("cost_usd", Float),
    Column("worst_latency_ms", Float),
    Column("barge_ins", BIG, nullable=False),
    Column("holds", BIG, nullable=False),
    Column("dtmf_digits", BIG, nullable=False),
    Column("function_calls", BIG, nullable=False),
    Column("errors", BIG, nullable=False),
    Column("recording_path", Text),
    Column("recording_s", Float),
    Column("node", String(64), nullable=False, server_default=""),
    Index("calls_started_at", "started_at"),
    Index("calls_history", "started_at", "call_id"),
    Index("calls_open", "ended_at", "boot"),
)

call_events = Table(
    "call_events",
    metadata,
    Column("id", BIG, primary_key=True),
    Column("boot", String(64), nullable=False),
    Column("seq", BIG, nullable=False),
    Column("call_id", String(100), nullable=False),
    Column("type", String(64), nullable=False),
    Column("at", Float, nullable=False),
    Column("mono", Float, nullable=False),
    Column("data", Text, nullable=False),
    UniqueConstraint("boot", "seq", name="call_events_once"),
    Index("call_events_call", "call_id", "id"),
)

link_offsets = Table(
    "link_offsets",
    metadata,
    Column("boot", String(64), primary_key=True),
    Column("worker", Integer, nullable=False),
    Column("seq", BIG, nullable=False),
    Column("node", String(64), nullable=False, server_default=""),
)

tool_requests = Table(
    "tool_requests",
    metadata,
    Column("request_id", String(64), primary_key=True),
    Column("call_id", String(100), nullable=False),
    Column("function_call_id", String(100), nullable=False),
    Column("tool", String(64), nullable=False),
    Column("caller", String(100), nullable=False, server_default=""),
    Column("state", String(16), nullable=False),
    Column("version", Integer, nullable=False),
    Column("gate", Text, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("updated_at", Float, nullable=False),
    Column("node", String(64), nullable=False, server_default=""),
    UniqueConstraint("call_id", "function_call_id", name="tool_requests_once"),
    Index("tool_requests_state", "state", "created_at"),
    Index("tool_requests_caller", "tool", "caller", "created_at"),
    Index("tool_requests_day", "tool", "created_at"),
)

tool_decisions = Table(
    "tool_decisions",
    metadata,
    Column("id", BIG, primary_key=True),
    Column("request_id", String(64), nullable=False),
    Column("decision", Text, nullable=False),
    Column("made_at", Float, nullable=False),
    Column("answer", Text),
    Index("tool_decisions_open", "answer", "id"),
)

audit_entries = Table(
    "audit_entries",
    metadata,
    Column("seq", BIG, primary_key=True),
    Column("at", Float, nullable=False),
    Column("request_id", String(64), nullable=False),
    Column("call_id", String(100), nullable=False),
    Column("type", String(32), nullable=False),
    Column("actor", String(100), nullable=False),
    Column("facts", Text, nullable=False),
    Column("prev_hash", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
    Column("payload_hash", String(64)),
    Column("key_id", String(16)),
    Column("signature", String(128)),
    Index("audit_entries_call", "call_id"),
)

audit_payloads = Table(
    "audit_payloads",
    metadata,
    Column("hash", String(64), primary_key=True),
    Column("call_id", String(100), nullable=False),
    Column("salt", String(32), nullable=False),
    Column("payload", Text),
    Column("erased_at", Float),
    Index("audit_payloads_call", "call_id"),
)

outbound_calls = Table(
    "outbound_calls",
    metadata,
    Column("job_id", String(16), primary_key=True),
    Column("campaign", String(64), nullable=False),
    Column("number", String(16), nullable=False),
    Column("state", String(16), nullable=False),
    Column("version", Integer, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("due_at", Float, nullable=False),
    Column("call_id", String(100), nullable=False),
    Column("boot", String(64), nullable=False),
    Column("dialled_at", Float, nullable=False),
    Column("heard", String(16), nullable=False),
    Column("reason", Text, nullable=False),
    Column("cancel", Integer, nullable=False),
    Column("wish", Text, nullable=False),
    Column("seal", String(64), nullable=False),
    Column("created_at", Float, nullable=False),
    Column("updated_at", Float, nullable=False),
    Index("outbound_calls_due", "state", "due_at"),
    Index("outbound_calls_campaign", "campaign", "state"),
)

outbound_attempts = Table(
    "outbound_attempts",
    metadata,
    Column("call_id", String(100), primary_key=True),
    Column("job_id", String(16), nullable=False),
    Column("number", String(16), nullable=False),
    Column("at", Float, nullable=False),
    Index("outbound_attempts_at", "at", "number"),
)

outbound_campaigns = Table(
    "outbound_campaigns",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("state", String(16), nullable=False),
    Column("asked_by", String(64), nullable=False),
    Column("created_at", Float, nullable=False),
)

voicemails = Table(
    "voicemails",
    metadata,
    Column("voicemail_id", BIG, primary_key=True),
    Column("boot", String(64), nullable=False),
    Column("seq", BIG, nullable=False),
    Column("call_id", String(100), nullable=False),
    Column("at", Float, nullable=False),
    Column("mailbox", String(100), nullable=False),
    Column("path", Text, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("from_uri", Text, nullable=False),
    Column("called", Text, nullable=False),
    Column("transcript", Text),
    Column("state", String(16), nullable=False),
    UniqueConstraint("boot", "seq", name="voicemails_once"),
    Index("voicemails_state", "state", "voicemail_id"),
)

voicemail_deliveries = Table(
    "voicemail_deliveries",
    metadata,
    Column("voicemail_id", BIG, primary_key=True),
    Column("channel", String(32), primary_key=True),
    Column("state", String(16), nullable=False),
    Column("tries", Integer, nullable=False),
    Column("next_at", Float, nullable=False),
    Column("error", Text),
    Index("voicemail_deliveries_due", "state", "next_at"),
)

schema_state = Table(
    "schema_state",
    metadata,
    Column("only", Integer, primary_key=True),
    Column("works_from", String(32), nullable=False),
)

HOLDS = "holds"
"""The lock under which a call is held or forgotten: never both."""

call_holds = Table(
    "call_holds",
    metadata,
    Column("call_id", String(100), primary_key=True),
    Column("reason", Text, nullable=False),
    Column("by", String(64), nullable=False),
    Column("at", Float, nullable=False),
)

nodes = Table(
    "nodes",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("epoch", BIG, nullable=False),
    Column("instance", String(64), nullable=False),
    Column("state", String(16), nullable=False),
    Column("address", String(64), nullable=False),
    Column("version", String(32), nullable=False),
    Column("plan_version", String(64), nullable=False),
    Column("key_print", String(16), nullable=False),
    Column("started_at", Float, nullable=False),
    Column("seen_at", Float, nullable=False),
    Column("targets", Text, nullable=False),
    Column("facts", Text, nullable=False),
)

node_health = Table(
    "node_health",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("told_at", Float, nullable=False),
    Column("facts", Text, nullable=False),
)

leases = Table(
    "leases",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("node", String(64), nullable=False),
    Column("epoch", BIG, nullable=False),
    Column("token", BIG, nullable=False),
    Column("until", Float, nullable=False),
)

node_commands = Table(
    "node_commands",
    metadata,
    Column("id", BIG, primary_key=True),
    Column("node", String(64), nullable=False),
    Column("origin", String(64), nullable=False),
    Column("call_id", String(100), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("data", Text, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("expires_at", Float, nullable=False),
    Column("taken_at", Float),
    Column("answer", Text),
    Index("node_commands_open", "node", "taken_at"),
)

node_keys = Table(
    "node_keys",
    metadata,
    Column("key_id", String(16), primary_key=True),
    Column("node", String(64), nullable=False),
    Column("public", String(64), nullable=False),
    Column("seal", String(64), nullable=False),
    Column("at", Float, nullable=False),
)
