"""A message that a caller leaves: frames in, an end out, and the audio without the silence around it.

    feed(frame, now) ──► None … Done(SILENCE | MAX)      finish() ──► the message, or None: nothing worth keeping

The step decides about keys and hang-ups and simply calls `finish`. Sans-IO; `messagefile.save` writes it. Holds at most
`max_s` of audio (960 kB a minute), in memory: a worker that dies loses the message with the call.
"""

from dataclasses import dataclass
from enum import Enum

from bridge.media.activity import Activity, Sound
from bridge.media.frame import FRAME_BYTES, FRAME_MS

EDGE_MS = 300
"""Kept before the first and after the last word."""


@dataclass(frozen=True, slots=True)
class MessageRules:
    """Seconds. `silence_s` of quiet ends it, `max_s` too; shorter than `min_s` is no message."""

    silence_s: float = 4.0
    max_s: float = 180.0
    min_s: float = 1.0


class Done(Enum):
    """Why it takes no more."""

    SILENCE = "silence"
    MAX = "max"


class MessageRecorder:
    """One message. Start feeding after the beep."""

    def __init__(self, rules: MessageRules | None = None, activity: Activity | None = None) -> None:
        self._rules = rules or MessageRules()
        self._activity = activity or Activity()
        self._audio = bytearray()
        self._frames = 0
        self._first: int | None = None  # frames
        self._end = 0  # first frame after the last word
        self._tone: int | None = None  # first frame of a key after it
        self._last = Sound.QUIET
        self._since: float | None = None
        self._done: Done | None = None

    @property
    def seconds(self) -> float:
        """Taken so far."""
        return self._frames * FRAME_MS / 1000

    def feed(self, frame: bytes, now: float) -> Done | None:
        """The caller's next 20 ms at `now` (monotonic seconds). The same answer again once it is done."""
        if self._done:
            return self._done
        self._since = now if self._since is None else self._since
        sound = self._activity.push(frame)
        self._audio += frame[:FRAME_BYTES].ljust(FRAME_BYTES, b"\0")
        self._frames += 1
        self._note(sound)
        # Packets may have stopped: then `now` is what runs on.
        if max(self.seconds, now - self._since) >= self._rules.max_s:
            self._done = Done.MAX
        elif (self._frames - self._end) * FRAME_MS >= self._rules.silence_s * 1000:
            self._done = Done.SILENCE
        return self._done

    def _note(self, sound: Sound) -> None:
        # One frame alone is the edge of a key's tone, or a click: two in a row are speech, a tone begins one earlier.
        if sound.speech and self._last.speech:
            self._first = self._frames - 2 if self._first is None else self._first
            self._end, self._tone = self._frames, None
        elif sound is Sound.TONE and self._tone is None:
            self._tone = max(self._frames - 2, self._end)
        self._last = sound

    def finish(self) -> bytes | None:
        """The message as 8 kHz 16-bit PCM, trimmed; None when nobody spoke or it is shorter than `min_s`."""
        if self._first is None:
            return None
        edge = EDGE_MS // FRAME_MS
        begin, end = max(0, self._first - edge), min(self._frames, self._end + edge)
        if self._tone is not None:
            end = min(end, self._tone)
        pcm = bytes(self._audio[begin * FRAME_BYTES : end * FRAME_BYTES])
        long_enough = (self._end - self._first) * FRAME_MS >= self._rules.min_s * 1000
        return pcm if long_enough else None
