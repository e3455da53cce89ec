"""Client events of the Realtime protocol as the local engine accepts them: strict shapes, told errors.

    text frame ──parse()──► pydantic value        or   Refusal (becomes an `error` event)

Shapes follow the GA interface (https://developers.openai.com/api/reference/resources/realtime/client-events);
fields of the withdrawn beta interface are refused the way the service refuses any unknown field. Pure.
"""

import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

MAX_AUDIO_CHARS = 20 * 1024 * 1024
"""15 MiB of audio an append, in base64."""


class Refusal(Exception):  # noqa: N818  # it is the protocol's `error` event, not a failure of ours
    """Why a client event is not done; the session goes on."""

    def __init__(self, code: str | None, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.param = param
        self.event_id: str | None = None


class _Shape(BaseModel):
    model_config = ConfigDict(extra="forbid")


class PcmFormat(_Shape):
    """24 kHz, 16 bit, mono, little-endian."""

    type: Literal["audio/pcm"]
    rate: Literal[24000] = 24000


class G711Format(_Shape):
    """8 kHz, one byte a sample."""

    type: Literal["audio/pcmu", "audio/pcma"]


Format = Annotated[PcmFormat | G711Format, Field(discriminator="type")]


class ServerVad(_Shape):
    """Turns by voice activity."""

    type: Literal["server_vad"]
    threshold: Annotated[float, Field(ge=0, le=1)] = 0.5
    prefix_padding_ms: Annotated[int, Field(ge=0, le=5000)] = 300
    silence_duration_ms: Annotated[int, Field(ge=0, le=10000)] = 500
    create_response: bool = True
    interrupt_response: bool = True
    idle_timeout_ms: Annotated[int, Field(ge=5000, le=30000)] | None = None


class SemanticVad(_Shape):
    """Turns by meaning; here it becomes a silence of 300 to 900 ms."""

    type: Literal["semantic_vad"]
    eagerness: Literal["low", "medium", "high", "auto"] = "auto"
    create_response: bool = True
    interrupt_response: bool = True


TurnDetection = Annotated[ServerVad | SemanticVad, Field(discriminator="type")]


class NoiseReduction(_Shape):
    """Accepted, without effect: the local engine's recogniser wants the plain sound."""

    type: Literal["near_field", "far_field"]
    strength: float | None = None


class Transcription(_Shape):
    """Whether (not how) the caller's words are told."""

    model: str | None = None
    language: str | None = None
    languages: list[str] | None = None
    keywords: list[str] | None = None
    prompt: str | None = None
    delay: str | None = None


class AudioInput(_Shape):
    format: Format | None = None
    noise_reduction: NoiseReduction | None = None
    transcription: Transcription | None = None
    turn_detection: TurnDetection | None = None


class CustomVoice(_Shape):
    id: str


class AudioOutput(_Shape):
    format: Format | None = None
    voice: str | CustomVoice | None = None
    speed: Annotated[float, Field(ge=0.25, le=1.5)] | None = None


class Audio(_Shape):
    input: AudioInput | None = None
    output: AudioOutput | None = None


class ResponseAudio(_Shape):
    output: AudioOutput | None = None


class FunctionTool(_Shape):
    type: Literal["function"]
    name: Annotated[str, Field(min_length=1, max_length=64)]
    description: str | None = None
    parameters: dict[str, Any] | None = None


class McpTool(BaseModel):
    """Accepted and never used: the local engine opens no connections."""

    model_config = ConfigDict(extra="allow")
    type: Literal["mcp"]
    server_label: str


Tool = Annotated[FunctionTool | McpTool, Field(discriminator="type")]
ToolChoice = Literal["auto", "none", "required"] | dict[str, Any]
MaxTokens = Annotated[int, Field(ge=1, le=32768)] | Literal["inf"]
Modalities = Annotated[list[Literal["audio", "text"]], Field(min_length=1, max_length=1)]


class SessionPart(_Shape):
    """`session` of a session.update."""

    type: Literal["realtime"]
    model: str | None = None
    instructions: str | None = None
    output_modalities: Modalities | None = None
    audio: Audio | None = None
    tools: list[Tool] | None = None
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    reasoning: dict[str, Any] | None = None
    max_output_tokens: MaxTokens | None = None
    truncation: Literal["auto", "disabled"] | dict[str, Any] | None = None
    tracing: Any = None
    include: list[str] | None = None
    prompt: dict[str, Any] | None = None


class ResponsePart(_Shape):
    """`response` of a response.create."""

    instructions: str | None = None
    output_modalities: Modalities | None = None
    audio: ResponseAudio | None = None
    tools: list[Tool] | None = None
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    reasoning: dict[str, Any] | None = None
    max_output_tokens: MaxTokens | None = None
    metadata: dict[str, Annotated[str, Field(max_length=512)]] | None = None
    prompt: dict[str, Any] | None = None
    conversation: Literal["auto", "none"] = "auto"
    input: list[dict[str, Any]] | None = None


class Content(_Shape):
    """A content part; which types a role may carry is checked with the item."""

    type: Literal["input_text", "input_audio", "input_image", "output_text", "output_audio"]
    text: str | None = None
    audio: str | None = None
    transcript: str | None = None
    image_url: str | None = None
    detail: str | None = None


class _ItemShape(_Shape):
    id: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    object: Literal["realtime.item"] | None = None
    status: str | None = None


class Message(_ItemShape):
    type: Literal["message"]
    role: Literal["system", "user", "assistant"]
    content: list[Content]


class FunctionCallItem(_ItemShape):
    type: Literal["function_call"]
    name: str
    arguments: str
    call_id: str | None = None


class FunctionOutput(_ItemShape):
    type: Literal["function_call_output"]
    call_id: str
    output: str


class ApprovalAnswer(_ItemShape):
    type: Literal["mcp_approval_response"]
    approval_request_id: str
    approve: bool
    reason: str | None = None


NewItem = Annotated[Message | FunctionCallItem | FunctionOutput | ApprovalAnswer, Field(discriminator="type")]


class _Event(_Shape):
    event_id: Annotated[str, Field(max_length=512)] | None = None


class SessionUpdate(_Event):
    type: Literal["session.update"]
    session: SessionPart


class Append(_Event):
    type: Literal["input_audio_buffer.append"]
    audio: Annotated[str, Field(max_length=MAX_AUDIO_CHARS)]


class Commit(_Event):
    type: Literal["input_audio_buffer.commit"]


class Clear(_Event):
    type: Literal["input_audio_buffer.clear"]


class ItemCreate(_Event):
    type: Literal["conversation.item.create"]
    item: NewItem
    previous_item_id: str | None = None


class ItemRetrieve(_Event):
    type: Literal["conversation.item.retrieve"]
    item_id: str


class ItemDelete(_Event):
    type: Literal["conversation.item.delete"]
    item_id: str


class ItemTruncate(_Event):
    type: Literal["conversation.item.truncate"]
    item_id: str
    content_index: int
    audio_end_ms: Annotated[int, Field(ge=0)]


class ResponseCreate(_Event):
    type: Literal["response.create"]
    response: ResponsePart | None = None


class ResponseCancel(_Event):
    type: Literal["response.cancel"]
    response_id: str | None = None


class OutputClear(_Event):
    """Known and refused: the service takes it on WebRTC and SIP only."""

    type: Literal["output_audio_buffer.clear"]


ClientEvent = (
    SessionUpdate
    | Append
    | Commit
    | Clear
    | ItemCreate
    | ItemRetrieve
    | ItemDelete
    | ItemTruncate
    | ResponseCreate
    | ResponseCancel
    | OutputClear
)
_ADAPTER: TypeAdapter[ClientEvent] = TypeAdapter(Annotated[ClientEvent, Field(discriminator="type")])
_UNIONS = frozenset(
    {"server_vad", "semantic_vad", "audio/pcm", "audio/pcmu", "audio/pcma", "function", "mcp"}
)
_ITEM_UNIONS = frozenset({"message", "function_call", "function_call_output", "mcp_approval_response"})


def parse(text: str | bytes) -> ClientEvent:
    """One client event.

    Raises:
        Refusal: not JSON, an unknown type, a missing, unknown or wrong field. Carries the client's `event_id`.

    """
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        raise Refusal("invalid_json", "Invalid JSON: the message could not be parsed.") from None
    if not isinstance(data, dict):
        raise Refusal("invalid_event", "The message is not a JSON object.")
    try:
        return _ADAPTER.validate_python(data)
    except ValidationError as failure:
        refusal = _refusal(failure, data)
        event_id = data.get("event_id")
        refusal.event_id = event_id if isinstance(event_id, str) else None
        raise refusal from None


def _refusal(failure: ValidationError, data: dict[str, Any]) -> Refusal:
    errors = failure.errors(include_url=False, include_input=False)
    detail = next((error for error in errors if error["type"] == "extra_forbidden"), errors[0])
    param = _param(detail["loc"], str(data.get("type")))
    if detail["type"].startswith("union_tag") and not param:
        kind = data.get("type")
        return Refusal("invalid_event", f"Invalid event type {kind!r}.", "type")
    if detail["type"] == "extra_forbidden":
        return Refusal("unknown_parameter", f"Unknown parameter: '{param}'.", param)
    if detail["type"] == "missing" or detail["type"] == "union_tag_not_found":
        return Refusal("missing_required_parameter", f"Missing required parameter: '{param}'.", param)
    return Refusal("invalid_value", f"Invalid value for '{param}': {detail['msg']}.", param)


def _param(location: tuple[int | str, ...], event_type: str) -> str:
    """`session.audio.input.format` of pydantic's place, which also names the union members passed."""
    tags = _UNIONS | _ITEM_UNIONS | {event_type}
    parts = [part for part in location if part not in tags and not str(part).endswith("]")]
    named = [f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts]
    return "".join(named).removeprefix(".")


_ITEM_ADAPTER: TypeAdapter[NewItem] = TypeAdapter(NewItem)


def new_item(data: dict[str, Any]) -> NewItem:
    """An item out of `response.input`.

    Raises:
        Refusal: a missing, unknown or wrong field.

    """
    try:
        return _ITEM_ADAPTER.validate_python(data)
    except ValidationError as failure:
        raise _refusal(failure, data) from None
