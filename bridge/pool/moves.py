"""What the roster orders and what it goes by: plain values. The rules are in roster.py. Pure."""

import signal
from dataclasses import dataclass
from enum import Enum


@dataclass(frozen=True, slots=True)
class PoolLimits:
    """When a worker is replaced; 0: never for that reason. `spread`: each one's own limit is up to so much lower.

    `ready_s`: how long a replacement may take to get ready; `settle_s`: how long after that the edge knows it for sure,
    and the old one may retire; `leave_s`: how long a retired worker may go on with its
    calls, then it is stopped within `stop_s`; `rest_s`: after a replacement that failed.
    """

    recycle_after_calls: int = 0
    recycle_after_s: float = 0.0
    spread: float = 0.0
    max_memory_mb: float = 0.0
    max_cpu_percent: float = 0.0
    check_s: float = 10.0
    ready_s: float = 20.0
    settle_s: float = 2.0
    leave_s: float = 3700.0
    stop_s: float = 320.0
    rest_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Start:
    """Start a worker in this free slot."""

    slot: int


@dataclass(frozen=True, slots=True)
class Leave:
    """The next exit of this slot's worker is wanted: `again`, another follows in the slot, or the slot is free."""

    slot: int
    again: bool


@dataclass(frozen=True, slots=True)
class Say:
    """Tell this slot's worker: `retire`, `pause` or `resume`."""

    slot: int
    word: str


@dataclass(frozen=True, slots=True)
class Stop:
    """Send this signal to this slot's worker."""

    slot: int
    signal: signal.Signals


@dataclass(frozen=True, slots=True)
class Fresh:
    """Load the image anew that workers are forked from."""


@dataclass(frozen=True, slots=True)
class Tell:
    """A line for ops."""

    text: str


Move = Start | Leave | Say | Stop | Fresh | Tell


class Stage(Enum):
    """What the worker of a slot is doing."""

    FREE = "free"
    STARTING = "starting"
    ACTIVE = "active"
    PAUSED = "drained"
    LEAVING = "draining"


class RosterError(Exception):
    """What was asked for cannot be done; the text says why."""
