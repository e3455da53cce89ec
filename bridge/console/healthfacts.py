"""What is known of the installation at one moment: plain values, for the health page and the banners. Pure.

Gathered by bridge/control_healthlook.py, told to other nodes by control_healthtell.py and nodehealth.py; shown by
healthview.py and banners.py.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

GB = 1024**3
FULL = 0.05
"""A disk with less free than this share, and less than ROOMY_BYTES, is nearly full."""
ROOMY_BYTES = 20 * GB
LEAST_BYTES = GB
STALE_S = 60.0
"""What a node said so long ago is no news of it any more; it says something every ten seconds."""
HERE = ("live", "draining")
CRASHES = 3
"""So many ends in a row, each soon after the start, and a process is said to keep crashing."""


@dataclass(frozen=True, slots=True)
class Chain:
    """How far the audit's chain was looked at: entries 1 to `to`, each between `since` and `at` (unix seconds).

    `to` 0: none yet. `problem`: the first thing that is wrong, "" when nothing was found.
    """

    to: int = 0
    since: float = 0.0
    at: float = 0.0
    problem: str = ""

    def missing(self, last: int) -> str:
        """What is wrong when `last` is the newest entry there is; "": nothing was cut off."""
        return f"entries {last + 1} to {self.to} are gone" if last < self.to else ""


@dataclass(frozen=True, slots=True)
class Disk:
    """`what` lies there: state, recordings."""

    what: str
    path: str
    free: int
    total: int

    @property
    def tight(self) -> bool:
        """Whether somebody should make room."""
        return self.free < LEAST_BYTES or (self.free < FULL * self.total and self.free < ROOMY_BYTES)


@dataclass(frozen=True, slots=True)
class Trunk:
    """A trunk of the plan as a node's workers see it; None: not known, or not asked for."""

    name: str
    registers: bool
    registered: bool | None = None
    reachable: bool | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Provider:
    """A provider of the settings, and how its sessions of late went. Times are unix seconds."""

    name: str
    where: str
    calls: int = 0
    failed: int = 0
    connected_at: float | None = None
    failed_at: float | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class McpState:
    """An MCP server; `problem` "": it is connected."""

    name: str
    problem: str
    tools: int
    accepted: int


@dataclass(frozen=True, slots=True)
class Pending:
    """A definition that waits for an admin. `hash` names exactly what is shown; all else came from the server."""

    server: str
    tool: str
    standing: str
    hash: str
    description: str
    difference: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StoreState:
    """The store as control sees it. `error`: why it did not answer; `failing_s`: since when it takes no events."""

    kind: str
    latency_ms: float | None = None
    size_bytes: int | None = None
    error: str = ""
    failing_s: float = 0.0
    backlog_bytes: int = 0
    unknown: int = 0
    leases: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class NodeHealth:
    """What is a node's own, as it said it `age_s` seconds ago; `state`: live, draining, lost.

    `console`: address of its own console, "" when nobody said so. `supervisor`: why it told of no processes.
    `pending`: MCP definitions that wait there. `registering`: it is the node whose trunks should be registered.
    `certificate_until`: unix seconds, of its edge's; None: it has none.
    """

    name: str
    age_s: float = 0.0
    state: str = "live"
    console: str = ""
    workers: Sequence[Mapping[str, Any]] = ()
    children: Sequence[Mapping[str, Any]] = ()
    supervisor: str = ""
    trunks: Sequence[Trunk] = ()
    edge: Mapping[str, float] | None = None
    mcp: Sequence[McpState] = ()
    disks: Sequence[Disk] = ()
    pending: int = 0
    registering: bool = True
    certificate_until: float | None = None

    @property
    def fresh(self) -> bool:
        """Whether it still is as it said."""
        return self.state in HERE and self.age_s < STALE_S


@dataclass(frozen=True, slots=True)
class Campaign:
    """An outbound campaign in short."""

    name: str
    state: str
    counts: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything at one moment, `at` unix seconds. `here`: what is this node's own; `others`: as they said it last."""

    at: float
    here: NodeHealth = NodeHealth("")
    others: Sequence[NodeHealth] = ()
    shared: bool = False
    nodes: Sequence[Mapping[str, Any]] = ()
    pending: Sequence[Pending] = ()
    accepted: Sequence[tuple[str, str]] = ()
    providers: Sequence[Provider] = ()
    store: StoreState = StoreState("")
    queues: Mapping[str, Any] = field(default_factory=dict)
    campaigns: Sequence[Campaign] = ()
    versions: Sequence[tuple[str, str]] = ()

    def parts(self) -> tuple[NodeHealth, ...]:
        """What is a node's own, of every node, this one first."""
        return (self.here, *self.others)
