"""The settings file as types: every key with its meaning, default and range.

Each key's description is the only documentation of it; ops/settings.md is generated from here. Paths are
relative to the file (validation context "base"). A secret never stands here: a key names the environment
variable that holds it.

Not worker-safe (pydantic). Pure. Loading, overrides and rules that look at several keys: bridge/settings.py.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, PrivateAttr

from bridge import config
from bridge.errors import Problem
from bridge.settings_base import (
    EnvName,
    FilePath,
    HostAddress,
    Name,
    Network,
    Port,
    RtpPorts,
    Seconds,
    Section,
    ServerUrl,
    StoreUrl,
)
from bridge.settings_console import Console
from bridge.settings_edge import Edge
from bridge.settings_node import Node, Postgres
from bridge.settings_observe import Hep, Tracing
from bridge.settings_ops import Retention
from bridge.settings_pool import Pool
from bridge.settings_tools import AuditHeads, McpServer, Notify
from bridge.settings_webhooks import Webhook
from bridge.yamlfile import YamlFile, key_text

DEFAULT_MODEL = "gpt-realtime-2.1"


class Sip(Section):
    """Where calls come in."""

    bind: HostAddress = Field(
        default="127.0.0.1",
        description="IP address the SIP socket binds: loopback or private. A public one is refused unless "
        "edge.enabled, because a worker must only be reached through an edge that keeps strangers out.",
    )
    port: Port = Field(
        default=5060,
        description="UDP port of the first worker; worker i listens on port + i. With edge.enabled the edge's port.",
    )
    rtp_ports: RtpPorts = Field(
        default="20000-20999",
        description="UDP ports for RTP, first-last; shared out evenly among the workers. With edge.enabled they are "
        "rtpengine's, four a call.",
    )
    public_address: HostAddress | None = Field(
        default=None,
        description="IP address written into Contact and SDP when it differs from bind (NAT, container).",
    )
    codecs: list[Literal["PCMU", "PCMA", "G722"]] = Field(
        default=["PCMU", "PCMA"],
        min_length=1,
        max_length=3,
        description="Codecs offered and accepted, best first. Wide workers (pool.wide_workers) have G722 too: first, "
        "unless it is named here. No other worker offers it.",
    )
    verstat_from: list[Network] = Field(
        default_factory=list,
        max_length=256,
        description="Addresses or networks of trunks that check the caller's number (STIR/SHAKEN): their verstat "
        "counts as a fact in policies (caller.verstat). Anybody else's is ignored.",
    )
    user_agent: str = Field(
        default="sipbridge", pattern=r"^[\x20-\x7e]{1,64}$", description="Text of the User-Agent header."
    )
    record_messages: config.SipRecord = Field(
        default="lines",
        description="What a call's record keeps of its SIP messages, for the ladder in the console: off, lines (method "
        "or status, time, CSeq, reason), or whole (the text too, without credentials, keys and digits).",
    )


class Provider(Section):
    """A Realtime endpoint that agents can name."""

    kind: config.ProviderKind = Field(
        default=...,
        description="openai, azure, compatible (any server that speaks the Realtime protocol) or local (the "
        "embedded engine, started by the bridge when it has no url).",
    )
    url: ServerUrl | None = Field(
        default=None,
        description="ws:// or wss:// address. openai: wss://api.openai.com/v1/realtime when left out; azure: "
        "wss://RESOURCE.openai.azure.com/openai/v1/realtime.",
    )
    api_key_env: EnvName | None = Field(
        default=None,
        description="Environment variable that holds the API key. openai: OPENAI_API_KEY when left out; azure: "
        "AZURE_OPENAI_API_KEY when left out.",
    )
    model: str = Field(
        default=DEFAULT_MODEL,
        min_length=1,
        max_length=128,
        description="Model of every agent that names none. azure: the name of the deployment.",
    )
    scenario: FilePath | None = Field(
        default=None, description="local only: scenario file of the engine; its own default when left out."
    )
    headers_env: dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,64}$")], EnvName] = Field(
        default_factory=dict,
        description="Further HTTP headers of the connection: header name to the environment variable that holds "
        "its value.",
    )


class Media(Section):
    """The audio path of a call."""

    tick_ms: int = Field(
        default=10,
        ge=1,
        le=20,
        description="How often a worker moves audio between call and session. 5 brings the caller's words to the "
        "model 2.5 ms earlier on average, and costs a fifth more CPU. A worker with three calls or more takes twice "
        "as long, 20 at most.",
    )
    model_format: config.AudioFormat = Field(
        default="pcm24",
        description="Audio towards the model, unless an agent sets its own: pcm24 (PCM, 24 kHz) or pcmu, pcma "
        "(G.711 passed through, cheapest).",
    )
    reorder_wait_ms: int = Field(
        default=20, ge=0, le=200, description="How long a gap in the caller's packets waits for late ones."
    )
    silence_after_ms: int = Field(
        default=60, ge=20, le=1000, description="After this long without packets the model is sent silence."
    )
    intake_max_ms: int = Field(
        default=1000,
        ge=100,
        le=10000,
        description="Caller audio kept while the session is slow; the oldest goes first.",
    )
    playout_max_s: int = Field(
        default=120,
        ge=5,
        le=600,
        description="Agent audio kept ahead of its playing; more is not read from the session.",
    )
    jitter_max_ms: int = Field(
        default=200, ge=20, le=1000, description="Largest delay of the RTP jitter buffer."
    )


class Recording(Section):
    """Stereo recordings: caller left, agent right."""

    enabled: bool = Field(default=True, description="Record calls; an agent can switch it off for itself.")
    folder: FilePath | None = Field(
        default=None, description="Where the WAV files go; state_dir/recordings when left out."
    )


class Limits(Section):
    """How long things may go on."""

    max_call_s: int = Field(default=3600, ge=10, le=86400, description="Longest call.")
    rtp_timeout_s: int = Field(
        default=20,
        ge=2,
        le=600,
        description="A call that is not on hold and gets no RTP for so long is ended.",
    )
    hold_max_s: int = Field(default=900, ge=5, le=86400, description="Longest hold.")
    ring_max_s: int = Field(
        default=60, ge=1, le=180, description="Longest ringing before the call is given up."
    )


class Deadlines(Section):
    """How long one step may take, in seconds."""

    session_connect_s: Seconds = Field(default=5, description="WebSocket connection to the model.")
    session_ready_s: Seconds = Field(default=5, description="From connected to session.updated.")
    send_s: Seconds = Field(default=5, description="One message to the model.")
    ping_interval_s: Seconds = Field(default=3, description="Between WebSocket pings.")
    ping_timeout_s: Seconds = Field(
        default=3, description="Pong after a ping; later means the connection is dead."
    )
    answer_wait_s: Seconds = Field(
        default=8,
        description="How long a call rings while its session comes up; then the fallback (or_else) runs.",
    )
    model_silence_s: Seconds = Field(
        default=6,
        description="After the caller's last word, a function's result, or in the middle of an answer: how long the "
        "model may say nothing before it is asked again; the same once more, and its session counts as lost.",
    )
    link_request_s: Seconds = Field(default=10, description="An answer of the control process.")
    drain_s: float = Field(
        default=300, ge=0, le=7200, allow_inf_nan=False, description="At SIGTERM: how long calls may go on."
    )


class Log(Section):
    """Log output, on standard error or into a file."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least severe level shown."
    )
    format: Literal["json", "console"] = Field(
        default="console", description="One JSON object a line, or for eyes."
    )
    redact: bool = Field(
        default=True, description="Hide numbers, transcripts and digits (fields named pii_…)."
    )
    file: FilePath | None = Field(
        default=None,
        description="File that all processes write instead of standard error; it rotates itself, and may be moved away "
        "by logrotate at any time.",
    )
    file_max_mb: int = Field(default=50, ge=1, le=10_000, description="A larger file is rotated, in MB.")
    file_keep: int = Field(
        default=10, ge=1, le=1000, description="How many rotated files stay: file.1, file.2, …"
    )


class Settings(Section):
    """The whole file. Environment variables override it: SIPBRIDGE_SIP__PORT=5070 is sip.port."""

    sip: Sip = Field(default_factory=Sip, description="Where calls come in.")
    edge: Edge = Field(default_factory=Edge, description="Kamailio and rtpengine in front of the workers.")
    workers: int = Field(
        default=1, ge=0, le=64, description="Worker processes; 0 only on a host that is nothing but an edge."
    )
    calls_per_worker: int = Field(
        default=4,
        ge=1,
        le=4,
        description="Calls of one worker. The SIP library's wheel is compiled with room for 4.",
    )
    pool: Pool = Field(default_factory=Pool, description="How workers are started, watched and replaced.")
    dialplans: FilePath = Field(
        default=Path("dialplans"),
        description="Dialplan file, or folder of *.yaml files read in the order of names.",
    )
    watch_dialplans: bool = Field(
        default=False,
        description="Reload by itself when a file of the dialplan has changed. Off, because what is saved is not "
        "always finished: the first of two files that belong together may be right by itself. Without it: sipbridge "
        "dialplan reload.",
    )
    dialplan_versions: int = Field(
        default=50,
        ge=2,
        le=1000,
        description="Plans kept that have been in force, the one that is among them, for sipbridge dialplan "
        "rollback.",
    )
    environment: Name | None = Field(
        default=None,
        description="Whose dialplan overlay is used: overlays/NAME.yaml in the dialplans' folder. None: the plan as "
        "it is.",
    )
    tools: FilePath = Field(
        default=Path("tools"),
        description="Folder of the function tools a model may ask for (*.py) and of their policy (policy.yaml). "
        "Without a policy no tool is offered. Read at start.",
    )
    mcp: dict[Name, McpServer] = Field(
        default_factory=dict, max_length=32, description="MCP servers by name; their tools are NAME__TOOL."
    )
    notify: Notify = Field(
        default_factory=Notify, description="Who is told that something waits for a person."
    )
    webhooks: dict[Name, Webhook] = Field(
        default_factory=dict,
        max_length=20,
        description="Programs that are told of calls and approvals, by name (ops/webhooks.md).",
    )
    audit: AuditHeads = Field(default_factory=AuditHeads, description="Proof that the audit is whole.")
    state_dir: FilePath = Field(
        default=Path("var"),
        description="Folder for what the bridge writes: sockets, spool, prompts, recordings, database.",
    )
    store: StoreUrl | None = Field(
        default=None,
        description="Database: sqlite:///PATH or postgresql://HOST/NAME; a password only by the environment "
        "(SIPBRIDGE_STORE). SQLite in state_dir when left out. postgresql needs the package asyncpg: "
        "pip install sipbridge[postgres]. Several nodes share one PostgreSQL.",
    )
    node: Node = Field(default_factory=Node, description="This node among others that share one PostgreSQL.")
    postgres: Postgres = Field(default_factory=Postgres, description="How PostgreSQL is used.")
    console: Console = Field(default_factory=Console, description="HTTP of the control process.")
    providers: dict[Name, Provider] = Field(
        default_factory=dict,
        max_length=32,
        description="Realtime endpoints by name. None: one called local, the embedded engine.",
    )
    default_provider: Name | None = Field(
        default=None, description="Provider of agents that name none; the first of providers when left out."
    )
    media: Media = Field(default_factory=Media, description="The audio path of a call.")
    recording: Recording = Field(default_factory=Recording, description="Stereo recordings.")
    limits: Limits = Field(default_factory=Limits, description="How long things may go on.")
    deadlines: Deadlines = Field(default_factory=Deadlines, description="How long one step may take.")
    log: Log = Field(default_factory=Log, description="Log output.")
    tracing: Tracing = Field(
        default_factory=Tracing, description="Traces of calls, to an OpenTelemetry collector."
    )
    hep: Hep = Field(default_factory=Hep, description="Copies of SIP messages, to Homer.")
    retention: Retention = Field(default_factory=Retention, description="How long things are kept.")
    _document: YamlFile | None = PrivateAttr(default=None)

    def read_from(self, document: YamlFile) -> Self:
        """Remember where the values are written, for mistakes that show only later."""
        self._document = document
        return self

    def problem(self, path: Sequence[str | int], message: str, hint: str = "") -> Problem:
        """A Problem at the value of `path`: file and line, or the environment variable that set it."""
        if self._document is None:
            return Problem("settings", 0, 0, key_text(path), message, hint)
        return self._document.problem(path, message, hint)
