"""What a gate (gate.py) can be in, and what it wants done: plain values. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class State(StrEnum):
    """Where a request is. See FINAL for those it never leaves."""

    REQUESTED = "requested"
    CONFIRMING = "confirming"
    PENDING = "pending"
    APPROVED = "approved"
    EXECUTING = "executing"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    UNKNOWN = "unknown"
    DENIED = "denied"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


FINAL = frozenset({State.SUCCEEDED, State.FAILED, State.DENIED, State.EXPIRED, State.CANCELLED})
WAITING = frozenset({State.REQUESTED, State.CONFIRMING, State.PENDING})


@dataclass(frozen=True, slots=True)
class Store:
    """Keep the gate as it is now (`Gate.to_json`), before anything else is done."""

    state: State


@dataclass(frozen=True, slots=True)
class Execute:
    """Run the tool. The key is the same for every try of the same request."""

    idempotency_key: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Tell:
    """The call has to know the new state."""

    state: State
    reason: str


@dataclass(frozen=True, slots=True)
class Notify:
    """People have to know: `asked`, `escalated` or `reconcile`."""

    kind: str
    group: str


@dataclass(frozen=True, slots=True)
class Audit:
    """Something to prove later. `facts` name nobody; `personal` can be erased some day."""

    type: str
    actor: str
    facts: Mapping[str, Any]
    personal: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Inquire:
    """Have the caller asked question `number`, then say what came of it: `Gate.inquired`."""

    number: int


Action = Store | Execute | Tell | Notify | Audit | Inquire
