"""How often, and for how much, a tool was asked for before: what conditions see as `counts`.

    past requests ──counts(past, now's request, start of the day)──► {"call": …, "caller": …, "day": …}

A request that may still be executed counts in the sums as much as one that was: two half amounts asked for at the same
time are one whole amount. A caller without a number has no history, so there is no scope `caller` and a rule that reads
it asks a person. Pure; called by control and by `policy replay`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

CALLER_S = 30 * 86_400.0
"""How far back `caller` goes."""
NOT_DONE = frozenset({"denied", "expired", "cancelled", "failed"})
LET_THROUGH = frozenset({"approved", "executing", "succeeded", "failed", "unknown"})


@dataclass(frozen=True, slots=True)
class Past:
    """One request: `state` as in gate.State, `at` unix seconds."""

    tool: str
    call_id: str
    caller: str
    state: str
    arguments: Mapping[str, Any]
    at: float


def counts(past: Iterable[Past], request: Past, day_starts: float) -> dict[str, dict[str, Any]]:
    """The counts for `request`, itself not among them. `day_starts`: the local midnight before it, unix seconds."""
    same = [one for one in past if one.tool == request.tool]
    scopes = {
        "call": [one for one in same if one.call_id == request.call_id],
        "day": [one for one in same if one.at >= day_starts],
    }
    if request.caller:
        since = request.at - CALLER_S
        scopes["caller"] = [one for one in same if one.caller == request.caller and one.at >= since]
    return {scope: _of(ones) for scope, ones in scopes.items()}


def _of(ones: list[Past]) -> dict[str, Any]:
    sums: dict[str, float] = {}
    for one in ones:
        for name, value in one.arguments.items() if one.state not in NOT_DONE else ():
            if isinstance(value, int | float) and not isinstance(value, bool):
                sums[name] = sums.get(name, 0) + value
    return {
        "requests": len(ones),
        "approved": sum(1 for one in ones if one.state in LET_THROUGH),
        "sums": sums,
    }
