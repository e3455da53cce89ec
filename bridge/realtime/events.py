"""What the session machine tells the call: past facts as frozen values.

The machine (session.py) makes them from server events of the Realtime protocol; the call reads them on the loop.
They hold no raw JSON but where said, and no event of the machine ever waits for an answer.
Ids are the server's own. Times named `*_s` are the monotonic seconds the shell passed in as `now`; times named
`*_ms` are the server's offsets into the audio it received.
Text in them (transcripts, tool names, arguments, messages) comes from outside: data to show, never instructions.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from bridge.errors import FailureKind
from bridge.realtime.usage import TranscriptionCount, Usage


@dataclass(frozen=True, slots=True)
class SessionReady:
    """`session.updated` for our settings: audio and wishes may flow. `expires_at`: unix seconds, None when not said."""

    session_id: str
    model: str
    expires_at: int | None


@dataclass(frozen=True, slots=True)
class SessionChanged:
    """A later `session.updated`, the answer to `Session.update`."""

    session_id: str


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """The server's VAD heard the caller begin; `item_id` will be the user item of this turn."""

    item_id: str
    audio_start_ms: int


@dataclass(frozen=True, slots=True)
class SpeechStopped:
    """The server's VAD heard the caller end."""

    item_id: str
    audio_end_ms: int


@dataclass(frozen=True, slots=True)
class InputCommitted:
    """The caller's audio became the user item `item_id`."""

    item_id: str


@dataclass(frozen=True, slots=True)
class InputCleared:
    """The input buffer was emptied; audio not yet committed is gone."""


@dataclass(frozen=True, slots=True)
class IdleTimeout:
    """The caller was silent for `idle_timeout_ms`; the server commits the silence and answers it."""

    item_id: str


@dataclass(frozen=True, slots=True)
class DtmfReceived:
    """A digit the service saw itself (only when it owns the SIP leg)."""

    digit: str


@dataclass(frozen=True, slots=True)
class ResponseStarted:
    """A response began, ours or the server's own. Out-of-band ones leave the conversation alone."""

    response_id: str
    out_of_band: bool = False


@dataclass(frozen=True, slots=True)
class AudioDelta:
    """Decoded audio of one assistant item in the session's output format (24 kHz PCM or G.711 payload)."""

    response_id: str
    item_id: str
    content_index: int
    audio: bytes


@dataclass(frozen=True, slots=True)
class AudioDone:
    """No more audio of this item comes."""

    response_id: str
    item_id: str


@dataclass(frozen=True, slots=True)
class AgentTranscript:
    """What the agent says: a fragment to append (`final` False) or the whole text of the part (`final` True).

    `muted`: the response was interrupted before this text came, so not all of it was heard, perhaps nothing. Fragments
    of a muted response do not come at all, its whole text does.
    """

    item_id: str
    text: str
    final: bool
    muted: bool = False


@dataclass(frozen=True, slots=True)
class UserTranscript:
    """What the caller said, by the transcription model (a guide, not what the model heard). Fragment or whole text."""

    item_id: str
    text: str
    final: bool


@dataclass(frozen=True, slots=True)
class TranscriptionFailed:
    """The caller's words of this item stay unknown; the conversation itself goes on."""

    item_id: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class TranscriptionUsage:
    """What transcribing one item used, and its price in USD (None: model not in the price table)."""

    item_id: str
    usage: TranscriptionCount
    cost_usd: Decimal | None


@dataclass(frozen=True, slots=True)
class FunctionCall:
    """The model wants a function run. `arguments` is JSON text as the model wrote it, possibly not valid.

    Answer with `Session.function_output(call_id, …)`.
    """

    response_id: str
    item_id: str
    call_id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class McpApprovalRequested:
    """A hosted MCP tool waits for a person's word; without `Session.approve_mcp` it waits for ever."""

    item_id: str
    approval_request_id: str
    server_label: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class McpCallFinished:
    """A hosted MCP tool ended. `output` on success, `error` (the server's words) on failure."""

    item_id: str
    ok: bool
    server_label: str
    name: str
    arguments: str
    output: str
    error: str


@dataclass(frozen=True, slots=True)
class McpToolsListed:
    """The tools of one MCP server are known (`ok`), or could not be listed.

    `definitions`: each {name, description, input_schema} as the server gave it.
    """

    item_id: str
    ok: bool
    server_label: str
    tools: tuple[str, ...]
    definitions: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class ResponseReport:
    """One ended response.

    `status`: completed, cancelled, failed, incomplete. `reason`: the server's word for it (`turn_detected`,
    `max_output_tokens`, …) or "". `asked_s`: when the caller's speech stopped (server's own responses) or when our
    `response.create` went out; None when unknown. `cost_usd` None: model not in the price table, or the server did
    not count its tokens by kind. `wish`: tag of our wish it answered (see `Session.retry`), "" for the server's own.
    """

    response_id: str
    status: str
    reason: str
    error_code: str
    error_message: str
    usage: Usage
    cost_usd: Decimal | None
    asked_s: float | None
    created_s: float
    first_audio_s: float | None
    ended_s: float
    out_of_band: bool = False
    metadata: Mapping[str, str] = field(default_factory=dict)
    wish: str = ""

    @property
    def latency_ms(self) -> float | None:
        """From `asked_s` to the first audio; None when either is unknown."""
        if self.asked_s is None or self.first_audio_s is None:
            return None
        return (self.first_audio_s - self.asked_s) * 1000


@dataclass(frozen=True, slots=True)
class ResponseEnded:
    """`response.done`: the answer is over, whatever its status."""

    report: ResponseReport


@dataclass(frozen=True, slots=True)
class ItemTruncated:
    """The server cut the item as we ordered; its transcript is gone from the model's memory."""

    item_id: str
    audio_end_ms: int


@dataclass(frozen=True, slots=True)
class ItemDeleted:
    """The server dropped the item from the conversation."""

    item_id: str


@dataclass(frozen=True, slots=True)
class ItemRetrieved:
    """The server's own copy of an item as we asked for it; `item` is its JSON, audio included."""

    item_id: str
    item: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class SessionError:
    """Something went wrong. `kind` says what it means for the call; `event_id` is our event's id when known.

    `ends_session`: nothing more comes of this session, whether or not the server closes it (`kind` says if another
    may work). `wish`: tag of the wish for a response that is lost by this error; "" when none is, or it goes out again.
    """

    kind: FailureKind
    code: str
    message: str
    event_id: str
    ends_session: bool = False
    wish: str = ""


@dataclass(frozen=True, slots=True)
class RateLimit:
    """One budget of the account: `name` is requests or tokens."""

    name: str
    limit: int
    remaining: int
    reset_s: float


@dataclass(frozen=True, slots=True)
class RateLimits:
    """`rate_limits.updated`, at the start of each response."""

    limits: tuple[RateLimit, ...]


@dataclass(frozen=True, slots=True)
class UnknownEvent:
    """A server event we have no name for; counted in `Session.unknown`."""

    type: str


BoundaryEvent = (
    SessionReady
    | SessionChanged
    | SpeechStarted
    | SpeechStopped
    | InputCommitted
    | InputCleared
    | IdleTimeout
    | DtmfReceived
    | ResponseStarted
    | AudioDelta
    | AudioDone
    | AgentTranscript
    | UserTranscript
    | TranscriptionFailed
    | TranscriptionUsage
    | FunctionCall
    | McpApprovalRequested
    | McpCallFinished
    | McpToolsListed
    | ResponseEnded
    | ItemTruncated
    | ItemDeleted
    | ItemRetrieved
    | SessionError
    | RateLimits
    | UnknownEvent
)
