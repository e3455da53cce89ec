"""How loud the two sides of a call are, for somebody who looks at it. A machine; the port has one only then.

The media clock leaves frames here (an append); who looks asks for the levels some times a second, which is when they
are measured. What nobody asks for is dropped.
"""

import math
from collections import deque

import numpy as np

MAX_FRAMES = 25
"""Half a second of each side."""
FLOOR_DB = -55.0
"""Below full scale: a quiet line. What is as loud is level 0."""


class Meter:
    """`caller`, `agent`: frames since the last look, PCM16."""

    def __init__(self) -> None:
        self.caller: deque[bytes] = deque(maxlen=MAX_FRAMES)
        self.agent: deque[bytes] = deque(maxlen=MAX_FRAMES)

    def levels(self) -> dict[str, int]:
        """0 (silence) to 100 (as loud as it can be) of what came since the last look, in steps of decibels."""
        return {"caller": level(_taken(self.caller)), "agent": level(_taken(self.agent))}


def _taken(frames: deque[bytes]) -> bytes:
    return b"".join(frames.popleft() for _ in range(len(frames)))


def level(pcm: bytes) -> int:
    """Of some PCM16."""
    samples = np.frombuffer(pcm[: len(pcm) & ~1], dtype="<i2").astype(np.float32)
    mean = float(np.mean(samples * samples)) if samples.size else 0.0
    if mean < 1.0:
        return 0
    decibels = 10 * math.log10(mean / 32768.0**2)
    return max(0, min(round(100 * (1 - decibels / FLOOR_DB)), 100))
