"""Lays the two sides of a call beside each other for a recording: one caller frame to each agent frame. A machine.

    caller frames, when the network brings them ──hear──► queue ─┐
    agent frames, every 20 ms (the playout clock) ──speak──► delay ─┴─► tap(caller, agent)

The agent's side is the clock. Both sides run `DELAY_FRAMES` behind, so that ordinary jitter leaves no hole in the
caller's. After a stall its frames come in one burst, behind silence that has been written already; without a
remedy the caller would lag for the rest of the recording. So what stood queued beyond the delay for a whole
`SURPLUS_FRAMES` is dropped, oldest first. A burst that would be larger than the queue costs its oldest frames.
Nothing here touches the call itself. Owned by sip/port.py, under its lock.
"""

from collections import deque
from collections.abc import Callable

from bridge.media.frame import FRAME_MS, SILENCE

DELAY_FRAMES = 2
MAX_FRAMES = 15
MAX_GAP_FRAMES = 3000  # of a stall, at most a minute of silence goes into the recording
SURPLUS_FRAMES = 50  # a second: longer than jitter, shorter than what a listener would notice as lag

Tap = Callable[[bytes, bytes], None]


class Tape:
    """Calls `tap(caller, agent)` once for each agent frame. `dropped_ms`: caller audio that is not on it.

    `silence` is a frame of it, as long as the others.
    """

    def __init__(self, tap: Tap, silence: bytes = SILENCE) -> None:
        self._tap = tap
        self._silence = silence
        self._caller = deque([silence] * DELAY_FRAMES, maxlen=MAX_FRAMES)
        self._agent = deque([silence] * DELAY_FRAMES)
        self._lowest = MAX_FRAMES
        self._counted = 0
        self._written = 0
        self.dropped_ms = 0

    def hear(self, frame: bytes) -> None:
        """20 ms of the caller."""
        if len(self._caller) == MAX_FRAMES:
            self.dropped_ms += FRAME_MS
        self._caller.append(frame)

    def speak(self, frame: bytes) -> None:
        """20 ms of the agent, or of silence: time passes."""
        self._agent.append(frame)
        caller = self._caller.popleft() if self._caller else self._silence
        self._tap(caller, self._agent.popleft())
        self._written += 1
        self._lowest = min(self._lowest, len(self._caller))
        self._counted += 1
        if self._counted == SURPLUS_FRAMES:
            self._drop_surplus()

    def skip(self, frames: int) -> None:
        """Before the frame that was written last, `frames` were due and did not come: silence stands for them.

        Unless it was the first: what passed before it is not part of the recording.
        """
        if self._written > 1:
            for _ in range(min(frames, MAX_GAP_FRAMES)):
                self.speak(self._silence)

    def _drop_surplus(self) -> None:
        for _ in range(self._lowest - DELAY_FRAMES):
            self._caller.popleft()
            self.dropped_ms += FRAME_MS
        self._lowest = MAX_FRAMES
        self._counted = 0
