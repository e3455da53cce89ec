"""The dialplan file as types: what a person may write. The first form; later actions join `Step`.

    version: 1
    language: en
    agents:  {NAME: Agent}
    routes:  [{name, when, do: [Step, …]}]

Names follow the Realtime API's words (reference/realtime.md section 1.4). Unknown keys are mistakes. Whatever
needs two places of the file to be judged is in bridge/dialplan/check.py. dialplans/schema.json is generated
from here.

Not worker-safe (pydantic). Pure: no I/O, any thread. Called by bridge/dialplan/load.py.
"""

import re
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Discriminator,
    Field,
    GetJsonSchemaHandler,
    Tag,
)
from pydantic.json_schema import JsonSchemaValue, WithJsonSchema
from pydantic_core import CoreSchema

from bridge.config import AudioFormat
from bridge.dialplan import variables
from bridge.dialplan.match import is_regex
from bridge.dialplan.regex import why_slow
from bridge.dialplan.schema_base import ONE_OR_MORE, Name, Names, Part, listed
from bridge.dialplan.schema_hours import Hours
from bridge.fieldhelp import nearest

HEADER_CHARS = r"A-Za-z0-9!%*_+`'~.-"
"""Characters of a SIP header's name (RFC 3261 section 25.1)."""


def _pattern(text: str) -> str:
    if not is_regex(text):
        if "*" in text[:-1]:
            raise ValueError(f'a * may only stand at the end | a regex stands between slashes: "/{text}/"')
        if text.startswith("/"):
            raise ValueError("a regex ends with a slash too | /^0049/")
        return text
    try:
        re.compile(text[1:-1], re.IGNORECASE)
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError(f"not a regular expression: {error}") from None
    slow = why_slow(text[1:-1])
    if slow:
        raise ValueError(f"this regex may take forever on a hostile caller: {slow} | simplify it")
    return text


def _template(text: str) -> str:
    for name, wrong in variables.mistakes(text):
        raise ValueError(f"{wrong}: {name[:40]} | {nearest(name, variables.NAMES)}")
    return text


def _as_text(value: Any) -> Any:
    if isinstance(value, str):
        return {"text": value}
    if isinstance(value, dict):
        return value
    raise ValueError("text is needed | write it in quotes")


def _as_type(value: Any) -> Any:
    return {"type": value} if isinstance(value, str) else value


def _tokens(value: Any) -> Any:
    if value == "inf" or (type(value) is int and 1 <= value <= 4096):
        return value
    raise ValueError("1 to 4096, or inf")


def _word_or_object(value: Any) -> str:
    return "object" if isinstance(value, (dict, BaseModel)) else "word"


@dataclass(frozen=True, slots=True)
class _OrWord:
    """In the JSON Schema: the mapping, or a word that stands for it. `words` empty: any text."""

    words: tuple[str, ...] = ()

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        word: JsonSchemaValue = (
            {"enum": list(self.words)} if self.words else {"type": "string", "minLength": 1}
        )
        return {"anyOf": [word, handler(core)]}


Line = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[^\r\n]+$")]
Pattern = Annotated[str, Field(min_length=1, max_length=256), AfterValidator(_pattern)]
Patterns = Annotated[
    list[Pattern], BeforeValidator(listed), Field(min_length=1, max_length=1000), ONE_OR_MORE
]
HeaderName = Annotated[str, Field(pattern=rf"^[{HEADER_CHARS}]{{1,64}}$")]
Template = Annotated[str, Field(min_length=1, max_length=100_000), AfterValidator(_template)]
Language = Annotated[str, Field(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$")]
FinalStatus = Annotated[int, Field(ge=300, le=699)]
Tokens = Annotated[
    int | str,
    BeforeValidator(_tokens),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 1, "maximum": 4096}, {"const": "inf"}]}),
]


class Ring(Part):
    """Ring for a while before the next step."""

    ms: int = Field(ge=0, le=60_000, description="Milliseconds of ringing (180).")


class Say(Part):
    """A prompt spoken by the bridge's own voice."""

    text: str = Field(
        min_length=1, max_length=2000, description="What is said. Variables are not possible here."
    )
    language: Language | None = Field(default=None, description="As the dialplan's language when left out.")


class HangUp(Part):
    """End of the call. `hang_up: {}` is an ordinary end."""

    status: FinalStatus | None = Field(
        default=None,
        description="SIP status 300 to 699: in the BYE's Reason, or the final response when the call is not "
        "answered (480 when left out).",
    )
    reason: Line | None = Field(default=None, description="Words that go with the status.")


class Reject(Part):
    """Refusal of a call that is not answered yet."""

    status: FinalStatus = Field(description="SIP status of the final response, 300 to 699.")
    reason: Line | None = Field(default=None, description="Words that go with the status.")


class Step(Part):
    """One action. Exactly one of the keys, but for or_else, which goes with agent and transfer."""

    ring: Ring | None = Field(default=None, description="Ring for a while before the next step.")
    say: Annotated[Say, BeforeValidator(_as_text), _OrWord()] | None = Field(
        default=None, description="Answer, speak this text to its end."
    )
    play: str | None = Field(
        default=None,
        min_length=1,
        max_length=1024,
        description="Answer, play this WAV file to its end: 8 kHz, mono, 16 bit; relative to the dialplan file.",
    )
    agent: Name | None = Field(default=None, description="Connect the caller with this agent.")
    or_else: list["Step"] | None = Field(
        default=None,
        min_length=1,
        max_length=20,
        description="With agent: what happens when its model does not come up in time, or dies during the call. With "
        "transfer: when the target cannot be reached.",
    )
    transfer: Name | None = Field(
        default=None,
        description="Answer, hand the caller to this target of `transfers` (REFER), and hang up.",
    )
    hang_up: HangUp | None = Field(default=None, description="End the call.")
    reject: Reject | None = Field(default=None, description="Refuse the call.")


VERBS = ("ring", "say", "play", "agent", "transfer", "hang_up", "reject")
LAST_VERBS = frozenset({"agent", "transfer", "hang_up", "reject"})
"""After these nothing else happens, so nothing may follow; and a list of steps must end with one."""


class When(Part):
    """Conditions on a call; all of them must fit. Each is a pattern or a list of which one must fit."""

    to: Patterns | None = Field(default=None, description='The called number: "100", "+4930*" or "/^00?49/".')
    from_: Patterns | None = Field(
        default=None, alias="from", description="The caller's number, in the same forms."
    )
    headers: dict[HeaderName, Patterns] | None = Field(
        default=None,
        min_length=1,
        max_length=20,
        description="SIP headers by name. A missing header never fits.",
    )
    hours: Names | None = Field(default=None, description="Within one of these opening hours.")
    outside: Names | None = Field(default=None, description="Outside of all of these opening hours.")


class Route(Part):
    """What happens to the calls that fit. The first route that fits wins."""

    name: Line = Field(description="Shown in records and by `dialplan explain`; unique.")
    when: When | None = Field(default=None, description="Conditions. Without it the route fits every call.")
    do: list[Step] = Field(min_length=1, max_length=20, description="Steps, in order.")


class ServerVad(Part):
    """Turns by silence."""

    type: Literal["server_vad"]
    threshold: float | None = Field(default=None, ge=0, le=1, description="Loudness; server default 0.5.")
    prefix_padding_ms: int | None = Field(default=None, ge=0, le=5000, description="Server default 300.")
    silence_duration_ms: int | None = Field(default=None, ge=50, le=10_000, description="Server default 500.")
    interrupt_response: bool | None = Field(default=None, description="Server default true.")
    idle_timeout_ms: int | None = Field(
        default=None,
        ge=5000,
        le=30_000,
        description="The model speaks up after so much silence of the caller.",
    )


class SemanticVad(Part):
    """Turns by what is said."""

    type: Literal["semantic_vad"]
    eagerness: Literal["low", "medium", "high", "auto"] | None = Field(
        default=None, description="How soon it answers: waits at most 8, 4 or 2 s; auto is medium."
    )
    interrupt_response: bool | None = Field(default=None, description="Server default true.")


class NoiseReduction(Part):
    """Filter before turn detection and model."""

    type: Literal["near_field", "far_field"] = Field(description="Handset or headset; speakerphone.")
    strength: float | None = Field(default=None, ge=0, le=1, description="Server default 1.")


class Transcription(Part):
    """Text of what the caller says."""

    model: str = Field(min_length=1, max_length=128, description="For example gpt-transcribe.")
    language: Annotated[str, Field(pattern=r"^[a-z]{2,3}$")] | None = Field(
        default=None, description="ISO 639-1; the agent's language is not sent by itself."
    )
    languages: list[Annotated[str, Field(pattern=r"^[a-z]{2,3}$")]] | None = Field(
        default=None, max_length=20
    )
    keywords: list[Annotated[str, Field(min_length=1, max_length=100)]] | None = Field(
        default=None, max_length=200
    )
    prompt: Annotated[str, Field(min_length=1, max_length=2000)] | None = None
    delay: Literal["minimal", "low", "medium", "high", "xhigh"] | None = None


class TokenLimits(Part):
    """Limits of a truncated conversation."""

    post_instructions: int = Field(ge=1, le=1_000_000)


class Truncation(Part):
    """What is kept when the conversation outgrows the model."""

    type: Literal["retention_ratio"]
    retention_ratio: float = Field(ge=0, le=1)
    token_limits: TokenLimits | None = None


class ToolChoice(Part):
    """One tool the model must use."""

    type: Literal["function", "mcp"]
    name: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    server_label: Annotated[str, Field(min_length=1, max_length=64)] | None = None


class Audio(Part):
    """Audio between bridge and model."""

    format: AudioFormat = Field(description="pcm24 (PCM, 24 kHz), or pcmu, pcma: G.711 passed through.")


class Reasoning(Part):
    """Thinking before speaking, for models that do."""

    effort: Literal["minimal", "low", "medium", "high", "xhigh"] = Field(description="More is slower.")


ToolName = Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,64}[*]?$")]


SipTarget = Annotated[
    str, Field(pattern=r"^sips?:[A-Za-z0-9_.!~*'()+-]{1,64}@[A-Za-z0-9.-]{1,128}(:[0-9]{1,5})?$")
]


class AgentLimits(Part):
    """Bounds of one agent's calls."""

    max_call_s: int = Field(ge=10, le=86_400, description="Longest call; the settings' limit holds too.")


Detection = Annotated[ServerVad | SemanticVad, Discriminator("type")]


class Agent(Part):
    """A voice agent: one Realtime session a call.

    What is left out is the server's default, if not said otherwise.
    """

    instructions: Template = Field(
        description="Who the agent is and how it behaves. Variables: {{ caller.number }}."
    )
    greeting: Template | None = Field(
        default=None, description="What it says first. Without it the agent waits for the caller to speak."
    )
    language: Language | None = Field(default=None, description="As the dialplan's language when left out.")
    provider: Annotated[str, Field(min_length=1, max_length=32)] | None = Field(
        default=None, description="Name of a provider in the settings; default_provider when left out."
    )
    model: Annotated[str, Field(min_length=1, max_length=128)] | None = Field(
        default=None, description="The provider's model when left out (gpt-realtime-2.1)."
    )
    voice: Annotated[str, Field(min_length=1, max_length=64)] | None = Field(
        default=None, description="For example marin or cedar."
    )
    speed: float | None = Field(default=None, ge=0.25, le=1.5, description="1 is normal.")
    audio: Audio | None = Field(default=None, description="As in the settings when left out.")
    turn_detection: Annotated[
        Detection, BeforeValidator(_as_type), _OrWord(("server_vad", "semantic_vad"))
    ] = Field(
        default=ServerVad(type="server_vad"),
        description="When the caller has finished: server_vad, semantic_vad or none, or a mapping with details.",
    )
    noise_reduction: (
        Annotated[NoiseReduction, BeforeValidator(_as_type), _OrWord(("near_field", "far_field"))] | None
    ) = Field(default=None, description="near_field or far_field, or a mapping with details.")
    transcription: Transcription | None = Field(
        default=None, description="Text of what the caller says, for the records; none when left out."
    )
    max_output_tokens: Tokens | None = Field(default=None, description="Of one answer: 1 to 4096, or inf.")
    truncation: (
        Annotated[
            Annotated[Literal["auto", "disabled"], Tag("word")] | Annotated[Truncation, Tag("object")],
            Discriminator(_word_or_object),
        ]
        | None
    ) = Field(default=None, description="auto, disabled, or a mapping with retention_ratio.")
    tool_choice: (
        Annotated[
            Annotated[Literal["auto", "none", "required"], Tag("word")]
            | Annotated[ToolChoice, Tag("object")],
            Discriminator(_word_or_object),
        ]
        | None
    ) = Field(default=None, description="auto, none, required, or one tool.")
    reasoning: Reasoning | None = Field(default=None, description="Thinking effort of reasoning models.")
    barge_in: bool = Field(default=True, description="The caller's speech stops the agent's.")
    recording: bool = Field(default=True, description="Record the call, when the settings record at all.")
    limits: AgentLimits | None = Field(default=None, description="Bounds of this agent's calls.")
    tools: list[ToolName] = Field(
        default_factory=list,
        max_length=64,
        description="Tools it may ask for, by name (sipbridge tools list); SERVER__* is all of an MCP server. Whether "
        "one runs, the policy says.",
    )


class Dialplan(Part):
    """One dialplan file. A folder's files are joined in the order of their names."""

    version: Literal[1] = Field(description="Of this format.")
    language: Language = Field(default="en", description="Of prompts and agents that name none.")
    agents: dict[Name, Agent] = Field(default_factory=dict, max_length=1000, description="Agents by name.")
    hours: dict[Name, Hours] = Field(
        default_factory=dict, max_length=100, description="Opening hours by name, for conditions."
    )
    transfers: dict[Name, SipTarget] = Field(
        default_factory=dict,
        max_length=1000,
        description="Where a call may be transferred to, by the name that tools use: sip:USER@HOST[:PORT].",
    )
    routes: list[Route] = Field(default_factory=list, max_length=20_000, description="First fit wins.")
