"""When the caller begins and stops to speak, from voice probabilities (server_vad of the Realtime protocol).

    probability per 32 ms window ──push()──► SPEECH_STARTED … PAUSED (RESUMED PAUSED)* … SPEECH_STOPPED

PAUSED comes early, so that the words can be recognised while the rest of the silence is waited for. Sans-IO.
"""

from bridge.sim.actions import Heard, Sound

WINDOW_MS = 32
"""Window of the Silero model at 8 and 16 kHz."""

_ONSET_WINDOWS = 2  # one window alone is a click
_HYSTERESIS = 0.15  # Silero's own example leaves speech 0.15 below the threshold it enters it with
_PAUSE_MS = 160


class Endpointer:
    """One caller's turns. `threshold` 0..1; `silence_ms` ends a turn."""

    def __init__(self, threshold: float, silence_ms: int) -> None:
        self._threshold = threshold
        self._silence_ms = silence_ms
        self._pause_ms = min(_PAUSE_MS, silence_ms)
        self._now_ms = 0
        self._loud_windows = 0
        self._speaking = False
        self._quiet_ms = 0
        self._paused = False

    def push(self, probability: float) -> list[Heard]:
        """Take the next window."""
        self._now_ms += WINDOW_MS
        return self._inside(probability) if self._speaking else self._outside(probability)

    def _outside(self, probability: float) -> list[Heard]:
        self._loud_windows = self._loud_windows + 1 if probability >= self._threshold else 0
        if self._loud_windows < _ONSET_WINDOWS:
            return []
        self._speaking, self._paused, self._quiet_ms = True, False, 0
        return [Heard(Sound.SPEECH_STARTED, self._now_ms - _ONSET_WINDOWS * WINDOW_MS)]

    def _inside(self, probability: float) -> list[Heard]:
        if probability >= self._threshold - _HYSTERESIS:
            self._quiet_ms = 0
            if not self._paused:
                return []
            self._paused = False
            return [Heard(Sound.RESUMED, self._now_ms)]
        self._quiet_ms += WINDOW_MS
        events = []
        if not self._paused and self._quiet_ms >= self._pause_ms:
            self._paused = True
            events.append(Heard(Sound.PAUSED, self._now_ms))
        if self._quiet_ms >= self._silence_ms:
            self._speaking, self._loud_windows = False, 0
            events.append(Heard(Sound.SPEECH_STOPPED, self._now_ms))
        return events
