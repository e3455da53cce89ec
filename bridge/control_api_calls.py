"""Live calls over the API (control_api.py): who talks now, one call's record, and an operator's hands on it.

    GET  /api/v1/calls                     live calls, the newest first, and whether their workers are connected
    GET  /api/v1/calls/{id}                record, timeline, events; also of calls that are over
    POST /api/v1/calls/{id}/hang_up        {"reason"}
    POST /api/v1/calls/{id}/transfer       {"target"}                      blind, REFER
    POST /api/v1/calls/{id}/warm_transfer  {"target", "summary"}           the target is asked first
    POST /api/v1/calls/{id}/supervise      {"target", "mode": listen | whisper | join} or {"target", "stop": true}
    POST /api/v1/calls/{id}/take_over      {"target"}                      they talk alone
    POST /api/v1/calls/{id}/recording      {"action": pause | resume}
    POST /api/v1/calls/{id}/hand_off       {"agent", "note"}
    GET  /api/v1/queues                    who waits where, and who is parked

An id may be cut to its beginning (four characters at least) as long as it fits one call only; one that acts is looked
for among live calls. A target is a name of the `transfers` of the call's own plan, never an address. 200: the call did
it; 400 the body; 404, 409 which call; 422 the call's own reason; 429 too much at once; 503 its worker is away; 504 no
answer in time. Acting takes the right `calls`, numbers and words the right `personal`. The record has an event
`command` with `by`.
"""

import asyncio
import re
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import structlog

from bridge.control_api import ApiError, ApiRoute, Call, Handler, Terms, get, post
from bridge.control_api_call_docs import DOCS, WHICH
from bridge.control_api_docs import ANYTHING, TEXT, Doc, Schema, exactly, maybe, one_of, string, thing
from bridge.control_commands import Commands
from bridge.errors import ToolError, ToolLostError
from bridge.records.cdr import CallRecord
from bridge.records.public import bare, hidden, whole
from bridge.records.timeline import build
from bridge.store.store import Store

log = structlog.get_logger(__name__)

BASE = "/api/v1/calls"
MAX_LIVE = 1000
MAX_AT_ONCE = 16
"""Commands of one kind under way; calls that wait for a transfer never keep somebody from hanging up."""
MAX_COMMAND_BYTES = 8 * 1024
SLACK_S = 5.0
ELSEWHERE = 0.9
"""Of a command's time, for another node to do it: the rest is for taking it back when it has not begun."""
_ID = re.compile(r"[0-9a-f]{4,32}")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")

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


def _text(most: int) -> Key:
    return Key(
        lambda value: isinstance(value, str) and len(value) <= most and value.isprintable(),
        f"a text of one line and at most {most} characters",
        string(most, pattern=r"^[^\x00-\x1f\x7f]*$"),
        required=False,
    )


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
            "stop": Key(
                lambda value: isinstance(value, bool), "true or false", {"type": "boolean"}, required=False
            ),
        },
        "Let a target listen, whisper to the agent, or join; or stop that.",
    ),
    "take_over": Kind(
        40, {"target": _TARGET}, "Let a target talk with the caller alone.", "The agent's session ends."
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
_ACTED = thing(
    {"call_id": TEXT, "done": one_of(*KINDS)}, recording=ANYTHING, paused=ANYTHING, changed=ANYTHING
)


class Elsewhere(Protocol):
    """The other nodes (control_node.NodeOffice)."""

    def boots(self) -> Collection[str]:
        """The worker processes that are connected on any node."""

    async def ask(
        self, record: CallRecord, kind: str, data: Mapping[str, Any], wait_s: float
    ) -> Mapping[str, Any]:
        """Have another node's call do it. Raises ToolError, ToolLostError, TimeoutError."""


@dataclass(frozen=True, slots=True)
class CallsDeps:
    """`boots`: the worker processes that are connected here; `queues`: who waits, on every node."""

    store: Store
    commands: Commands
    boots: Callable[[], Sequence[str]]
    queues: Callable[[], Mapping[str, Any]]
    elsewhere: Elsewhere | None = None


class CallsApi:
    """The handlers."""

    def __init__(self, deps: CallsDeps) -> None:
        self._deps = deps
        self._running: Counter[str] = Counter()

    def routes(self) -> list[ApiRoute]:
        """For `application`."""
        acting = [
            post(
                f"{BASE}/{{id}}/{kind}",
                "calls",
                self._acting(kind),
                Doc(one.summary, _ACTED, one.body, refuses=(*WHICH, 422), details=one.details),
                Terms(max_body=MAX_COMMAND_BYTES, deadline_s=one.deadline_s + SLACK_S),
            )
            for kind, one in KINDS.items()
        ]
        return [
            get(BASE, "look", self._live, DOCS["live"]),
            get(f"{BASE}/{{id}}", "look", self._one, DOCS["one"]),
            *acting,
            get("/api/v1/queues", "look", self._queues, DOCS["queues"]),
        ]

    async def _live(self, call: Call) -> Mapping[str, Any]:
        records, boots = await self._deps.store.live(MAX_LIVE), self._connected()
        return {
            "calls": [line(one, one.boot in boots, personal=call.may("personal")) for one in records],
            "complete": len(records) < MAX_LIVE,
        }

    def _connected(self) -> set[str]:
        elsewhere = self._deps.elsewhere
        return {*self._deps.boots(), *(elsewhere.boots() if elsewhere else ())}

    async def _one(self, call: Call) -> Mapping[str, Any]:
        prefix = _id(call)
        record = _single(prefix, await self._deps.store.find(prefix))
        events = await self._deps.store.events(record.call_id)
        timeline = await asyncio.to_thread(build, events)
        if not call.may("personal"):
            return {"record": hidden(record), "timeline": bare(timeline)}
        return {"record": whole(record), "timeline": asdict(timeline), "events": [asdict(e) for e in events]}

    async def _queues(self, _call: Call) -> Mapping[str, Any]:
        return self._deps.queues()

    # ---- acting ----------------------------------------------------------------------------------------------

    def _acting(self, kind: str) -> Handler:
        async def act(call: Call) -> Mapping[str, Any]:
            data = {**checked(kind, call.body), "by": call.user.name[:64]}
            record = await self._target(_id(call))
            if self._running[kind] >= MAX_AT_ONCE:
                raise ApiError(429, f"{MAX_AT_ONCE} commands {kind} are under way already: try again soon")
            self._running[kind] += 1
            try:
                answer = await self._run(record, kind, data)
            except ApiError as error:
                _tell(record, kind, call, data, str(error))
                raise
            finally:
                self._running[kind] -= 1
            _tell(record, kind, call, data, "")
            told = {key: answer[key] for key in ("recording", "paused", "changed") if key in answer}
            return {"call_id": record.call_id, "done": kind, **told}

        return act

    async def _target(self, prefix: str) -> CallRecord:
        """The live call of this id. ApiError: which one, or it is over, or nobody can reach it."""
        live = [one for one in await self._deps.store.live(MAX_LIVE) if one.call_id.startswith(prefix)]
        record = _single(prefix, live or await self._deps.store.find(prefix))
        if record.ended_at is not None:
            raise ApiError(409, f"call {record.call_id[:8]} is over")
        if record.boot not in self._connected():
            raise ApiError(503, f"the worker of call {record.call_id[:8]} is not connected now: try again")
        return record

    async def _run(self, record: CallRecord, kind: str, data: Mapping[str, Any]) -> Mapping[str, Any]:
        call_id, deadline_s = record.call_id, KINDS[kind].deadline_s
        try:
            async with asyncio.timeout(deadline_s):
                if self._deps.elsewhere is not None and record.boot not in self._deps.boots():
                    return await self._deps.elsewhere.ask(record, kind, data, deadline_s * ELSEWHERE)
                return await self._deps.commands.run(call_id, kind, data)
        except ToolLostError as error:
            raise ApiError(409, str(error)) from None
        except ToolError as error:
            raise ApiError(422, str(error)) from None
        except TimeoutError:
            found = await self._deps.store.find(call_id)
            if found and found[0].ended_at is not None:  # it ended while we began
                raise ApiError(409, f"call {call_id[:8]} is over") from None
            sentence = f"the call has not answered within {deadline_s:g} s; it may still do it"
            raise ApiError(504, sentence) from None


def checked(kind: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """The body of a command. Raises ApiError 400: an unknown key, one missing, one that does not fit."""
    keys = KINDS[kind].keys
    unknown = next((key for key in body if key not in keys), None)
    if unknown is not None:
        raise ApiError(400, f"unknown key {unknown[:40]!r}: {kind} has {', '.join(keys)}")
    for name, key in keys.items():
        value = body.get(name)
        if value is None and key.required:
            raise ApiError(400, f"{name} is missing: {key.wanted}")
        if value is not None and not key.fits(value):
            raise ApiError(400, f"{name} must be {key.wanted}")
    return {name: value for name, value in body.items() if value is not None}


def line(record: CallRecord, connected: bool, *, personal: bool) -> dict[str, Any]:
    """One live call in a list. `connected`: its worker is there, so that it can be acted on."""
    plain = whole(record) if personal else hidden(record)
    names = ("direction", "route", "agent", "node", "worker", "state", "answered_at")
    return {
        "id": record.call_id,
        "from": plain["from_uri"],
        "to": plain["to_uri"],
        "since": record.started_at,
        "connected": connected,
        **{name: plain[name] for name in names},
    }


def _id(call: Call) -> str:
    found = call.path["id"].lower()
    if not _ID.fullmatch(found):
        raise ApiError(400, "this is no call's id, nor its beginning: 4 to 32 of the characters 0-9, a-f")
    return found


def _single(prefix: str, found: Sequence[CallRecord]) -> CallRecord:
    if not found:
        raise ApiError(404, f"no call's id begins with {prefix}")
    exact = [one for one in found if one.call_id == prefix]
    if len(exact or found) > 1:
        ids = [one.call_id for one in found[:10]]
        raise ApiError(409, f"{prefix} is the beginning of more than one call: {', '.join(ids)}", calls=ids)
    return (exact or found)[0]


def _tell(record: CallRecord, kind: str, call: Call, data: Mapping[str, Any], why: str) -> None:
    facts = {key: data[key] for key in ("target", "agent", "mode", "stop", "action") if key in data}
    words = {"kind": kind, "by": data["by"], "how": call.how, "ok": not why, **facts}
    log.info("call.command", call_id=record.call_id, **words, **({"reason": why} if why else {}))
