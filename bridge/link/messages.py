"""The words worker and control say to each other: frozen dataclasses, one JSON object a message.

    worker  -> control   Hello, Event, Request, Status, Glimpse
    control -> worker    Ack, PlanPush, Reply, Drain, HangUp, ToolUpdate, CallCommand, PlaceCall, Registrar, Watch

`{"message": "<name>", ...fields}`; a key we do not know is ignored, a missing or mistyped one is a LinkError.
The text of an Event is also its line in the worker's spool, so what is on disk is what goes over the wire.
Pure: no socket, no file, no clock. Worker-safe: standard library only. Called by both ends of the link and by
control when it adopts the spool of a dead worker.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, is_dataclass
from decimal import Decimal
from typing import Any

from bridge.errors import LinkError

JsonObject = dict[str, Any]

MAX_MESSAGE_BYTES = 8 * 1024 * 1024
"""A plan with many routes is the largest message; this is far above any sane one."""


@dataclass(frozen=True, slots=True)
class Hello:
    """A worker introduces itself: first message of every connection. `calls` is how many it carries now.

    `worker` is its slot; `pool`: narrow or wide; `draining`: it takes no new calls. The same words stand in Status.
    """

    worker: int
    boot: str
    pid: int
    sip_port: int
    plan_version: str
    calls: int
    pool: str = "narrow"
    draining: bool = False


@dataclass(frozen=True, slots=True)
class Event:
    """One fact about a call. `seq` counts from 1 within `boot`; `at`: unix, `mono`: monotonic seconds."""

    seq: int
    boot: str
    call_id: str
    type: str
    at: float
    mono: float
    data: JsonObject


@dataclass(frozen=True, slots=True)
class Request:
    """The worker asks control for something (`kind`) and waits for the Reply with the same `id`."""

    id: int
    kind: str
    data: JsonObject


@dataclass(frozen=True, slots=True)
class Status:
    """The worker's counters, every few seconds. Not durable: the next one replaces it."""

    data: JsonObject


@dataclass(frozen=True, slots=True)
class Ack:
    """Every event up to and including `seq` is committed to the store."""

    seq: int


@dataclass(frozen=True, slots=True)
class PlanPush:
    """The plan in force from now on for new calls, as the text `Plan.to_json` gives."""

    plan: str


@dataclass(frozen=True, slots=True)
class Reply:
    """Answer to Request `id`: `data` when `ok`, else `error` says why in one sentence.

    `fatal`: the same question would get the same refusal.
    """

    id: int
    ok: bool
    data: JsonObject
    error: str = ""
    fatal: bool = False


@dataclass(frozen=True, slots=True)
class Drain:
    """Take no new calls; end when the present ones are done."""


@dataclass(frozen=True, slots=True)
class HangUp:
    """End one call now; `reason` goes into its record."""

    call_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class ToolUpdate:
    """What became of a function call that the model of call `call_id` made.

    `data`: `state`, `request_id`, and `output` (JSON text for the model, only in a final state), `line` (to say to the
    caller) or `question` and `key` (to confirm). Said again when asked for with "tool.state".
    """

    call_id: str
    function_call_id: str
    data: JsonObject


@dataclass(frozen=True, slots=True)
class CallCommand:
    """Have call `call_id` do something; its worker answers with the request "call.done".

    `kind`: hang_up (`reason`), transfer (`target`: a name of the plan's transfers), collect (`digits`, `terminator`,
    `timeout_s`), supervise (`target`, `mode`: listen, whisper, join; or `stop`), take_over (`target`), hand_back
    (`note`), whisper (`text`, `now`), warm_transfer (`target`, `summary`), hand_off (`agent`, `note`), recording
    (`action`), ask_caller (`text` for who decides about `function_call_id`; answers `interrupted`), and of a browser
    seat (`target`, `key`, `mode`; answers `address`, `rate_hz`) and seat_take_over (`target`). `by`: the operator who
    wants it, absent when a tool does. The answer: `call_id`, `command_id`, `ok`, `error`, and `digits`.
    """

    call_id: str
    command_id: str
    kind: str
    data: JsonObject


@dataclass(frozen=True, slots=True)
class PlaceCall:
    """Dial `number` (E.164) as call `call_id`, once, by the rules of plan `plan_version`. Never sent twice.

    `run`: what a person hears: "" for the plan's own steps, "agent:NAME", "route:NAME". `variables`: text by name. A
    worker that does not place it says so with the request "outbound.not_placed"; the rest is in the call's events.
    """

    call_id: str
    number: str
    plan_version: str
    run: str
    variables: JsonObject


@dataclass(frozen=True, slots=True)
class Registrar:
    """Whether this worker is the one that registers the trunks of the plan, from now on; also at each connection.

    One worker of the whole installation is: a registrar would ring all of them otherwise.
    """

    on: bool


@dataclass(frozen=True, slots=True)
class Watch:
    """Somebody looks at a call, for `seconds`: the worker tells what is on its way in it. Said again while they do."""

    call_id: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Glimpse:
    """What is on its way in a call that somebody looks at. Not durable: lost while control is away.

    `data`: `words` [[who, item id, text so far]], `levels` {who: 0 to 100}; each when it has changed.
    """

    call_id: str
    data: JsonObject


Message = (
    Hello
    | Event
    | Request
    | Status
    | Ack
    | PlanPush
    | Reply
    | Drain
    | HangUp
    | ToolUpdate
    | CallCommand
    | PlaceCall
    | Registrar
    | Watch
    | Glimpse
)

_NAMES: dict[type[Any], str] = {
    Hello: "hello",
    Event: "event",
    Request: "request",
    Status: "status",
    Ack: "ack",
    PlanPush: "plan",
    Reply: "reply",
    Drain: "drain",
    HangUp: "hang_up",
    ToolUpdate: "tool_update",
    CallCommand: "call_command",
    PlaceCall: "place_call",
    Registrar: "registrar",
    Watch: "watch",
    Glimpse: "glimpse",
}
_TYPES: dict[str, type[Any]] = {name: kind for kind, name in _NAMES.items()}
_FITS: dict[Any, Callable[[Any], bool]] = {
    int: lambda value: isinstance(value, int) and not isinstance(value, bool),
    float: lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    bool: lambda value: isinstance(value, bool),
    str: lambda value: isinstance(value, str),
    JsonObject: lambda value: isinstance(value, dict),
}


def encode(message: Message) -> str:
    """The message as one line of ASCII JSON, no line end. Decimal becomes a number, strangers their str()."""
    body = {field.name: getattr(message, field.name) for field in fields(message)}
    return json.dumps({"message": _NAMES[type(message)], **body}, separators=(",", ":"), default=_plain)


def decode(text: str | bytes) -> Message:
    """The message in `text`.

    Raises LinkError: not JSON, not an object, an unknown message, a missing field or one of the wrong type.
    """
    try:
        body = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise LinkError(f"a link message is not JSON: {error}") from error
    if not isinstance(body, dict):
        raise LinkError("a link message is not a JSON object")
    kind = _TYPES.get(str(body.get("message")))
    if kind is None:
        raise LinkError(f"unknown link message {str(body.get('message'))[:40]!r}")
    values = {field.name: body[field.name] for field in fields(kind) if field.name in body}
    _check(kind, values)
    try:
        return kind(**values)  # type: ignore[no-any-return]  # _TYPES holds only members of Message
    except TypeError as error:
        raise LinkError(f"link message {_NAMES[kind]!r} is incomplete: {error}") from error


def _check(kind: type[Any], values: Mapping[str, Any]) -> None:
    for field in fields(kind):
        if field.name in values and not _FITS[field.type](values[field.name]):
            raise LinkError(f"link message {_NAMES[kind]!r}: field {field.name!r} has the wrong type")


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return float(value)
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, set | frozenset | tuple):
        return sorted(value, key=str)
    return str(value)
