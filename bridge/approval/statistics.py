"""How people decide what a rule asks them, from the audit: figures that show a rule that tires them. Pure.

    requested, confirmed ─► asked at        approved (enough), denied, expired, cancelled ─► decided at

Counted is what was asked of a person inside the entries that are given; what policy or caller settled is not. An
approval within QUICK_S of the question was hardly read. Times are unix seconds.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

QUICK_S = 3.0
ENOUGH = 20
"""So many decisions say something about a rule."""
MANY_QUICK = 0.5
MANY_LATE = 0.3
MAX_NAMES = 5
TYPES = ("requested", "confirmed", "approved", "denied", "expired", "cancelled", "withdrawn", "distrusted")
"""Entries that are looked at."""
_ENDS = {"expired": "expired", "cancelled": "cancelled", "withdrawn": "cancelled", "distrusted": "cancelled"}


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the audit."""

    at: float
    request_id: str
    type: str
    actor: str
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RuleFigures:
    """One rule and function. `waiting`: not decided yet; `quick`: share of approvals within QUICK_S, None without any.

    `deciders`: (name, decisions), the busiest first. `hint`: always, quick, late or "".
    """

    rule: str
    tool: str
    asked: int
    approved: int
    denied: int
    expired: int
    cancelled: int
    edited: int
    waiting: int
    median_s: float | None
    p90_s: float | None
    quick: float | None
    deciders: tuple[tuple[str, int], ...]

    @property
    def hint(self) -> str:
        """What wears people out here, the worst first."""
        decided = self.approved + self.denied + self.expired
        if self.approved >= ENOUGH and not (self.denied or self.expired or self.edited):
            return "always"
        if self.quick is not None and self.approved >= ENOUGH // 2 and self.quick >= MANY_QUICK:
            return "quick"
        if decided >= ENOUGH // 2 and self.expired >= MANY_LATE * decided:
            return "late"
        return ""


@dataclass(slots=True)
class _Asked:
    rule: str
    tool: str
    at: float | None = None
    outcome: str = ""
    edited: bool = False
    took_s: float | None = None


@dataclass(slots=True)
class _Rule:
    requests: list[_Asked] = field(default_factory=list)
    deciders: Counter[str] = field(default_factory=Counter)
    approvals_s: list[float] = field(default_factory=list)


def figures(entries: Iterable[Entry]) -> tuple[RuleFigures, ...]:
    """Of entries in their order; the rule that asked most comes first."""
    requests: dict[str, _Asked] = {}
    rules: dict[tuple[str, str], _Rule] = {}
    for entry in entries:
        if entry.type == "requested":
            requests[entry.request_id] = _Asked(
                str(entry.facts.get("rule", "")), str(entry.facts.get("tool", ""))
            )
        one = requests.get(entry.request_id)
        if one is not None:
            _take(one, entry, rules)
    found = [_figures(key, rule) for key, rule in rules.items()]
    return tuple(sorted(found, key=lambda rule: (-rule.asked, rule.rule, rule.tool)))


def _take(one: _Asked, entry: Entry, rules: dict[tuple[str, str], _Rule]) -> None:
    state = entry.facts.get("state")
    if entry.type in {"requested", "confirmed"} and state == "pending" and one.at is None:
        one.at = entry.at
        rules.setdefault((one.rule, one.tool), _Rule()).requests.append(one)
    if one.at is None or one.outcome:  # never asked of a person, or over
        return
    rule, after_s = rules[one.rule, one.tool], max(entry.at - one.at, 0.0)
    if entry.type in {"approved", "denied"}:
        rule.deciders[entry.actor] += 1
    if entry.type == "approved":
        one.edited = one.edited or bool(entry.facts.get("edited"))
        rule.approvals_s.append(after_s)
    if entry.type == "denied" or (entry.type == "approved" and state != "pending"):
        one.outcome, one.took_s = entry.type, after_s
    one.outcome = one.outcome or _ENDS.get(entry.type, "")


def _figures(key: tuple[str, str], rule: _Rule) -> RuleFigures:
    outcomes = Counter(one.outcome for one in rule.requests)
    took = sorted(one.took_s for one in rule.requests if one.took_s is not None)
    quick = sum(after_s < QUICK_S for after_s in rule.approvals_s)
    return RuleFigures(
        rule=key[0],
        tool=key[1],
        asked=len(rule.requests),
        approved=outcomes["approved"],
        denied=outcomes["denied"],
        expired=outcomes["expired"],
        cancelled=outcomes["cancelled"],
        edited=sum(one.edited for one in rule.requests),
        waiting=outcomes[""],
        median_s=_nearest(took, 0.5),
        p90_s=_nearest(took, 0.9),
        quick=quick / len(rule.approvals_s) if rule.approvals_s else None,
        deciders=tuple(rule.deciders.most_common(MAX_NAMES)),
    )


def _nearest(values: Sequence[float], share: float) -> float | None:
    """The value that so many are not above (nearest rank)."""
    return values[max(math.ceil(share * len(values)) - 1, 0)] if values else None
