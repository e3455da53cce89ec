"""A compiled dialplan: one immutable value that says what happens to a call.

    Plan ─ routes ─ Route(name, conditions, steps)      first route whose conditions all fit wins
         └ agents ─ Agent(name, provider, voice, …)

control builds it from YAML files (bridge/dialplan/load.py) and pushes it to the workers as JSON; a call keeps
the plan it was routed by. `version` is a hash of the content: equal plans have equal versions, a record that
names a version names exactly one plan.

Worker-safe: standard library only. Pure: no I/O, no clock, any thread. It never validates what a person
wrote; that is done before it exists.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar

from bridge.config import AudioFormat
from bridge.dialplan.hours import Hours
from bridge.dialplan.match import RouteIndex, fits
from bridge.errors import DialplanError, LinkError, Problem
from bridge.strictjson import decode, encode

HEADER = "header:"
"""Prefix of a condition's field that names a SIP header, in lower case: `header:x-customer`."""


BY_CLOCK = frozenset({"hours", "outside"})
"""Fields of conditions that look at the time of the call: within, or outside of, opening hours by name."""

_WHERE = frozenset({"file", "line", "path"})
"""Fields that say where something is written: moving a plan, or a comment in it, makes no new version."""


@dataclass(frozen=True, slots=True)
class CallFacts:
    """What is known of a call when it is routed. All of it comes from the network and proves nothing.

    Numbers are the user parts of the URIs (`to_number`: request URI). `headers` has lower-case names.
    """

    to_number: str
    from_number: str = ""
    from_name: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    to_host: str = ""
    from_host: str = ""
    open_hours: frozenset[str] = frozenset()

    def value(self, name: str) -> str:
        """The value a condition on `name` ("to", "from", "header:x-foo") looks at; a missing header is ""."""
        if name in BY_CLOCK:
            return ", ".join(sorted(self.open_hours))
        if name == "to":
            return self.to_number
        if name == "from":
            return self.from_number
        return self.headers.get(name.removeprefix(HEADER), "")


@dataclass(frozen=True, slots=True)
class RingStep:
    """180 Ringing for `ms` milliseconds before the next step."""

    TAG: ClassVar = "ring"
    ms: int


@dataclass(frozen=True, slots=True)
class SayStep:
    """Answer if that has not happened, speak the prompt to its end.

    Its WAV is `PathsConfig.prompt(prompt_id)`.
    """

    TAG: ClassVar = "say"
    text: str
    language: str
    prompt_id: str


@dataclass(frozen=True, slots=True)
class PlayStep:
    """Answer if that has not happened, play the WAV file (8 kHz, mono, 16 bit, checked) to its end."""

    TAG: ClassVar = "play"
    path: str
    prompt_id: str


@dataclass(frozen=True, slots=True)
class HangUpStep:
    """End the call: BYE once answered (with `Reason: SIP;cause=status` when there is one), else a final response.

    `status` None: an ordinary end; 480 when the call is not answered.
    """

    TAG: ClassVar = "hang_up"
    status: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class RejectStep:
    """Refuse the call, not answered yet, with this final response."""

    TAG: ClassVar = "reject"
    status: int
    reason: str


@dataclass(frozen=True, slots=True)
class AgentStep:
    """Connect the caller with an agent. `or_else` runs when the model does not come up or dies.

    An empty `or_else` means: end the call with 503 and say why.
    """

    TAG: ClassVar = "agent"
    agent: str
    or_else: tuple["Step", ...] = ()


@dataclass(frozen=True, slots=True)
class TransferStep:
    """Answer if that has not happened, REFER the caller to a target of the plan's `transfers`, and hang up.

    `or_else` runs when the target cannot be reached; empty: end the call with 503 and say why.
    """

    TAG: ClassVar = "transfer"
    target: str
    or_else: tuple["Step", ...] = ()


Step = RingStep | SayStep | PlayStep | HangUpStep | RejectStep | AgentStep | TransferStep


@dataclass(frozen=True, slots=True)
class Condition:
    """`field` ("to", "from", "header:x-foo") must fit one of `patterns`; "hours", "outside": names of opening hours."""

    field: str
    patterns: tuple[str, ...]

    def fits(self, facts: CallFacts) -> bool:
        """Whether any pattern fits the call; a header that is not there fits none."""
        if self.field in BY_CLOCK:
            return bool(facts.open_hours & {*self.patterns}) is (self.field == "hours")
        if self.field.startswith(HEADER) and self.field.removeprefix(HEADER) not in facts.headers:
            return False
        value = facts.value(self.field)
        return any(fits(pattern, value) for pattern in self.patterns)


@dataclass(frozen=True, slots=True)
class Route:
    """Conditions (all must fit; none fits every call) and what to do.

    `file` and `line` say where it is written.
    """

    name: str
    conditions: tuple[Condition, ...]
    steps: tuple[Step, ...]
    file: str = ""
    line: int = 0

    def misfit(self, facts: CallFacts) -> Condition | None:
        """The first condition the call does not fulfil; None when the route fits."""
        return next((condition for condition in self.conditions if not condition.fits(facts)), None)


@dataclass(frozen=True, slots=True)
class Agent:
    """Settings of a Realtime session, checked, in the API's words (reference/realtime.md section 1.4).

    None means "not sent, the server decides", but for `turn_detection`, where None is sent as null: no
    detection. `greeting` and `instructions` are templates (bridge/dialplan/variables.py). `audio_format`
    None: as in the settings. `provider` and `model` None: as in the settings.
    """

    name: str
    instructions: str
    greeting: str | None = None
    language: str = "en"
    provider: str | None = None
    model: str | None = None
    voice: str | None = None
    speed: float | None = None
    audio_format: AudioFormat | None = None
    turn_detection: Mapping[str, Any] | None = None
    noise_reduction: Mapping[str, Any] | None = None
    transcription: Mapping[str, Any] | None = None
    max_output_tokens: int | str | None = None
    truncation: str | Mapping[str, Any] | None = None
    tool_choice: str | Mapping[str, Any] | None = None
    reasoning_effort: str | None = None
    barge_in: bool = True
    recording: bool = True
    max_call_s: int | None = None
    tools: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """All routes in file order and all agents. `version` is 12 hex digits of the content's SHA-256.

    `transfers`: the SIP URIs that a call may be referred to, by name.
    """

    routes: tuple[Route, ...]
    agents: tuple[Agent, ...]
    transfers: Mapping[str, str] = field(default_factory=dict)
    hours: tuple[Hours, ...] = ()
    version: str = field(init=False)
    _index: RouteIndex = field(init=False, repr=False, compare=False)
    _agents: Mapping[str, Agent] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        canonical = json.dumps(self._content(_WHERE), sort_keys=True, separators=(",", ":"))
        by_field = [
            {c.field: c.patterns for c in route.conditions if c.field not in BY_CLOCK}
            for route in self.routes
        ]
        object.__setattr__(self, "version", hashlib.sha256(canonical.encode()).hexdigest()[:12])
        object.__setattr__(self, "_index", RouteIndex(by_field))
        object.__setattr__(self, "_agents", {agent.name: agent for agent in self.agents})

    def _content(self, without: frozenset[str] = frozenset()) -> dict[str, Any]:
        parts = {"routes": encode(self.routes, without), "agents": encode(self.agents, without)}
        return {**parts, "transfers": dict(self.transfers), "hours": encode(self.hours, without)}

    def open_at(self, at: datetime) -> frozenset[str]:
        """Names of the opening hours that an aware instant falls into."""
        return frozenset(hours.name for hours in self.hours if hours.open_at(at))

    def route(self, facts: CallFacts) -> Route:
        """The first route that fits the call; DialplanError (SIP 404) when none does."""
        for number in self._index.candidates(facts.value):
            if self.routes[number].misfit(facts) is None:
                return self.routes[number]
        raise DialplanError(
            [Problem("dialplan", 0, 0, "", "no route fits this call", "add a last route without `when`")]
        )

    def agent(self, name: str) -> Agent:
        """The agent of that name. Names in steps were checked at load, so a KeyError is a bug of ours."""
        return self._agents[name]

    def steps(self) -> Iterator[Step]:
        """Every step of every route, fallbacks included, in file order."""
        waiting: list[Step] = [step for route in reversed(self.routes) for step in reversed(route.steps)]
        while waiting:
            step = waiting.pop()
            yield step
            if isinstance(step, AgentStep | TransferStep):
                waiting.extend(reversed(step.or_else))

    def to_json(self) -> str:
        """One line of JSON that `from_json` reads."""
        return json.dumps({"version": self.version, **self._content()}, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> "Plan":
        """The inverse of `to_json`.

        LinkError when it does not fit this code, or the content is not what was sent.
        """
        try:
            data = json.loads(text)
        except ValueError as error:
            raise LinkError(f"the plan is not JSON: {error}") from None
        wire = decode(_PlanWire, data, "plan")
        plan = cls(wire.routes, wire.agents, wire.transfers, wire.hours)
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
