"""What the model side wants to hear and gives to hear: PCM at 24 kHz, or G.711 payload as it is on the phone.

    phone 8 kHz PCM --encode--> model format          model format --decode--> phone 8 kHz PCM

Holds the streaming state of one call's two directions and nothing else. Sans-IO. `encode` belongs to the
uplink, `decode` and `reset_downlink` to the downlink; each direction has one owner at a time, so no lock.
"""

from collections.abc import Callable
from typing import Literal

from bridge.media import g711
from bridge.media.resample import Resampler

ModelFormat = Literal["pcm24", "pcmu", "pcma"]

_Convert = Callable[[bytes], bytes]
_G711: dict[str, tuple[_Convert, _Convert]] = {
    "pcmu": (g711.pcmu_encode, g711.pcmu_decode),
    "pcma": (g711.pcma_encode, g711.pcma_decode),
}


class ModelAudio:
    """Converter between the phone's 8 kHz PCM and `format`; `bytes_per_ms` is the size of the model's format.

    `encode(pcm8k)` and `decode(payload)` take any length and give bytes at once; at "pcm24" each holds back
    `delay_ms` of audio, and up to two samples (and a torn byte) wait in `decode` for the next payload.
    """

    def __init__(self, format: ModelFormat) -> None:  # noqa: A002  # the protocol's own word
        self.format: ModelFormat = format
        self.encode: _Convert
        self.decode: _Convert
        self.delay_ms = 0.0
        self._downlink: Resampler | None = None
        if format == "pcm24":
            uplink, self._downlink = Resampler(3, 1), Resampler(1, 3)
            self.encode, self.decode = uplink.push, self._downlink.push
            self.delay_ms = uplink.delay_ms
        else:
            self.encode, self.decode = _G711[format]
        self.bytes_per_ms = 48 if format == "pcm24" else 8

    def reset_downlink(self) -> None:
        """Forget the tail of interrupted speech, so that it cannot leak into the next response."""
        if self._downlink is not None:
            self._downlink.reset()
