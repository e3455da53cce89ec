"""The audio of one leg: caller audio out, agent audio in.

    RTP ─► pjmedia jitter buffer ─► NativeStream.read ─► Dejitter ─► Intake ─► asyncio loop (read)
    RTP ◄─ pjmedia encoder ◄─────── NativeStream.write ◄─ Playout.pull ◄────── asyncio loop (play, clear)

Everything here has the worker's rate, 8 or (G.722) 16 kHz. A stream of another one is converted where it is read and
written; who listens for words and keys reads at 8 kHz (`read_narrow`).
The media clock (mediaclock.py) ticks the port: it takes whatever audio has come in (the uplink waits for no clock) and
hands out one packet of playout audio every ptime (that is the playout clock). A tick copies bytes and returns: no log,
no await, no SIP call, no lock but the port's own, held for microseconds, because the clock's guard may tick while the
loop pushes and clears. Where natives.py is of no use, conferenceport.py moves the frames: slower, same behaviour.
"""

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable

from bridge.media.dejitter import Dejitter
from bridge.media.frame import FRAME_MS, RATE_HZ, bytes_per_ms
from bridge.media.intake import Intake
from bridge.media.meter import Meter
from bridge.media.mixer import Mixer, mix
from bridge.media.playout import Cleared, Playout, PlayoutEvent
from bridge.media.resample import Resampler, between
from bridge.media.tape import Tap, Tape
from bridge.sip.mediaclock import MAX_LATE_S
from bridge.sip.natives import NativeStream

IDLE_S = 2.0
ROUNDING_S = 0.001
SETTLED_PACKETS = 5  # of a stream: from then on its rhythm is known
Sink = Callable[[bytes], bool]
"""Takes the next 20 ms of caller audio; False: it wants no more."""


class AudioPort:
    """Caller audio out (`read`), agent audio in (`play`, `clear`). The loop's side of one leg's media.

    Everything is mono PCM at `rate_hz`. Made and used on the asyncio loop; `tick` and friends run on the media thread.
    `new_dejitter(ptime_ms)` makes the machine that decides for one stream when its frames may be read.
    `on_failure(what)` is called on the media thread when moving audio raised; the port is ticked no more then.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        playout: Playout,
        intake: Intake,
        new_dejitter: Callable[[int], Dejitter],
        rate_hz: int = RATE_HZ,
    ) -> None:
        self.rate_hz = rate_hz
        self._frame_bytes = FRAME_MS * bytes_per_ms(rate_hz)
        self._silence = bytes(self._frame_bytes)
        self._narrow = between(rate_hz, RATE_HZ)
        self._from_stream: Resampler | None = None
        self._to_stream: Resampler | None = None
        self._loop = loop
        self._playout = playout
        self._intake = intake
        self._new_dejitter = new_dejitter
        self._dejitter = new_dejitter(FRAME_MS)
        self._lock = threading.Lock()
        self._stream: NativeStream | None = None
        self._next_write_s = time.monotonic()
        self._unsent = b""
        self._ungiven = b""
        self._readable = asyncio.Event()
        self._played = asyncio.Event()
        self._wake_wanted = False
        self._wake_scheduled = False
        self._playing = False
        self._paused = False
        self._listening = False
        self._tape: Tape | None = None
        self.meter: Meter | None = None  # while somebody looks how loud it is
        self._mixer: Mixer | None = None
        self._read_s = self.last_rx_s = time.monotonic()
        self._sink: Sink | None = None
        self._party = self._voice = ""
        self._rx_packets, self._looked_s = 0, 0.0
        self._unsettled = SETTLED_PACKETS
        self.on_failure: Callable[[str], None] | None = None
        self.pressed: Callable[[], bool] = bool  # whether the machine is short of time

    # ---- the loop's side -------------------------------------------------------------------------------------

    async def read(self) -> bytes:
        """The next 20 ms of caller audio. Safe to cancel: nothing is lost.

        What came while nobody has read for IDLE_S is forgotten: who begins to read hears the present.
        """
        self._read_s = time.monotonic()
        while True:
            with self._lock:
                if (frame := self._intake.pull()) is not None:
                    return frame
                self._readable.clear()
            await self._readable.wait()

    async def read_narrow(self) -> bytes:
        """Like `read`, 20 ms at 8 kHz (320 bytes): for whoever looks for speech, keys and tones in it."""
        frame = await self.read()
        return frame if self._narrow is None else self._narrow.push(frame)

    def feed(self, sink: Sink) -> None:
        """In place of `read`: every frame goes to `sink`, on the loop, as it comes, until it wants no more."""
        self._sink = sink
        self._pour()

    def unfeed(self, sink: Sink) -> None:
        """The given sink gets no more: `read` again. Another one that has taken its place stays."""
        self._sink = None if self._sink == sink else self._sink

    def _pour(self) -> None:
        self._read_s = time.monotonic()
        while self._sink is not None:
            with self._lock:
                frame = self._intake.pull()
            if frame is None:
                return
            if not self._sink(frame):
                self._sink = None

    def play(self, item_id: str, pcm: bytes) -> int:
        """Queue agent audio (at `rate_hz`) of one response item. Returns the bytes refused: the queue is full."""
        with self._lock:
            return self._playout.push(item_id, pcm)

    def finish(self, item_id: str) -> None:
        """No more audio of `item_id` comes."""
        with self._lock:
            self._playout.finish(item_id)

    def clear(self) -> Cleared:
        """Stop speaking within one frame. The answer says what was heard, and of which item."""
        with self._lock:
            return self._playout.clear()

    async def playout_events(self) -> list[PlayoutEvent]:
        """What the playout clock did since the last call; waits until there is something. Safe to cancel."""
        while True:
            with self._lock:
                events = self._playout.events()
                if not events:
                    self._played.clear()
            if events:
                return events
            await self._played.wait()

    def drain(self) -> None:
        """Forget what the peer said so far: whoever reads from now on hears the present."""
        with self._lock:
            self._intake.clear()

    @property
    def queued_ms(self) -> float:
        """Agent audio that waits to be heard."""
        return self._playout.queued_ms

    @property
    def intake_dropped_ms(self) -> float:
        """Caller audio lost because the loop did not keep up."""
        return self._intake.dropped_ms

    @property
    def silent(self) -> bool:
        """Whether the caller hears nothing of the agent and nothing waits: no item is queued or half heard."""
        return not self._playout.queued_ms and self._playout.playing is None

    def listen(self) -> None:
        """The peer's audio counts from now on; what is queued for it still waits for `start`."""
        with self._lock:
            self._intake.clear()
            self._listening = True

    def start(self) -> None:
        """The call is answered (or has early media): audio queued begins to play, the caller's audio counts. Once."""
        with self._lock:
            if self._playing:
                return
            self._intake.clear()
            self.last_rx_s = self._read_s = time.monotonic()
            self._playing, self._listening = True, False

    def join(self, mixer: Mixer, party: str, voice: str = "") -> None:
        """From now on this leg is `party` of a conference, which must know it. On top it hears what `play` queues.

        `voice`: what `play` queues is a party too, heard by the others; and `read` gives what the others say as well.
        """
        with self._lock:
            self._mixer, self._party, self._voice = mixer, party, voice

    @property
    def conference(self) -> Mixer | None:
        """The conference this leg is in."""
        return self._mixer

    def leave(self) -> None:
        """Out of the conference."""
        with self._lock:
            self._mixer = None

    def record(self, tap: Tap) -> None:
        """From now on `tap` gets (caller, agent) frames, aligned, on the media thread. It must not block.

        Time on hold, without a stream or in a stall of the clock is silence: the recording is as long as the call.
        """
        with self._lock:
            self._tape = Tape(tap, self._silence)

    def pause(self, paused: bool) -> None:
        """On hold nothing is heard: the playout clock stops, and so does the caller's audio."""
        with self._lock:
            self._paused = paused
            self._intake.clear()
            self.last_rx_s = time.monotonic()

    def stop(self) -> None:
        """The call is over: no more frames reach the tap."""
        with self._lock:
            self._playing = self._listening = False

    @property
    def recording_dropped_ms(self) -> int:
        """Caller audio that is not in the recording, because it came late or in too large a burst."""
        return self._tape.dropped_ms if self._tape else 0

    def wake(self) -> None:
        """Let those who wait see what the media thread did. Each event wakes a task: none is set for nothing."""
        self._wake_scheduled = False
        if self._sink is not None:
            self._pour()
        if self._intake.queued_ms:
            self._readable.set()
        if self._playout.has_events:
            self._played.set()

    # ---- the pj thread's side --------------------------------------------------------------------------------

    def attach(self, stream: NativeStream) -> None:
        """A stream was created: the media clock serves it from now on."""
        with self._lock:
            self._detach_locked()
            self._stream = stream
            self._from_stream = between(stream.rate_hz, self.rate_hz)
            self._to_stream = between(self.rate_hz, stream.rate_hz)
            self._dejitter = self._new_dejitter(stream.ptime_ms)
            self._rx_packets, self._unsettled = 0, SETTLED_PACKETS

    def detach(self, stream: NativeStream | None = None) -> None:
        """The stream is about to be destroyed. After this returns the media thread does not touch it.

        `stream`: only if it is that one still; a peer that was replaced takes its own stream along, not its heir's.
        """
        with self._lock:
            if stream is None or stream is self._stream:
                self._detach_locked()

    def _detach_locked(self) -> None:
        if self._stream is not None:
            self._stream.release()
            self._stream = None

    @property
    def ptime_ms(self) -> int:
        """Length of the packets that are sent; without a stream, of the time that passes for the recording."""
        stream = self._stream
        return FRAME_MS if stream is None else stream.ptime_ms

    # ---- the media thread's side -----------------------------------------------------------------------------

    def tick(self, now: float) -> None:
        """Move what is due: all audio that came in, and the packet out whose time has come."""
        with self._lock:
            stream = self._stream
            due = now >= self._next_write_s - ROUNDING_S
            if stream is not None:
                self._receive(stream, now, due)
            packets = -(-FRAME_MS // self.ptime_ms)  # of this stream, in the longest tick
            while due and packets:
                self._send(stream)
                self._advance(self.ptime_ms, now)
                due, packets = now >= self._next_write_s - ROUNDING_S, packets - 1

    def _receive(self, stream: NativeStream, now: float, due: bool) -> None:
        size = stream.queued_frames()
        if not size and (not due or now < self._looked_s + stream.ptime_ms / 1000 - ROUNDING_S):
            return  # an empty buffer has news only of silence and loss: once a packet is soon enough
        self._looked_s = now
        packets, lost = stream.received()
        if packets != self._rx_packets:
            self._rx_packets, self.last_rx_s = packets, now
        pull = self._dejitter.poll(size, packets, now, lost)
        if self._unsettled and pull.frames and not pull.filler:
            self._settle(stream.ptime_ms / 1000, now)
        for _ in range(pull.frames):
            pcm = bytes(stream.frame_bytes) if pull.filler else stream.read()
            self.give(pcm if self._from_stream is None else self._from_stream.push(pcm))

    def _settle(self, ptime_s: float, now: float) -> None:
        """Have our packets leave half a packet after the peer's come: an answer made at once catches the next one.

        Left to chance it would wait for anything between nothing and a whole packet. Once for a stream, when its rhythm
        is known: one packet of ours is early then, never late.
        """
        self._unsettled -= 1
        if not self._unsettled:
            early_s = (self._next_write_s - now - ptime_s / 2) % ptime_s
            self._next_write_s -= early_s if early_s < ptime_s - ROUNDING_S else 0.0

    def _send(self, stream: NativeStream | None) -> None:
        if stream is None:
            self._record(self._silence)
            return
        pcm, size = self._unsent, stream.ptime_ms * bytes_per_ms(self.rate_hz)
        while len(pcm) < size:
            pcm += self.take()
        pcm, self._unsent = pcm[:size], pcm[size:]
        stream.write(pcm if self._to_stream is None else self._to_stream.push(pcm))

    def _advance(self, ms: int, now: float) -> None:
        """The next packet is due `ms` later. What a stall swallowed is silence on the tape, no burst on the line."""
        self._next_write_s += ms / 1000
        late_s = now - self._next_write_s
        if late_s > MAX_LATE_S:
            if self._playing and self._tape is not None:
                self._tape.skip(int(late_s * 1000) // FRAME_MS + 1)
            self._next_write_s = now + ms / 1000

    def give(self, pcm: bytes) -> None:
        """Caller audio from the network, of any length: a peer may send 30 ms packets. Lock held."""
        if not (self._playing or self._listening) or self._paused:
            return
        pcm = self._ungiven + pcm if self._ungiven else pcm
        size = self._frame_bytes
        whole = len(pcm) - len(pcm) % size
        self._ungiven = pcm[whole:]
        if time.monotonic() - self._read_s > IDLE_S:
            self._intake.clear()
        for start in range(0, whole, size):
            frame = pcm[start : start + size]
            if self._tape is not None and self._playing:
                self._tape.hear(frame)
            if self.meter is not None:
                self.meter.caller.append(frame)
            heard = frame if self._mixer is None else self._shared(self._mixer, frame)
            if heard is not None:
                self._intake.push(heard)
        self._wake_wanted = True

    def take(self) -> bytes:
        """The 20 ms that are due to the caller now. Lock held."""
        if not self._playing:
            return self._silence
        frame = self._silence if self._paused else self._playout.pull()
        if self._playout.has_events:
            self._wake_wanted = True
        if self._mixer is not None:
            frame = self._conference(self._mixer, frame)
        self._record(frame)
        return frame

    def _shared(self, mixer: Mixer, frame: bytes) -> bytes | None:
        """A frame of the peer, told to the conference; and what the loop reads: without a voice in it, nothing."""
        mixer.say(self._party, frame)
        if not self._voice:
            return None
        return mixer.hear(self._voice) or frame  # the caller is one of those whom the voice hears

    def _conference(self, mixer: Mixer, frame: bytes) -> bytes:
        """What the peer hears: the conference, and `frame`, which the others may hear too."""
        if self._voice:
            mixer.say(self._voice, frame)
            others = mixer.hear(self._party)  # the voice is one of them
            return frame if others is None else others
        others = mixer.hear(self._party)
        if others is None or self._paused:
            return frame
        return others if not any(frame) else mix(frame, others)

    def _record(self, agent: bytes) -> None:
        if self._playing and self._tape is not None:
            self._tape.speak(agent)
        if self.meter is not None:
            self.meter.agent.append(agent)

    def wants_wake(self) -> bool:
        """Whether the loop has something to see that it was not told of yet. True once for each wake."""
        if not self._wake_wanted:
            return False
        self._wake_wanted, told, self._wake_scheduled = False, self._wake_scheduled, True
        return not told

    def call_loop(self, callback: Callable[..., None], *args: object) -> None:
        """Run `callback` on the loop. Any thread."""
        with contextlib.suppress(RuntimeError):  # the loop is closed: the process is on its way out
            self._loop.call_soon_threadsafe(callback, *args)
