"""One thing a caller says, cut out of their line: 20 ms frames in, "started", "over" and the audio out.

    push(frame) ──► None … STARTED … None … OVER      audio(): from 200 ms before the first sound, to 200 ms after
                └─► NOTHING                           nobody spoke in time

For menus that listen, and for whatever a step asks. Sans-IO: frames are the clock, so a shell must feed silence where
packets are missing. Holds at most `max_ms` and the pre-roll of audio. What speech is: activity.py.
"""

from collections import deque
from dataclasses import dataclass
from enum import Enum

from bridge.media.activity import Activity, Sound
from bridge.media.frame import FRAME_BYTES, FRAME_MS

PRE_ROLL_MS = 200
POST_ROLL_MS = 200
_ONSET_SPEECH = 5  # frames of the last _ONSET_WINDOW: a click or a knock is shorter than any word
_ONSET_VOICED = 3
_ONSET_WINDOW = 8


@dataclass(frozen=True, slots=True)
class UtteranceRules:
    """Milliseconds. `silence_ms` ends it, `max_ms` cuts it, `nothing_ms` without a word gives up (None: never)."""

    silence_ms: int = 800
    max_ms: int = 10_000
    nothing_ms: int | None = 5000


class Said(Enum):
    """What has become clear with a frame."""

    STARTED = "started"
    OVER = "over"
    NOTHING = "nothing"


class Utterance:
    """One utterance. After OVER or NOTHING it takes no more: make a new one, its `activity` knows the noise floor."""

    def __init__(self, rules: UtteranceRules | None = None, activity: Activity | None = None) -> None:
        self._rules = rules or UtteranceRules()
        self.activity = activity or Activity()
        self._audio = bytearray()
        self._before: deque[bytes] = deque(maxlen=PRE_ROLL_MS // FRAME_MS + _ONSET_WINDOW)
        self._recent: deque[Sound] = deque(maxlen=_ONSET_WINDOW)
        self._waited_ms = 0
        self._quiet_ms = 0
        self._started = False
        self._done = False
        self.cut = False
        """It reached `max_ms`: the caller was still speaking."""

    @property
    def started(self) -> bool:
        """The caller has spoken."""
        return self._started

    def wait_from_now(self) -> None:
        """Count `nothing_ms` anew, as when a prompt has ended."""
        self._waited_ms = 0

    def push(self, frame: bytes) -> Said | None:
        """Take the next 20 ms."""
        if self._done:
            return None
        sound = self.activity.push(frame)
        frame = frame[:FRAME_BYTES].ljust(FRAME_BYTES, b"\0")
        return self._inside(frame, sound) if self._started else self._outside(frame, sound)

    def audio(self) -> bytes:
        """What belongs to it: 8 kHz 16-bit PCM, empty before STARTED."""
        trailing_ms = max(0, self._quiet_ms - POST_ROLL_MS)
        return bytes(self._audio[: len(self._audio) - trailing_ms // FRAME_MS * FRAME_BYTES])

    def _outside(self, frame: bytes, sound: Sound) -> Said | None:
        self._before.append(frame)
        self._recent.append(sound)
        if self._is_onset():
            self._started = True
            self._begin()
            return Said.STARTED
        self._waited_ms += FRAME_MS
        if (
            self._rules.nothing_ms is not None
            and self._waited_ms >= self._rules.nothing_ms
            and not sound.speech
        ):
            self._done = True
            return Said.NOTHING
        return None

    def _is_onset(self) -> bool:
        speech = sum(sound.speech for sound in self._recent)
        return speech >= _ONSET_SPEECH and self._recent.count(Sound.VOICED) >= _ONSET_VOICED

    def _begin(self) -> None:
        first = next(index for index, sound in enumerate(self._recent) if sound.speech)
        wanted = len(self._recent) - first + PRE_ROLL_MS // FRAME_MS
        self._audio += b"".join([*self._before][-wanted:])

    def _inside(self, frame: bytes, sound: Sound) -> Said | None:
        self._audio += frame
        # One frame alone is the edge of a key's tone, or a click.
        spoken = sound.speech and self._recent[-1].speech
        self._recent.append(sound)
        self._quiet_ms = 0 if spoken else self._quiet_ms + FRAME_MS
        self.cut = len(self._audio) // FRAME_BYTES * FRAME_MS >= self._rules.max_ms + PRE_ROLL_MS
        if self.cut or self._quiet_ms >= self._rules.silence_ms:
            self._done = True
            return Said.OVER
        return None
