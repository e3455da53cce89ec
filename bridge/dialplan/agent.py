"""A voice agent of a compiled dialplan: the settings of its Realtime sessions.

Worker-safe: standard library only. Pure.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bridge.config import AudioFormat


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
