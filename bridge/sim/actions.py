"""What the local engine's conversation machine asks its shell to do, and what the ears tell the machine.

Frozen values; made by bridge/sim/conversation.py and bridge/sim/endpointer.py, carried out by bridge/sim/server.py.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Any

from bridge.sim.protocol import ServerVad


@dataclass(frozen=True, slots=True)
class Send:
    """Send a server event."""

    event: dict[str, Any]


@dataclass(frozen=True, slots=True)
class SendRaw:
    """Send this text as it is (a fault script's malformed event)."""

    text: str


@dataclass(frozen=True, slots=True)
class Hear:
    """Run voice activity detection over this appended payload."""

    payload: bytes
    audio_format: str


@dataclass(frozen=True, slots=True)
class Attend:
    """Detect turns by these rules from now on (None: do not); what was heard so far is forgotten."""

    vad: ServerVad | None


@dataclass(frozen=True, slots=True)
class Recognise:
    """Find the words in this payload and answer with recognised(ticket, words); `pending` is the open question."""

    ticket: int
    payload: bytes
    audio_format: str
    pending: str | None


@dataclass(frozen=True, slots=True)
class Speak:
    """Synthesise a sentence and answer with spoken(response_id, payload)."""

    response_id: str
    text: str
    voice: str
    speed: float
    audio_format: str


@dataclass(frozen=True, slots=True)
class Close:
    """Close the WebSocket properly."""

    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class Drop:
    """Cut the TCP connection without a word."""


@dataclass(frozen=True, slots=True)
class HalfOpen:
    """Stop reading, answering pings and sending for `seconds`, then cut."""

    seconds: float


Action = Send | SendRaw | Hear | Attend | Recognise | Speak | Close | Drop | HalfOpen


class Sound(Enum):
    """What the ears notice."""

    SPEECH_STARTED = "speech_started"
    PAUSED = "paused"
    RESUMED = "resumed"
    SPEECH_STOPPED = "speech_stopped"


@dataclass(frozen=True, slots=True)
class Heard:
    """A sound event at `at_ms` of the audio appended since the ears were told to attend."""

    sound: Sound
    at_ms: int
