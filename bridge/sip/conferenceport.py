"""The slow way of a leg's audio: through pjsua2's conference bridge, where its stream cannot be reached (natives.py).

Its callbacks run on pjmedia's clock thread. pjsua2 is imported here, in agent.py and in pjcall.py.
"""

import time

import pjsua2 as pj

from bridge.media.frame import FRAME_MS
from bridge.sip.mediaclock import wake
from bridge.sip.port import AudioPort


class ConferencePort(pj.AudioMediaPort):  # type: ignore[misc]  # pjsua2 has no types
    """The slow way: the same port behind pjsua2's conference bridge. Its callbacks run on pjmedia's clock thread."""

    def __init__(self, port: AudioPort) -> None:
        super().__init__()
        self._port = port

    def create(self, name: str) -> None:
        """Register with the conference bridge as a mono port of its rate with 20 ms frames. pj thread."""
        audio_format = pj.MediaFormatAudio()
        audio_format.init(pj.PJMEDIA_FORMAT_PCM, self._port.rate_hz, 1, FRAME_MS * 1000, 16)
        self.createPort(name, audio_format)

    def onFrameRequested(self, frame: "pj.MediaFrame") -> None:  # noqa: N802  # pjsua2's name
        """Pjmedia wants 20 ms for the caller."""
        with self._port._lock:  # noqa: SLF001  # the fallback is part of the port
            pcm = self._port.take()
        wake((self._port,))
        frame.type = pj.PJMEDIA_FRAME_TYPE_AUDIO
        frame.buf = pj.ByteVector(pcm)
        frame.size = len(pcm)

    def onFrameReceived(self, frame: "pj.MediaFrame") -> None:  # noqa: N802  # pjsua2's name
        """Pjmedia has 20 ms of the caller."""
        if frame.type != pj.PJMEDIA_FRAME_TYPE_AUDIO or not frame.size:
            return
        pcm = bytes(frame.buf)
        with self._port._lock:  # noqa: SLF001  # the fallback is part of the port
            self._port.last_rx_s = time.monotonic()
            self._port.give(pcm)
        wake((self._port,))
