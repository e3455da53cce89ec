"""What an approver sees of one request, as plain values: from the stored gate and what is known around it.

Whatever a caller, a model or a tool's server wrote stays data here; render.py escapes it. Pure.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from bridge.approval.actions import FINAL, State
from bridge.approval.canonical import read
from bridge.approval.questions import MAX_QUESTIONS
from bridge.approval.request import CallerFacts
from bridge.console.argnames import Kind, is_target, named
from bridge.errors import ToolArgumentsError
from bridge.store.gaterows import StoredRequest
from bridge.store.queuestore import Around, SpokenLine

_REASON = re.compile(r"(reason|why|justification|explanation|rationale|motive|note|comment)s?", re.IGNORECASE)
_FIGURE = re.compile(r"\s*[-+]?[0-9][0-9.,' ]*\s*")
MAX_DEPTH, MAX_PARTS = 3, 40
_CURRENCY = re.compile(r"[A-Z]{3}")
SHOWN_ID = 8


@dataclass(frozen=True, slots=True)
class Described:
    """A function as its maker describes it. `foreign`: an MCP server's words, which nobody here wrote."""

    text: str = ""
    foreign: bool = False


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument: `text` as it is read, `value` as it is. `kind`: what about it matters most."""

    name: str
    text: str
    value: Any
    kind: Kind = ""

    @property
    def field(self) -> Literal["number", "flag", "text", "json"]:
        """How it is changed in a form."""
        match self.value:
            case bool():
                return "flag"
            case int() | float():
                return "number"
            case str():
                return "text"
        return "json"

    @property
    def raw(self) -> str:
        """What stands in the form's field."""
        return self.value if isinstance(self.value, str) else json.dumps(self.value, ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Earlier:
    """An earlier request of the same caller and function."""

    at: float
    state: str
    arguments: str
    approved_by: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class Asked:
    """A question that an approver had put to the caller. `state`: of approval/questions.py; `why`: it was not asked."""

    text: str
    by: str
    at: float
    state: str
    why: str


@dataclass(frozen=True, slots=True)
class Card:
    """One request. Times are unix seconds."""

    request_id: str
    version: int
    call_id: str
    tool: str
    state: str
    reason: str
    described: Described
    risk: str
    agent: str
    called: str
    caller: CallerFacts
    display: str
    arguments: tuple[Argument, ...]
    raw: str
    rule: str
    why: str
    question: str
    group: str
    escalate_to: str
    escalated: bool
    approvers: int
    approved_by: tuple[str, ...]
    edited_by: str
    binding: str
    asked_at: float
    due_at: float | None
    escalate_at: float | None
    execute_s: float
    asked: tuple[Asked, ...]
    lines: tuple[SpokenLine, ...]
    earlier: tuple[Earlier, ...]

    @property
    def short_id(self) -> str:
        """Enough to name it by."""
        return self.request_id[:SHOWN_ID]

    @property
    def shown(self) -> tuple[Argument, ...]:
        """What it would be run with; what has parts is taken apart, so that an amount inside is marked too."""
        whole = {one.name: one.value for one in self.arguments if not _is_reason(one)}
        parts = _parts(whole, MAX_DEPTH)
        return arguments_of(parts if len(parts) <= MAX_PARTS else whole)

    @property
    def said(self) -> tuple[Argument, ...]:
        """What the model says why it should be."""
        return tuple(one for one in self.arguments if _is_reason(one) and one.text)

    @property
    def pending(self) -> bool:
        """Whether a person is asked now."""
        return self.state == State.PENDING

    @property
    def settled(self) -> bool:
        """Whether it is over."""
        return self.state in FINAL

    @property
    def over(self) -> bool:
        """Whether what became of it is known, or will not be."""
        return self.settled or self.state == State.UNKNOWN

    @property
    def may_ask(self) -> bool:
        """Whether another question may be put to the caller."""
        return len(self.asked) < MAX_QUESTIONS

    @property
    def groups(self) -> tuple[str, ...]:
        """Who is asked now."""
        return (self.group, self.escalate_to) if self.escalated and self.escalate_to else (self.group,)


def card(row: StoredRequest, around: Around, described: Described) -> Card:
    """The card of a stored request. KeyError, TypeError: its gate cannot be read."""
    gate = row.gate
    request, ruling = gate["request"], gate["ruling"]
    ask = ruling["ask"] or {}
    return Card(
        request_id=row.request_id,
        version=row.version,
        call_id=row.call_id,
        tool=row.tool,
        state=row.state,
        reason=str(gate["reason"]),
        described=described,
        risk=str(request["risk"]),
        agent=str(request["agent"]),
        called=str(request["called"]),
        caller=CallerFacts(**request["caller"]),
        display=around.display,
        arguments=arguments_of(gate["arguments"]),
        raw=json.dumps(gate["arguments"], indent=2, ensure_ascii=False),
        rule=str(ruling["rule"]),
        why=str(ruling["why"]),
        question=str((ruling["confirm"] or {}).get("question", "")),
        group=str(ask.get("group", "")),
        escalate_to=str(ask.get("escalate_to", "")),
        escalated=bool(gate["escalated"]),
        approvers=int(ask.get("approvers", 1)),
        approved_by=tuple(gate["approved_by"]),
        edited_by=str(gate["edited_by"]),
        binding=str(gate["binding"]),
        asked_at=row.created_at,
        due_at=gate["due_at"],
        escalate_at=gate["escalate_at"],
        execute_s=float(ask.get("execute_s", 0.0)),
        asked=tuple(_asked(one) for one in gate.get("questions", ())),
        lines=around.lines,
        earlier=tuple(_earlier(one) for one in around.earlier if one.gate),
    )


def arguments_of(arguments: Mapping[str, Any]) -> tuple[Argument, ...]:
    """Every argument; amounts and targets are marked, an amount has its currency beside it."""
    found = []
    for name, value in arguments.items():
        kind = _kind(name.rpartition(".")[2], value)
        text = _text(value)
        currency = str(arguments.get(f"{name.rpartition('.')[0]}.currency".lstrip("."), ""))
        if kind == "amount" and _CURRENCY.fullmatch(currency):
            text = f"{text} {currency}"
        found.append(Argument(name, text, value, kind))
    return tuple(found)


def changed(arguments: Sequence[Argument], form: Mapping[str, str]) -> dict[str, Any]:
    """The arguments as a form has them, each in the type it had. ValueError "name|number" or "name|json"."""
    return {one.name: _value(one, form.get(f"argument.{one.name}", one.raw)) for one in arguments}


def _value(argument: Argument, given: str) -> Any:
    if given == argument.raw:
        return argument.value
    if argument.field == "text":
        return given
    if argument.field == "flag":
        return given == "true"
    try:
        value = read(given)
    except ToolArgumentsError:
        raise ValueError(f"{argument.name}|{argument.field}") from None
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if argument.field == "number" and not number:
        raise ValueError(f"{argument.name}|{argument.field}")
    return value


def _kind(name: str, value: Any) -> Kind:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if number or (isinstance(value, str) and _FIGURE.fullmatch(value) is not None):
        return named(name)
    return "target" if is_target(name) else ""


def _parts(value: Mapping[str, Any], depth: int, of: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, one in value.items():
        inside = _parts(one, depth - 1, f"{of}{name}.") if isinstance(one, dict) and one and depth else {}
        found |= inside or {f"{of}{name}": one}
    return found


def _is_reason(argument: Argument) -> bool:
    return isinstance(argument.value, str) and _REASON.fullmatch(argument.name) is not None


def _text(value: Any) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case float() if value.is_integer() and abs(value) < 1e15:
            return str(int(value))
        case str():
            return value
    return json.dumps(value, ensure_ascii=False)


def _asked(question: Mapping[str, Any]) -> Asked:
    words = (str(question[name]) for name in ("state", "why"))
    return Asked(str(question["text"]), str(question["by"]), float(question["at"]), *words)


def _earlier(row: StoredRequest) -> Earlier:
    gate = row.gate
    arguments = ", ".join(f"{one.name} {one.text}" for one in arguments_of(gate["arguments"]))
    return Earlier(row.created_at, row.state, arguments, tuple(gate["approved_by"]), str(gate["reason"]))
