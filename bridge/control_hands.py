"""An operator's hands on live calls: what can be ordered, of which call, and who carries it out.

    API, CLI, console ─► Hands.do ─► this node's worker (control_commands.py), or another node (control_errands.py)

An id may be cut to its beginning as long as it fits one call only. A target is a name of the `transfers` of the call's
own plan, never an address. Whoever asks has looked at the right `calls` before. Everything is told in the log and, with
`by`, in the call's record. Runs on control's loop.
"""

import asyncio
import re
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import structlog

from bridge.control_api_docs import Schema, exactly, maybe, one_of, string
from bridge.control_commands import Commands
from bridge.errors import OrderError, ToolError, ToolLostError
from bridge.records.cdr import CallRecord
from bridge.store.store import Store

log = structlog.get_logger(__name__)

MAX_LIVE = 1000
MAX_AT_ONCE = 16
"""Commands of one kind under way; calls that wait for a transfer never keep somebody from hanging up."""
ELSEWHERE = 0.9
"""Of a command's time, for another node to do it: the rest is for taking it back when it has not begun."""
MAX_BY_CHARS = 64
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
_TOLD = ("recording", "paused", "changed", "address", "rate_hz")
"""What of a call's answer is passed on."""
_LOGGED = ("target", "agent", "mode", "stop", "action", "now")

Check = Callable[[Any], bool]


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a command's body. `wanted`: what it must be, in words; `schema`: for programs."""

    fits: Check
    wanted: str
    schema: Schema
    required: bool = True


@dataclass(frozen=True, slots=True)
class Kind:
    """A command: its keys, and the seconds its worker may take. `summary`: what it does, in words."""

    deadline_s: float
    keys: Mapping[str, Key]
    summary: str
    details: str = ""

    @property
    def body(self) -> Schema:
        """What a body must be."""
        needed = {name: key.schema for name, key in self.keys.items() if key.required}
        more = {name: maybe(key.schema) for name, key in self.keys.items() if not key.required}
        return exactly(needed, **more)


def _text(most: int, *, required: bool = False) -> Key:
    def fits(value: Any) -> bool:
        one_line = isinstance(value, str) and len(value) <= most and value.isprintable()
        return one_line and bool(value.strip() or not required)

    schema = string(most, int(required), r"^[^\x00-\x1f\x7f]*$")
    return Key(fits, f"a text of one line and at most {most} characters", schema, required)


def _one_of(*values: str, required: bool = True) -> Key:
    def fits(value: Any) -> bool:
        return isinstance(value, str) and value in values

    return Key(fits, " or ".join(values), one_of(*values), required)


def _name(of: str) -> Key:
    return Key(
        lambda value: isinstance(value, str) and _NAME.fullmatch(value) is not None,
        f"a name of {of}",
        {"type": "string", "pattern": f"^{_NAME.pattern}$", "description": f"A name of {of}."},
    )


_TARGET = _name("the dialplan's transfers")
_SEAT = Key(
    lambda value: isinstance(value, str) and re.fullmatch(r"seat:[0-9a-f]{16}", value) is not None,
    "a seat",
    {},
)
_KEY = Key(
    lambda value: isinstance(value, str) and re.fullmatch(r"[0-9a-f]{64}", value) is not None,
    "a key",
    {},
    required=False,
)
_FLAG = Key(lambda value: isinstance(value, bool), "true or false", {"type": "boolean"}, required=False)
KINDS: Mapping[str, Kind] = {
    "hang_up": Kind(
        10,
        {"reason": _text(80)},
        "End the call.",
        "At once: BYE (480 before the answer, CANCEL of an outbound call) with a Reason header.",
    ),
    "transfer": Kind(
        60,
        {"target": _TARGET},
        "Send the caller to a target (blind transfer, REFER).",
        "The caller stays with the agent until the target has answered.",
    ),
    "warm_transfer": Kind(
        90,
        {"target": _TARGET, "summary": _text(1000)},
        "Ask a target first, then connect.",
        "INVITE to the target, the summary is spoken, accepted with 1.",
    ),
    "supervise": Kind(
        40,
        {
            "target": _TARGET,
            "mode": _one_of("listen", "whisper", "join", required=False),
            "stop": _FLAG,
        },
        "Let a target listen, whisper to the agent, or join; or stop that.",
    ),
    "take_over": Kind(
        40, {"target": _TARGET}, "Let a target talk with the caller alone.", "The agent's session ends."
    ),
    "hand_back": Kind(
        40,
        {"note": _text(500)},
        "After a take-over: the agent has the caller again.",
        "It begins anew, knows what was said before, and is told the note; who took over leaves when it is heard.",
    ),
    "whisper": Kind(
        10,
        {"text": _text(1000, required=True), "now": _FLAG},
        "Tell the agent something that the caller does not hear.",
        "It follows that from its next words on; with now it speaks at once.",
    ),
    "recording": Kind(
        10,
        {"action": _one_of("pause", "resume")},
        "Pause the recording, or go on with it.",
        "What one operator pauses another resumes; a tool's pause stays.",
    ),
    "hand_off": Kind(
        30,
        {"agent": _name("the dialplan's agents"), "note": _text(500)},
        "Give the caller to another agent.",
        "One of the agent's hand_off_to.",
    ),
}

_SEATS: Mapping[str, Kind] = {
    "seat": Kind(
        20,
        {
            "target": _SEAT,
            "key": _KEY,
            "mode": _one_of("listen", "whisper", "join", required=False),
            "stop": _FLAG,
        },
        "Let a browser listen, whisper to the agent, or join.",
    ),
    "seat_take_over": Kind(40, {"target": _SEAT}, "Let a browser talk with the caller alone."),
}
"""For the console's own pages: whoever else may order has no seat."""
_ALL = {**KINDS, **_SEATS}


class Elsewhere(Protocol):
    """The other nodes (control_node.NodeOffice)."""

    def boots(self) -> Collection[str]:
        """The worker processes that are connected on any node."""

    async def ask(
        self, record: CallRecord, kind: str, data: Mapping[str, Any], wait_s: float
    ) -> Mapping[str, Any]:
        """Have another node's call do it. Raises ToolError, ToolLostError, TimeoutError."""


@dataclass(frozen=True, slots=True)
class HandsDeps:
    """`boots`: the worker processes that are connected here."""

    store: Store
    commands: Commands
    boots: Callable[[], Sequence[str]]
    elsewhere: Elsewhere | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """Somebody (`by`) wants a call (`call`: its id or its beginning) to do something. `how`: API, CLI, console."""

    call: str
    kind: str
    body: Mapping[str, Any]
    by: str
    how: str


class Hands:
    """Carries out orders. One for all who order: they share the limits."""

    def __init__(self, deps: HandsDeps) -> None:
        self._deps = deps
        self._running: Counter[str] = Counter()

    def connected(self) -> set[str]:
        """Worker processes that can be reached, on any node."""
        elsewhere = self._deps.elsewhere
        return {*self._deps.boots(), *(elsewhere.boots() if elsewhere else ())}

    async def do(self, order: Order) -> dict[str, Any]:
        """The call has done it: `call_id`, `done`, and what it says. Raises OrderError: it has not, or nobody knows."""
        data = {**checked(order.kind, order.body), "by": order.by[:MAX_BY_CHARS]}
        record = await self._target(order.call)
        if self._running[order.kind] >= MAX_AT_ONCE:
            raise OrderError(
                429, f"{MAX_AT_ONCE} commands {order.kind} are under way already: try again soon"
            )
        self._running[order.kind] += 1
        try:
            answer = await self._run(record, order.kind, data)
        except OrderError as error:
            _tell(record, order, data, str(error))
            raise
        finally:
            self._running[order.kind] -= 1
        _tell(record, order, data, "")
        told = {key: answer[key] for key in _TOLD if key in answer}
        return {"call_id": record.call_id, "done": order.kind, **told}

    async def _target(self, prefix: str) -> CallRecord:
        """The live call of this id. OrderError: which one, or it is over, or nobody can reach it."""
        live = [one for one in await self._deps.store.live(MAX_LIVE) if one.call_id.startswith(prefix)]
        record = single(prefix, live or await self._deps.store.find(prefix))
        if record.ended_at is not None:
            raise OrderError(409, f"call {record.call_id[:8]} is over")
        if record.boot not in self.connected():
            raise OrderError(503, f"the worker of call {record.call_id[:8]} is not connected now: try again")
        return record

    async def _run(self, record: CallRecord, kind: str, data: Mapping[str, Any]) -> Mapping[str, Any]:
        call_id, deadline_s = record.call_id, _ALL[kind].deadline_s
        try:
            async with asyncio.timeout(deadline_s):
                if self._deps.elsewhere is not None and record.boot not in self._deps.boots():
                    return await self._deps.elsewhere.ask(record, kind, data, deadline_s * ELSEWHERE)
                return await self._deps.commands.run(call_id, kind, data)
        except ToolLostError as error:
            raise OrderError(409, str(error)) from None
        except ToolError as error:
            raise OrderError(422, str(error)) from None
        except TimeoutError:
            found = await self._deps.store.find(call_id)
            if found and found[0].ended_at is not None:  # it ended while we began
                raise OrderError(409, f"call {call_id[:8]} is over") from None
            sentence = f"the call has not answered within {deadline_s:g} s; it may still do it"
            raise OrderError(504, sentence) from None


def checked(kind: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """The body of a command. Raises OrderError 400: an unknown key, one missing, one that does not fit."""
    keys = _ALL[kind].keys
    unknown = next((key for key in body if key not in keys), None)
    if unknown is not None:
        raise OrderError(400, f"unknown key {unknown[:40]!r}: {kind} has {', '.join(keys)}")
    for name, key in keys.items():
        value = body.get(name)
        if value is None and key.required:
            raise OrderError(400, f"{name} is missing: {key.wanted}")
        if value is not None and not key.fits(value):
            raise OrderError(400, f"{name} must be {key.wanted}")
    return {name: value for name, value in body.items() if value is not None}


def single(prefix: str, found: Sequence[CallRecord]) -> CallRecord:
    """The one call that is meant. Raises OrderError: none, or several."""
    if not found:
        raise OrderError(404, f"no call's id begins with {prefix}")
    exact = [one for one in found if one.call_id == prefix]
    if len(exact or found) > 1:
        ids = [one.call_id for one in found[:10]]
        raise OrderError(
            409, f"{prefix} is the beginning of more than one call: {', '.join(ids)}", calls=tuple(ids)
        )
    return (exact or found)[0]


def _tell(record: CallRecord, order: Order, data: Mapping[str, Any], why: str) -> None:
    facts = {key: data[key] for key in _LOGGED if key in data}
    words = {"kind": order.kind, "by": data["by"], "how": order.how, "ok": not why, **facts}
    log.info("call.command", call_id=record.call_id, **words, **({"reason": why} if why else {}))
