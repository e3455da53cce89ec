"""The browser's side of a seat: WebRTC by aiortc. Opus 48 kHz there, 20 ms of telephone audio here.

    microphone ─Opus/SRTP─► aiortc ─► down to 8 or 16 kHz ─► Steady ─► `take`
    loudspeaker ◄─Opus/SRTP─ aiortc ◄─ up to 48 kHz ◄──────────────── `play`     one frame each, every 20 ms
    data channel: {"state": …} to the page, {"keys": "5"} and {"hang_up": true} from it

The offer is complete (no trickle), and so is the answer. A page that is closed says so by its data channel, one whose
machine has vanished by ICE's consent checks (RFC 7675). Shell; loads aiortc, so it is imported in a seat only.
"""

import asyncio
import fractions
import json
from typing import Any

import aiortc
import av
import numpy as np
import structlog
from aioice import ice
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack

from bridge.media.frame import FRAME_MS, bytes_per_ms
from bridge.seat.order import Ice, announced
from bridge.seat.rates import BROWSER_HZ, from_browser, to_browser
from bridge.seat.steady import Steady

log = structlog.get_logger(__name__)

ice.CONSENT_FAILURES = 3
"""Checks in a row without an answer, one every 5 s (RFC 7675): aioice's six leave a caller alone for half a minute."""
MAX_MESSAGES = 64
MAX_MESSAGE_CHARS = 256
MAX_WAITING = 8
"""Frames for the browser: 160 ms. Full: the oldest goes."""
_SAMPLES = BROWSER_HZ * FRAME_MS // 1000
_GONE = {"failed": "the connection to the browser was lost", "closed": "the browser has gone"}


class _Loudspeaker(MediaStreamTrack):
    """What the browser hears; whoever plays paces it."""

    kind = "audio"

    def __init__(self, rate_hz: int) -> None:
        super().__init__()
        self._up = to_browser(rate_hz)
        self._frames: asyncio.Queue[bytes] = asyncio.Queue(MAX_WAITING)
        self._pts = 0

    def play(self, frame: bytes) -> None:
        if self._frames.full():
            self._frames.get_nowait()
        self._frames.put_nowait(frame)

    async def recv(self) -> av.AudioFrame:
        """Of aiortc: the next 20 ms."""
        pcm = self._up.push(await self._frames.get())
        both = np.repeat(np.frombuffer(pcm, "<i2"), 2)[None, :]  # libav would make mono 3 dB quieter
        frame = av.AudioFrame.from_ndarray(both, format="s16", layout="stereo")
        frame.sample_rate, frame.pts = BROWSER_HZ, self._pts
        frame.time_base = fractions.Fraction(1, BROWSER_HZ)
        self._pts += _SAMPLES
        return frame


class Browser:
    """`connected`: audio can flow; `over`: no more, and `why`. `messages`: what the page said."""

    def __init__(self, reach: Ice, rate_hz: int) -> None:
        self.connected, self.over = asyncio.Event(), asyncio.Event()
        self.why = ""
        self.messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue(MAX_MESSAGES)
        self._reach = reach
        self._loudspeaker = _Loudspeaker(rate_hz)
        self._down = from_browser(rate_hz)
        self._microphone = Steady(FRAME_MS * bytes_per_ms(rate_hz))
        self._tracks: asyncio.Queue[MediaStreamTrack] = asyncio.Queue()
        self._channel: Any = None
        self._untold: list[str] = []
        servers = [
            aiortc.RTCIceServer(one.url, one.user or None, one.password or None) for one in reach.servers
        ]
        self._peer = aiortc.RTCPeerConnection(aiortc.RTCConfiguration(iceServers=servers))
        self._peer.on("track", self._tracks.put_nowait)
        self._peer.on("datachannel", self._opened)
        self._peer.on("connectionstatechange", self._changed)

    async def answer(self, offer: str) -> str:
        """The SDP answer. Raises ValueError and its kin: the offer is none that we can take."""
        await self._peer.setRemoteDescription(aiortc.RTCSessionDescription(offer, "offer"))
        self._peer.addTrack(self._loudspeaker)
        await self._peer.setLocalDescription(await self._peer.createAnswer())
        return announced(str(self._peer.localDescription.sdp), self._reach.address)

    async def run(self) -> None:
        """Take the microphone's audio, until cancelled or over."""
        while True:
            track = await self._tracks.get()
            try:
                while True:
                    frame = await track.recv()
                    if isinstance(frame, av.AudioFrame):
                        self._microphone.put(self._down.push(_mono(frame)))
            except MediaStreamError:
                continue

    def take(self) -> bytes | None:
        """The next 20 ms of the microphone; None: it is silent."""
        return self._microphone.take()

    def play(self, frame: bytes) -> None:
        """20 ms for the loudspeaker."""
        self._loudspeaker.play(frame)

    def tell(self, words: dict[str, Any]) -> None:
        """Something for the page; kept until its data channel is open."""
        text = json.dumps(words)
        if self._channel is None or self._channel.readyState != "open":
            self._untold = [*self._untold, text][-MAX_MESSAGES:]
        else:
            self._channel.send(text)

    async def close(self) -> None:
        """End it."""
        self._loudspeaker.stop()
        await self._peer.close()

    # ---- what aiortc says ------------------------------------------------------------------------------------

    def _opened(self, channel: Any) -> None:
        self._channel = channel
        channel.on("message", self._said)
        channel.on("close", lambda: self._end("the browser has gone"))
        for text in self._untold:
            channel.send(text)
        self._untold.clear()

    def _said(self, text: Any) -> None:
        try:
            words = json.loads(text) if isinstance(text, str) and len(text) <= MAX_MESSAGE_CHARS else None
        except ValueError:
            words = None
        if isinstance(words, dict) and not self.messages.full():
            self.messages.put_nowait(words)

    def _changed(self) -> None:
        state = str(self._peer.connectionState)
        log.debug("seat.browser", state=state)
        if state == "connected":
            self.connected.set()
        elif state in _GONE:
            self._end(_GONE[state])

    def _end(self, why: str) -> None:
        self.why = self.why or why
        self.over.set()


def _mono(frame: av.AudioFrame) -> bytes:
    """PCM of one channel at 48 kHz. Opus gives two, interleaved."""
    samples = frame.to_ndarray().reshape(-1)
    channels = len(frame.layout.channels)
    if channels > 1:
        samples = samples.reshape(-1, channels).mean(axis=1)
    return samples.astype("<i2").tobytes()
