"""What the model side wants to hear and gives to hear: PCM at 24 kHz, or G.711 payload as it is on the phone.

    phone PCM, 8 or 16 kHz --encode--> model format          model format --decode--> phone PCM

Holds the streaming state of one call's two directions and nothing else. Sans-IO. `encode` belongs to the
uplink, `decode` and `reset_downlink` to the downlink; each direction has one owner at a time, so no lock.
"""

from collections.abc import Callable
from typing import Literal

from bridge.media import g711
from bridge.media.frame import RATE_HZ
from bridge.media.resample import MODEL_RATE_HZ, Resampler, ratio

ModelFormat = Literal["pcm24", "pcmu", "pcma"]

_Convert = Callable[[bytes], bytes]
_G711: dict[str, tuple[_Convert, _Convert]] = {
    "pcmu": (g711.pcmu_encode, g711.pcmu_decode),
    "pcma": (g711.pcma_encode, g711.pcma_decode),
}


class ModelAudio:
    """Converter between the phone's PCM at `rate_hz` and `format`; `bytes_per_ms` is the size of the model's format.

    `encode(pcm)` and `decode(payload)` take any length and give bytes at once; where the rates differ each holds back
    `delay_ms` of audio, and up to two samples (and a torn byte) wait in `decode` for the next payload. G.711 is passed
    through at 8 kHz; on a wideband worker it is narrowed and widened on the way.
    """

    def __init__(
        self,
        format: ModelFormat,  # noqa: A002  # the protocol's own word
        rate_hz: int = RATE_HZ,
    ) -> None:
        self.format: ModelFormat = format
        self.encode: _Convert
        self.decode: _Convert
        self.delay_ms = 0.0
        self._downlink: Resampler | None = None
        model_hz = MODEL_RATE_HZ if format == "pcm24" else RATE_HZ
        if model_hz != rate_hz:
            uplink, self._downlink = (
                Resampler(*ratio(rate_hz, model_hz)),
                Resampler(*ratio(model_hz, rate_hz)),
            )
            self.encode, self.decode = uplink.push, self._downlink.push
            self.delay_ms = uplink.delay_ms
        if format != "pcm24":
            self._through_g711(*_G711[format])
        self.bytes_per_ms = 48 if format == "pcm24" else 8

    def _through_g711(self, compress: _Convert, expand: _Convert) -> None:
        if self._downlink is None:
            self.encode, self.decode = compress, expand
            return
        narrow, widen = self.encode, self.decode
        self.encode = lambda pcm: compress(narrow(pcm))
        self.decode = lambda payload: widen(expand(payload))

    def reset_downlink(self) -> None:
        """Forget the tail of interrupted speech, so that it cannot leak into the next response."""
        if self._downlink is not None:
            self._downlink.reset()
