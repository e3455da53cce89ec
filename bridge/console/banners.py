"""What needs a person, for the top of every page: few lines, the worst first, each with what to do and where. Pure.

They are found out for everybody at once (Watch in health.py), and name nobody: any role reads them.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from bridge.console.healthfacts import CRASHES, Chain, Facts, NodeHealth
from bridge.console.healthview import BAD, WARN, span
from bridge.console.texts import text

MOST = 6
"""Banners on a page; what is left out is on the health page anyway."""
AWAY_S = 3.0
EXPIRES_S = 21 * 86_400.0
NAMES = 3


@dataclass(frozen=True, slots=True)
class Banner:
    """`name`: of its words; `path`: a page of the console where something can be done about it."""

    name: str
    words: str
    path: str
    tone: str = WARN


@dataclass(frozen=True, slots=True)
class Worries:
    """What is not on the health page besides: mistakes of the dialplan's files, the last refusal, the audit's chain."""

    mistakes: int = 0
    refused: str = ""
    audit: Chain = field(default_factory=Chain)


def banners(facts: Facts, worries: Worries) -> tuple[Banner, ...]:
    """The worst first, at most MOST."""
    found = [
        *_store(facts),
        *_audit(worries),
        *_dialplan(worries),
        *_nodes(facts),
        *_crashing(facts),
        *_trunks(facts),
        *_disks(facts),
        *_certificate(facts),
        *_outcomes(facts),
        *_tools(facts),
    ]
    return tuple(sorted(found, key=lambda one: one.tone != BAD)[:MOST])


def _store(facts: Facts) -> Iterator[Banner]:
    if facts.store.failing_s > AWAY_S or facts.store.error:
        yield Banner("store", text("banner.store"), "/health#store", BAD)


def _audit(worries: Worries) -> Iterator[Banner]:
    if worries.audit.problem:
        yield Banner("audit", text("banner.audit", what=worries.audit.problem), "/health", BAD)


def _dialplan(worries: Worries) -> Iterator[Banner]:
    if worries.mistakes:
        yield Banner("dialplan", text("banner.dialplan", count=worries.mistakes), "/dialplan/disk", BAD)
    elif worries.refused:
        yield Banner("refused", text("banner.refused", action=worries.refused), "/dialplan")


def _nodes(facts: Facts) -> Iterator[Banner]:
    lost = [str(one["name"]) for one in facts.nodes if one["state"] == "lost"]
    if facts.shared and lost:
        yield Banner("node", text("banner.node", names=_some(lost)), "/health#nodes", BAD)


def _crashing(facts: Facts) -> Iterator[Banner]:
    names = [
        _at(facts, part, str(one["name"]))
        for part in _heard(facts)
        for one in part.children
        if int(one["failures"]) >= CRASHES
    ]
    if names:
        yield Banner("crashing", text("banner.crashing", names=_some(names)), "/health#processes", BAD)


def _trunks(facts: Facts) -> Iterator[Banner]:
    names = [
        _at(facts, part, one.name)
        for part in _heard(facts)
        if part.registering
        for one in part.trunks
        if one.registers and not one.registered
    ]
    if names:
        yield Banner("trunk", text("banner.trunk", names=_some(names)), "/health#trunks", BAD)


def _disks(facts: Facts) -> Iterator[Banner]:
    names = [_at(facts, part, one.what) for part in _heard(facts) for one in part.disks if one.tight]
    if names:
        yield Banner("disk", text("banner.disk", names=_some(names)), "/health#disks", BAD)


def _certificate(facts: Facts) -> Iterator[Banner]:
    """Every node's edge may have one; the one that expires first is told of."""
    known = [one.certificate_until for one in _heard(facts) if one.certificate_until is not None]
    if not known:
        return
    left_s = min(known) - facts.at
    if left_s <= 0:
        yield Banner("certificate", text("banner.certificate_over"), "/health", BAD)
    elif left_s < EXPIRES_S:
        yield Banner("certificate", text("banner.certificate", time=span(left_s)), "/health")


def _outcomes(facts: Facts) -> Iterator[Banner]:
    if facts.store.unknown:
        yield Banner("unknown", text("banner.unknown", count=facts.store.unknown), "/approvals")


def _tools(facts: Facts) -> Iterator[Banner]:
    if facts.pending:
        yield Banner("tools", text("banner.tools", count=len(facts.pending)), "/health#pending")
    names = [one.name for one in facts.others if one.fresh and one.pending]
    if names:
        yield Banner("tools_elsewhere", text("banner.tools_elsewhere", names=_some(names)), "/health#nodes")


def _heard(facts: Facts) -> list[NodeHealth]:
    """Every node whose word still counts; that one is lost is a banner of its own."""
    return [part for part in facts.parts() if part.fresh]


def _at(facts: Facts, part: NodeHealth, name: str) -> str:
    return name if part.name == facts.here.name else text("banner.at", name=name, node=part.name)


def _some(names: list[str]) -> str:
    more = len(names) - NAMES
    return ", ".join(names[:NAMES]) + (f" (+{more})" if more > 0 else "")
