"""When may the uplink read pjmedia's jitter buffer? A speech model takes a stream, so no clock says it.

    RTP --> pjmedia jitter buffer (10 ms codec frames, a gap counts) --read--> 20 ms frames --> model
                 size, packets, lost --poll every 5 ms--> Dejitter --> how many to read now

The rule is to read at once. What stands against it is a gap: a packet was lost, or comes late. The buffer shows
it as growth that the packets do not explain; the frames before it are read, those behind it wait until the gap is
filled or `reorder_wait_ms` is over, and then pjmedia conceals what is missing.

pjmedia forgets where it was when its buffer is read empty (`jb_framelist_put_at` takes the next packet as origin):
a gap behind an empty buffer is not seen, and the late packet is thrown away. So on a line that was seen to lose
or reorder packets, the newest frame is left in the buffer (`rx_lost` is the sign; the reserve goes after
`_TROUBLE_S` without any). A clean line pays no delay for it.

When audio stops (muted phone, DTX, loss burst) the rest is read, then filler is asked for at real-time pace, so
that the model's VAD sees silence pass. Reading an empty buffer is harmless: pjmedia fades and gives silence.

Sans-IO. One owner: the media thread, which polls and does what it is told before it polls again.
"""

from collections import deque
from dataclasses import dataclass
from statistics import mode

CODEC_FRAME_MS = 10
MAX_FRAMES = 25  # a poll: half a second, so that a stalled thread comes back without one long breath

_TROUBLE_S = 10.0
_LEARN_PACKETS = 8


@dataclass(frozen=True, slots=True)
class Pull:
    """Read `frames` frames of `frame_ms` now. With `filler` there is no audio to read, only time that passed."""

    frames: int
    filler: bool = False


_NOTHING = Pull(0)


@dataclass(slots=True)
class _Gap:
    """`length` codec frames are missing, `start` codec frames behind the head of the buffer, known `since`."""

    start: int
    length: int
    since: float


class Dejitter:
    """Decides for one RTP stream how much of the jitter buffer to read.

    A stall of the polling thread is made up for by at most `MAX_FRAMES` filler frames; real audio is never skipped.
    """

    def __init__(self, reorder_wait_ms: int = 20, silence_after_ms: int = 60, frame_ms: int = 20) -> None:
        self._reorder_wait_s = reorder_wait_ms / 1000
        self._silence_after_s = silence_after_ms / 1000
        self._frame_s = frame_ms / 1000
        self._unit = frame_ms // CODEC_FRAME_MS
        self._gaps: deque[_Gap] = deque()
        self._seen_per_packet: deque[int] = deque(maxlen=_LEARN_PACKETS)
        self.reset()

    def reset(self) -> None:
        """The stream was made anew (re-INVITE): its buffer and counters start again."""
        self._rx_packets: int | None = None
        self._rx_lost = 0
        self._left = 0
        self._credit = 0
        self._gaps.clear()
        self._seen_per_packet.clear()
        self._per_packet = self._unit
        self._usual = 0
        self._one_packet = _NOTHING
        self._filler_s = 0.0
        self._trouble_until_s = 0.0

    def poll(self, size: int, rx_packets: int, now: float, rx_lost: int = 0) -> Pull:
        """Look at the stream: `size` codec frames in the buffer, RTP packets received and seen lost in total."""
        if size and size == self._usual and self._as_usual(rx_packets, now, rx_lost):
            self._rx_packets = rx_packets
            self._filler_s = now + self._silence_after_s
            return self._one_packet
        if self._rx_packets is not None and rx_packets < self._rx_packets:
            self.reset()
        if self._rx_packets is None:
            self._left, self._rx_lost = size, rx_lost
            self._hear(now)
        else:
            self._account(size, rx_packets - self._rx_packets, now)
        self._rx_packets = rx_packets
        if rx_lost > self._rx_lost:
            self._trouble_until_s = now + _TROUBLE_S
        self._rx_lost = rx_lost
        self._left = size
        if now >= self._filler_s:
            return self._fill_silence(size, now)
        return self._read(self._ready(size, now) // self._unit)

    def _as_usual(self, rx_packets: int, now: float, rx_lost: int) -> bool:
        """One packet of the usual length came into an empty buffer, and nothing is amiss: what follows would read it.

        Nearly every poll of a call is like that, and so it is asked first; `_usual` is 0 until the length is known.
        """
        return (
            self._rx_packets is not None
            and rx_packets == self._rx_packets + 1
            and rx_lost == self._rx_lost
            and not (self._left or self._gaps or self._credit)
            and self._trouble_until_s <= now < self._filler_s
        )

    def _account(self, size: int, packets: int, now: float) -> None:
        """Compare what came out of the network with what came into the buffer."""
        growth = size - self._left
        if growth < 0:
            # Not our doing: pjmedia restarted the buffer (sequence jump). What is left is taken as it is.
            self._gaps.clear()
            growth = 0
        if packets == 1 and growth:
            self._learn(growth)
        if growth:
            self._hear(now)
        fresh = packets * self._per_packet
        unexplained = growth - fresh - self._credit
        # pjmedia counts a packet a moment before its frames are in the buffer: believe it for one more poll.
        self._credit = 0
        if unexplained > 0:
            self._gaps.append(_Gap(self._left, unexplained, now))
        elif unexplained < 0:
            self._credit = min(self._fill_gaps(-unexplained, now), fresh)

    def _learn(self, growth: int) -> None:
        """A packet brought so many codec frames."""
        seen = self._seen_per_packet
        seen.append(growth)
        self._per_packet = mode(seen)
        known = seen.count(growth) == _LEARN_PACKETS and not growth % self._unit
        self._usual = growth if known else 0
        self._one_packet = Pull(growth // self._unit)

    def _hear(self, now: float) -> None:
        self._filler_s = now + self._silence_after_s

    def _fill_gaps(self, frames: int, now: float) -> int:
        """A packet without growth came late into a gap. Which one is not known; the oldest frees the most."""
        while frames and self._gaps:
            gap = self._gaps[0]
            filled = min(frames, gap.length)
            gap.length -= filled
            frames -= filled
            self._hear(now)
            if not gap.length:
                self._gaps.popleft()
        return frames

    def _ready(self, size: int, now: float) -> int:
        """Codec frames that can be read without tearing a gap open."""
        while self._gaps and now - self._gaps[0].since >= self._reorder_wait_s:
            self._gaps.popleft()
        if self._gaps:
            return self._gaps[0].start
        return size - 1 if size and now < self._trouble_until_s else size

    def _read(self, frames: int) -> Pull:
        if not frames:
            return _NOTHING
        frames = min(frames, MAX_FRAMES)
        taken = frames * self._unit
        self._left = max(self._left - taken, 0)
        for gap in self._gaps:
            gap.start -= taken
        return Pull(frames)

    def _fill_silence(self, size: int, now: float) -> Pull:
        if size:
            self._gaps.clear()
            self._filler_s = now + self._frame_s
            return self._read(-(-size // self._unit))
        due = int((now - self._filler_s) / self._frame_s) + 1
        if due > MAX_FRAMES:
            due = MAX_FRAMES
            self._filler_s = now + self._frame_s
        else:
            self._filler_s += due * self._frame_s
        return Pull(due, filler=True)
