"""A voice agent as a person writes it, in the Realtime API's words (reference/realtime.md section 1.4).

Not worker-safe (pydantic). Pure.
"""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag
from pydantic.json_schema import WithJsonSchema

from bridge.config import AudioFormat
from bridge.dialplan.schema_base import Form, Language, Name, OrWord, Part, Template, as_type, word_or_object
from bridge.dialplan.schema_recording import Recording


def _tokens(value: Any) -> Any:
    if value == "inf" or (type(value) is int and 1 <= value <= 4096):
        return value
    raise ValueError("1 to 4096, or inf")


Tokens = Annotated[
    int | str,
    BeforeValidator(_tokens),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 1, "maximum": 4096}, {"const": "inf"}]}),
]


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


CODE = "this is no code of a language | ISO 639-1, such as en or de"


class Transcription(Part):
    """Text of what the caller says."""

    model: str = Field(min_length=1, max_length=128, description="For example gpt-transcribe.")
    language: Annotated[str, Form(r"^[a-z]{2,3}$", CODE)] | None = Field(
        default=None, description="ISO 639-1; the agent's language is not sent by itself."
    )
    languages: list[Annotated[str, Form(r"^[a-z]{2,3}$", CODE)]] | None = Field(default=None, max_length=20)
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


ToolName = Annotated[
    str,
    Form(
        r"^[a-zA-Z0-9_-]{1,64}[*]?$", "this is no name of a tool | one of: sipbridge tools list; or SERVER__*"
    ),
]


class AgentLimits(Part):
    """Bounds of one agent's calls. Before the end the agent says goodbye."""

    max_call_s: Annotated[int, Field(ge=10, le=86_400)] | None = Field(
        default=None, description="Longest call; the settings' limit holds too."
    )
    warn_s: int = Field(
        default=30, ge=0, le=600, description="So long before the end the caller is told; 0: never."
    )
    max_cost_usd: Annotated[float, Field(gt=0, le=10_000)] | None = Field(
        default=None, description="What the models may cost; a model without a price counts as nothing."
    )
    max_tokens: Annotated[int, Field(ge=1, le=100_000_000)] | None = Field(
        default=None, description="Tokens the models may use, for models without a price."
    )
    max_tool_calls: Annotated[int, Field(ge=0, le=10_000)] | None = Field(
        default=None, description="Function calls that are carried out; further ones are refused."
    )
    idle_s: Annotated[int, Field(ge=5, le=3600)] | None = Field(
        default=None,
        description="The caller says nothing for so long: asked whether they are there; again so long: a goodbye.",
    )


def _version(value: Any) -> Any:
    return str(value) if type(value) is int else value


PromptVersion = Annotated[
    str, BeforeValidator(_version), Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,31}$"),
    WithJsonSchema({"type": ["string", "integer"]}),
]  # fmt: skip
PromptValue = (
    bool
    | int
    | float
    | Annotated[str, Field(max_length=10_000)]
    | list[Annotated[str, Field(max_length=1000)]]
)
"""What a prompt's variable may be."""


class PromptUse(Part):
    """A prompt of the folder `prompts` beside the dialplan file."""

    id: Name = Field(description="As in the prompt file.")
    version: PromptVersion | None = Field(
        default=None, description="Needed when the folder has more than one."
    )
    variables: dict[Name, PromptValue] = Field(
        default_factory=dict, max_length=100, description="Values of the variables it declares."
    )


class StoredPrompt(Part):
    """A prompt that the model's server keeps, sent as session.prompt."""

    id: str = Field(min_length=1, max_length=128)
    version: PromptVersion | None = None
    variables: dict[Name, Template] = Field(
        default_factory=dict, max_length=100, description="Sent as text; {{ caller.number }} is possible."
    )


Detection = Annotated[ServerVad | SemanticVad, Discriminator("type")]


class Agent(Part):
    """A voice agent: one Realtime session a call.

    What is left out is the server's default, if not said otherwise.
    """

    instructions: Template | None = Field(
        default=None,
        description="Who the agent is and how it behaves. Variables: {{ caller.number }}. Or take a prompt.",
    )
    prompt: PromptUse | None = Field(
        default=None, description="A prompt of the folder prompts, instead of instructions."
    )
    stored_prompt: StoredPrompt | None = Field(
        default=None, description="A prompt kept by the model's server, for servers that do."
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
    turn_detection: Annotated[Detection, BeforeValidator(as_type), OrWord(("server_vad", "semantic_vad"))] = (
        Field(
            default=ServerVad(type="server_vad"),
            description="When the caller has finished: server_vad, semantic_vad or none, or a mapping with details.",
        )
    )
    noise_reduction: (
        Annotated[NoiseReduction, BeforeValidator(as_type), OrWord(("near_field", "far_field"))] | None
    ) = Field(default=None, description="near_field or far_field, or a mapping with details.")
    transcription: Transcription | None = Field(
        default=None, description="Text of what the caller says, for the records; none when left out."
    )
    max_output_tokens: Tokens | None = Field(default=None, description="Of one answer: 1 to 4096, or inf.")
    truncation: (
        Annotated[
            Annotated[Literal["auto", "disabled"], Tag("word")] | Annotated[Truncation, Tag("object")],
            Discriminator(word_or_object),
        ]
        | None
    ) = Field(default=None, description="auto, disabled, or a mapping with retention_ratio.")
    tool_choice: (
        Annotated[
            Annotated[Literal["auto", "none", "required"], Tag("word")]
            | Annotated[ToolChoice, Tag("object")],
            Discriminator(word_or_object),
        ]
        | None
    ) = Field(default=None, description="auto, none, required, or one tool.")
    reasoning: Reasoning | None = Field(default=None, description="Thinking effort of reasoning models.")
    barge_in: bool = Field(default=True, description="The caller's speech stops the agent's.")
    recording: Annotated[
        Annotated[bool, Tag("word")] | Annotated[Recording, Tag("object")], Discriminator(word_or_object)
    ] = Field(
        default=True,
        description="Record the call, when the settings record at all; a mapping says how the caller is told.",
    )
    limits: AgentLimits | None = Field(default=None, description="Bounds of this agent's calls.")
    tools: list[ToolName] = Field(
        default_factory=list,
        max_length=64,
        description="Tools it may ask for, by name (sipbridge tools list); SERVER__* is all of an MCP server. Whether "
        "one runs, the policy says.",
    )
    hand_off_to: list[Name] = Field(
        default_factory=list,
        max_length=32,
        description="Agents it may hand the caller over to within the call, with the tool hand_off.",
    )
