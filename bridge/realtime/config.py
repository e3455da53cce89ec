"""Settings of one Realtime session, and the nested `session` object they become.

Pure. The dialplan's agent fills it, `Session` sends it. Only fields that were set are sent, because compatible
servers refuse keys they do not know; an explicit null (`turn_detection: null` = manual turns) is a value, not "unset".
Values are validated where they are written (dialplan schema), not here.
Source: OpenAI Realtime API (GA), `session.update`.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from enum import Enum
from types import MappingProxyType
from typing import Any, Literal, Self

from bridge.errors import LocalSessionError

AudioFormat = Literal["pcm24", "pcmu", "pcma"]


class Unset(Enum):
    """The mark of a nullable setting nobody wrote."""

    UNSET = "unset"


UNSET = Unset.UNSET

_FORMATS: Mapping[str, dict[str, Any]] = MappingProxyType(
    {
        "pcm24": {"type": "audio/pcm", "rate": 24000},
        "pcmu": {"type": "audio/pcmu"},
        "pcma": {"type": "audio/pcma"},
    }
)
BYTES_PER_MS: Mapping[str, int] = MappingProxyType({"pcm24": 48, "pcmu": 8, "pcma": 8})


@dataclass(frozen=True, slots=True)
class SessionConfig:
    """What the dialplan may set. None (or UNSET where null has a meaning) leaves the server's default.

    `model` goes into the URL and the price look-up, never into `session.update` (fixed at connect). `greeting`:
    words the agent says first. `response_tags`: mark our responses by metadata so that they are told from the
    server's own; switch off for a server that refuses `metadata`.
    """

    model: str = ""
    instructions: str | None = None
    prompt: Mapping[str, Any] | None = None
    output_modalities: tuple[str, ...] | None = None
    voice: str | Mapping[str, str] | None = None
    speed: float | None = None
    input_format: AudioFormat = "pcm24"
    output_format: AudioFormat = "pcm24"
    turn_detection: Mapping[str, Any] | Unset | None = UNSET
    noise_reduction: Mapping[str, Any] | Unset | None = UNSET
    transcription: Mapping[str, Any] | Unset | None = UNSET
    tools: tuple[Mapping[str, Any], ...] | None = None
    tool_choice: str | Mapping[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    reasoning_effort: str | None = None
    max_output_tokens: int | str | None = None
    truncation: str | Mapping[str, Any] | None = None
    greeting: str = ""
    response_tags: bool = True

    @classmethod
    def from_mapping(cls, data: Mapping[str, Any]) -> Self:
        """From plain JSON values, keys as the field names. Raises LocalSessionError on a key we do not have."""
        known = {entry.name for entry in fields(cls)}
        strange = sorted(set(data) - known)
        if strange:
            raise LocalSessionError(f"no such session setting: {', '.join(strange)}")
        listed = {"output_modalities", "tools"}
        values: dict[str, Any] = dict(data)
        for key in listed & values.keys():
            values[key] = None if values[key] is None else tuple(values[key])
        return cls(**values)

    def to_session(self, only: Iterable[str] | None = None) -> dict[str, Any]:
        """The `session` object for `session.update`; `only` limits it to these fields (a change in mid-call)."""
        wanted = set(_PLACES) if only is None else set(only)
        session: dict[str, Any] = {"type": "realtime"}
        for name, (path, render) in _PLACES.items():
            value = getattr(self, name)
            if name not in wanted or value is UNSET or (value is None and name not in _NULLABLE):
                continue
            place = session
            for step in path[:-1]:
                place = place.setdefault(step, {})
            place[path[-1]] = render(value)
        return session

    @property
    def transcription_model(self) -> str:
        """Name of the transcription model, "" when none is set."""
        chosen = self.transcription
        return str(chosen.get("model", "")) if isinstance(chosen, Mapping) else ""


def _as_is(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else value


def _format(value: str) -> dict[str, Any]:
    return _FORMATS[value]


def _effort(value: str) -> dict[str, Any]:
    return {"effort": value}


def _tools(value: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [dict(tool) for tool in value]


_NULLABLE = frozenset({"turn_detection", "noise_reduction", "transcription"})
_PLACES: Mapping[str, tuple[tuple[str, ...], Callable[[Any], Any]]] = MappingProxyType(
    {
        "instructions": (("instructions",), _as_is),
        "prompt": (("prompt",), _as_is),
        "output_modalities": (("output_modalities",), list),
        "input_format": (("audio", "input", "format"), _format),
        "noise_reduction": (("audio", "input", "noise_reduction"), _as_is),
        "transcription": (("audio", "input", "transcription"), _as_is),
        "turn_detection": (("audio", "input", "turn_detection"), _as_is),
        "output_format": (("audio", "output", "format"), _format),
        "voice": (("audio", "output", "voice"), _as_is),
        "speed": (("audio", "output", "speed"), _as_is),
        "tools": (("tools",), _tools),
        "tool_choice": (("tool_choice",), _as_is),
        "parallel_tool_calls": (("parallel_tool_calls",), _as_is),
        "reasoning_effort": (("reasoning",), _effort),
        "max_output_tokens": (("max_output_tokens",), _as_is),
        "truncation": (("truncation",), _as_is),
    }
)
