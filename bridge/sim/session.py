"""The session object of the local engine: defaults, and how session.update changes it.

Only fields present change; `audio` merges section by section; `null` switches turn detection, transcription
and noise reduction off (https://developers.openai.com/api/reference/resources/realtime/client-events).
Sans-IO. One object a connection, owned by bridge/sim/conversation.py.
"""

import copy
from typing import Any

from bridge.sim.protocol import Refusal, ServerVad, SessionPart

SESSION_SECONDS = 3600
"""The service ends a session after 60 minutes."""

_SILENCE_MS = {"low": 900, "medium": 500, "auto": 500, "high": 300}
_NULLABLE = frozenset({"turn_detection", "transcription", "noise_reduction", "tracing", "prompt"})
_BYTES_PER_MS = {"audio/pcm": 48, "audio/pcmu": 8, "audio/pcma": 8}


def bytes_per_ms(audio_format: str) -> int:
    """Payload bytes of one millisecond of `audio/pcm` (24 kHz), `audio/pcmu` or `audio/pcma`."""
    return _BYTES_PER_MS[audio_format]


class Session:
    """The configuration of one connection."""

    def __init__(self, session_id: str, model: str, expires_at: int) -> None:
        self._fields: dict[str, Any] = {
            "id": session_id,
            "object": "realtime.session",
            "type": "realtime",
            "model": model,
            "expires_at": expires_at,
            "instructions": "",
            "output_modalities": ["audio"],
            "tools": [],
            "tool_choice": "auto",
            "max_output_tokens": "inf",
            "truncation": "auto",
            "tracing": None,
            "prompt": None,
            "include": None,
            "audio": {
                "input": {
                    "format": {"type": "audio/pcm", "rate": 24000},
                    "noise_reduction": None,
                    "transcription": None,
                    "turn_detection": ServerVad(type="server_vad").model_dump(),
                },
                "output": {"format": {"type": "audio/pcm", "rate": 24000}, "voice": "marin", "speed": 1.0},
            },
        }
        self.spoke = False

    def to_dict(self) -> dict[str, Any]:
        """The object as session.created and session.updated show it."""
        return copy.deepcopy(self._fields)

    def update(self, part: SessionPart) -> bool:
        """Take over what is set; True when the prompt (instructions, tools) changed, which breaks the cache.

        Raises:
            Refusal: `model` differs, or the voice changes after the first audio; nothing is changed then.

        """
        change = part.model_dump(exclude_unset=True)
        if change.pop("model", self.model) != self.model:
            raise Refusal("invalid_value", "The model of a session cannot be changed.", "session.model")
        voice = change.get("audio", {}) and (change["audio"].get("output") or {}).get("voice")
        if self.spoke and voice and voice != self.voice:
            message = "Cannot update a conversation's voice if assistant audio is present."
            raise Refusal("cannot_update_voice", message, "session.audio.output.voice")
        before = (self._fields["instructions"], self._fields["tools"])
        audio = change.pop("audio", None) or {}
        self._merge(self._fields, change)
        for direction, fields in audio.items():
            self._merge(self._fields["audio"][direction], _complete(part, direction, fields or {}))
        return before != (self._fields["instructions"], self._fields["tools"])

    @staticmethod
    def _merge(into: dict[str, Any], change: dict[str, Any]) -> None:
        into |= {key: value for key, value in change.items() if value is not None or key in _NULLABLE}

    @property
    def id(self) -> str:
        return str(self._fields["id"])

    @property
    def model(self) -> str:
        return str(self._fields["model"])

    @property
    def expires_at(self) -> int:
        return int(self._fields["expires_at"])

    @property
    def instructions(self) -> str:
        return str(self._fields["instructions"])

    @property
    def tools(self) -> list[dict[str, Any]]:
        return list(self._fields["tools"])

    @property
    def voice(self) -> Any:
        return self._fields["audio"]["output"]["voice"]

    @property
    def speed(self) -> float:
        return float(self._fields["audio"]["output"]["speed"])

    @property
    def input_format(self) -> str:
        return str(self._fields["audio"]["input"]["format"]["type"])

    @property
    def output_format(self) -> str:
        return str(self._fields["audio"]["output"]["format"]["type"])

    @property
    def transcription(self) -> dict[str, Any] | None:
        """The `audio.input.transcription` in force; None: off."""
        found: dict[str, Any] | None = self._fields["audio"]["input"]["transcription"]
        return found

    @property
    def turn_detection(self) -> dict[str, Any] | None:
        """The `audio.input.turn_detection` in force; None: manual turns."""
        found: dict[str, Any] | None = self._fields["audio"]["input"]["turn_detection"]
        return found

    def get(self, key: str) -> Any:
        """Any other top-level field."""
        return self._fields[key]

    def vad(self) -> ServerVad | None:
        """Turn detection as voice activity settings; semantic_vad by its eagerness; None in manual mode."""
        found = self.turn_detection
        if found is None or found["type"] == "server_vad":
            return ServerVad.model_validate(found) if found else None
        return ServerVad(
            type="server_vad",
            silence_duration_ms=_SILENCE_MS[found["eagerness"]],
            create_response=found["create_response"],
            interrupt_response=found["interrupt_response"],
        )


def _complete(part: SessionPart, direction: str, fields: dict[str, Any]) -> dict[str, Any]:
    """`fields` with formats and turn detection whole: what was left out there takes its default."""
    section = getattr(part.audio, direction)
    for name in ("format", "turn_detection"):
        if fields.get(name):
            fields[name] = getattr(section, name).model_dump()
    return fields
