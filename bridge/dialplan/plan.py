"""A compiled dialplan: one immutable value that says what happens to a call.

    Plan ─ routes ─ Route(name, conditions, steps)      first route whose conditions all fit wins
         └ agents ─ Agent(name, provider, voice, …)

control builds it from YAML files (bridge/dialplan/load.py) and pushes it to the workers as JSON; a call keeps
the plan it was routed by. `version` is a hash of the content: equal plans have equal versions, a record that
names a version names exactly one plan.

Worker-safe: standard library only. Pure: no I/O, no clock, any thread. It never validates what a person
wrote; that is done before it exists.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from bridge.dialplan.agent import Agent
from bridge.dialplan.book import Book
from bridge.dialplan.facts import BY_CLOCK, HEADER, CallFacts, Condition
from bridge.dialplan.hours import Hours
from bridge.dialplan.match import RouteIndex
from bridge.dialplan.nameindex import NameIndex, by_pattern
from bridge.dialplan.outbound import Outbound
from bridge.dialplan.queue import Queue
from bridge.dialplan.recording import RecordingRule
from bridge.dialplan.steps import (
    AgentStep,
    HangUpStep,
    PlayStep,
    RejectStep,
    RingStep,
    SayStep,
    Step,
    TransferStep,
    walk,
)
from bridge.errors import DialplanError, LinkError, Problem
from bridge.piecejson import decode_text, digest
from bridge.strictjson import encode
from bridge.trunk import Trunk

__all__ = [
    "BY_CLOCK",
    "HEADER",
    "Agent",
    "AgentStep",
    "Book",
    "CallFacts",
    "Condition",
    "HangUpStep",
    "Plan",
    "PlayStep",
    "RejectStep",
    "RingStep",
    "Route",
    "SayStep",
    "Step",
    "TransferStep",
]

_WHERE = frozenset({"file", "line", "path"})
"""Fields that say where something is written: moving a plan, or a comment in it, makes no new version."""


@dataclass(frozen=True, slots=True)
class Route:
    """Conditions (all must fit; none fits every call) and what to do.

    `file` and `line` say where it is written. `recording`: goes before the agents' rules.
    """

    name: str
    conditions: tuple[Condition, ...]
    steps: tuple[Step, ...]
    file: str = ""
    line: int = 0
    recording: RecordingRule | None = None

    def misfit(self, facts: CallFacts) -> Condition | None:
        """The first condition the call does not fulfil; None when the route fits."""
        return next((condition for condition in self.conditions if not condition.fits(facts)), None)

    @property
    def max_calls(self) -> int | None:
        """How many calls it takes at a time; None: any number."""
        found = (int(one.patterns[0]) for one in self.conditions if one.field == "capacity")
        return next(found, None)


@dataclass(frozen=True)
class Plan:
    """All routes in file order and all agents. `version` is 12 hex digits of the content's SHA-256.

    `transfers`: the SIP URIs that calls may go to, by name; `over`: by which trunk, for those that have one.
    """

    routes: tuple[Route, ...]
    agents: tuple[Agent, ...]
    transfers: Mapping[str, str] = field(default_factory=dict)
    hours: tuple[Hours, ...] = ()
    flows: Mapping[str, tuple[Step, ...]] = field(default_factory=dict)
    queues: tuple[Queue, ...] = ()
    book: Book = field(default_factory=Book)
    outbound: Outbound | None = None
    trunks: tuple[Trunk, ...] = ()
    over: Mapping[str, str] = field(default_factory=dict)
    version: str = field(init=False)
    _index: RouteIndex = field(init=False, repr=False, compare=False)
    _names: NameIndex = field(init=False, repr=False, compare=False)
    _agents: Mapping[str, Agent] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        by_field = [{c.field: c.patterns for c in route.conditions if by_pattern(c)} for route in self.routes]
        object.__setattr__(self, "version", digest(self._content(_WHERE))[:12])
        object.__setattr__(self, "_index", RouteIndex(by_field))
        object.__setattr__(self, "_names", NameIndex([route.conditions for route in self.routes]))
        object.__setattr__(self, "_agents", {agent.name: agent for agent in self.agents})

    def _content(self, without: frozenset[str] = frozenset()) -> dict[str, Any]:
        parts = {"routes": encode(self.routes, without), "agents": encode(self.agents, without)}
        return {
            **parts,
            "transfers": dict(self.transfers),
            "hours": encode(self.hours, without),
            "flows": encode(self.flows, without),
            "queues": encode(self.queues, without),
            "book": encode(self.book, without),
            "outbound": encode(self.outbound, without),
            "trunks": encode(self.trunks, without),
            "over": dict(self.over),
        }

    def open_at(self, at: datetime) -> frozenset[str]:
        """Names of the opening hours that an aware instant falls into."""
        return frozenset(hours.name for hours in self.hours if hours.open_at(at))

    def complete(self, facts: CallFacts, at: datetime) -> CallFacts:
        """The facts of a call that came at the aware instant `at`, with all that this plan makes of them."""
        return self.book.complete(replace(facts, open_hours=self.open_at(at)), at)

    def route(self, facts: CallFacts) -> Route:
        """The first route that fits the call; DialplanError (SIP 404) when none does."""
        for number in self._index.candidates(facts.value, self._names.mask(facts)):
            if self.routes[number].misfit(facts) is None:
                return self.routes[number]
        raise DialplanError(
            [Problem("dialplan", 0, 0, "", "no route fits this call", "add a last route without `when`")]
        )

    def trunk(self, name: str) -> Trunk | None:
        """The trunk of that name; None when there is none, as for "" (a call of nobody known)."""
        return next((trunk for trunk in self.trunks if trunk.name == name), None)

    def agent(self, name: str) -> Agent:
        """The agent of that name. Names in steps were checked at load, so a KeyError is a bug of ours."""
        return self._agents[name]

    def queue(self, name: str) -> Queue:
        """The queue of that name; KeyError: names were checked at load."""
        return {queue.name: queue for queue in self.queues}[name]

    def steps(self) -> Iterator[Step]:
        """Every step of every route and flow, those inside others included, in file order; then of calls we place."""
        out = (self.outbound.steps, self.outbound.message) if self.outbound else ()
        lists = (*(route.steps for route in self.routes), *self.flows.values(), *out)
        return walk(step for steps in lists for step in steps)

    def to_json(self) -> str:
        """One line of JSON that `from_json` reads."""
        return json.dumps({"version": self.version, **self._content()}, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> "Plan":
        """The inverse of `to_json`.

        LinkError when it does not fit this code, or the content is not what was sent.
        """
        wire = decode_text(_PlanWire, text, "plan")
        parts = (wire.transfers, wire.hours, wire.flows, wire.queues, wire.book, wire.outbound, wire.trunks)
        plan = cls(wire.routes, wire.agents, *parts, wire.over)
        if plan.version != wire.version:
            raise LinkError(f"the plan's content has version {plan.version}, it was sent as {wire.version}")
        return plan


@dataclass(frozen=True, slots=True)
class _PlanWire:
    version: str
    routes: tuple[Route, ...]
    agents: tuple[Agent, ...]
    transfers: Mapping[str, str]
    hours: tuple[Hours, ...]
    flows: Mapping[str, tuple[Step, ...]]
    queues: tuple[Queue, ...]
    book: Book
    outbound: Outbound | None
    trunks: tuple[Trunk, ...]
    over: Mapping[str, str]
