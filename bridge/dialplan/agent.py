"""A voice agent of a compiled dialplan: the settings of its Realtime sessions.

Worker-safe: standard library only. Pure.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bridge.config import AudioFormat
from bridge.dialplan.recording import RecordingRule

WARN_S = 30


@dataclass(frozen=True, slots=True)
class Agent:
    """Settings of a Realtime session, checked, in the API's words (reference/realtime.md section 1.4).

    None means "not sent, the server decides", but for `turn_detection`, where None is sent as null: no
    detection. `greeting` and `instructions` are templates (bridge/dialplan/variables.py); `variables` are the values
    of the names that the agent's prompt file declares, `prompt` is that file's id and version ("front-desk@3").
    `audio_format` None: as in the settings. `provider` and `model` None: as in the settings. `stored_prompt`: sent as
    `session.prompt` to servers that keep prompts. Limits are None when there is none; `max_call_s` counts from the
    answer, cost, tokens and tool calls over the whole call, `idle_s` from the last word of both. `hand_off_to`: agents
    it may hand the caller over to.
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
    recording_rule: RecordingRule | None = None
    max_call_s: int | None = None
    max_cost_usd: float | None = None
    max_tokens: int | None = None
    max_tool_calls: int | None = None
    warn_s: int = WARN_S
    idle_s: int | None = None
    tools: tuple[str, ...] = ()
    hand_off_to: tuple[str, ...] = ()
    prompt: str = ""
    variables: Mapping[str, Any] = field(default_factory=dict)
    stored_prompt: Mapping[str, Any] | None = None
