"""The local engine's mouth: text in, PCM out, by espeak-ng.

espeak-ng is a C library with one global voice, so this module holds one lock and one module-wide engine; a
sentence takes a few milliseconds, callers may use any thread. The library and its data come out of the
`espeakng-loader` wheel: nothing has to be installed. The phone uses it too, to speak its lines.
It never plays anything and knows nothing of the Realtime protocol.
C interface: https://github.com/espeak-ng/espeak-ng/blob/master/src/include/espeak-ng/speak_lib.h
"""

import ctypes
import functools
import threading

import espeakng_loader
import numpy as np
import soxr
from numpy.typing import NDArray

from bridge.errors import MediaError

WORDS_PER_MINUTE = 165
MODEL_RATE_HZ = 24_000

_SYNCHRONOUS = 2  # AUDIO_OUTPUT_SYNCHRONOUS: samples come by callback inside espeak_Synth
_RATE = 1  # espeakRATE
_FLAGS = 0x1001  # espeakCHARS_UTF8, espeakENDPAUSE: without the pause the last sound is cut off hard
_CHARACTERS = 1  # POS_CHARACTER
_BUFFER_MS = 200
_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)


class _Espeak:
    """The one espeak-ng of this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pcm = bytearray()
        self._lib = ctypes.CDLL(espeakng_loader.get_library_path())
        data = espeakng_loader.get_data_path().encode()
        self.rate_hz: int = self._lib.espeak_Initialize(_SYNCHRONOUS, _BUFFER_MS, data, 0)
        if self.rate_hz <= 0:
            raise MediaError(f"espeak-ng cannot start with its data in {data.decode()}")
        self._callback = _CALLBACK(self._collect)  # must live as long as the library may call it
        self._lib.espeak_SetSynthCallback(self._callback)

    def _collect(self, samples: int | None, count: int, _events: int) -> int:
        if samples is not None and count:
            self._pcm += ctypes.string_at(samples, count * 2)
        return 0

    def synthesise(self, text: str, voice: str, wpm: int) -> bytes:
        with self._lock:
            self._pcm.clear()
            if self._lib.espeak_SetVoiceByName(voice.encode()) != 0:
                raise MediaError(
                    f"espeak-ng has no voice named {voice!r}; en, en-us, en-gb-x-rp, en-us+f3 exist"
                )
            self._lib.espeak_SetParameter(_RATE, wpm, 0)
            raw = text.encode() + b"\0"
            self._lib.espeak_Synth(raw, len(raw), 0, _CHARACTERS, 0, _FLAGS, None, None)
            return bytes(self._pcm)


@functools.cache
def _espeak() -> _Espeak:
    return _Espeak()


def speak(
    text: str, *, voice: str = "en-us", wpm: int = WORDS_PER_MINUTE, rate_hz: int = MODEL_RATE_HZ
) -> bytes:
    """Speak `text`: signed 16-bit little-endian mono PCM at `rate_hz`; text without words is a short silence.

    `voice` is an espeak-ng voice, with an optional variant (`en-us+f3`); `wpm` is 80 to 450 words a minute.
    Blocks for about a thousandth of the audio's duration; safe from any thread.

    Raises:
        MediaError: the voice does not exist, or the library cannot start.

    """
    engine = _espeak()
    pcm = np.frombuffer(engine.synthesise(text, voice, wpm), np.int16)
    resampled: NDArray[np.int16] = soxr.resample(pcm, engine.rate_hz, rate_hz)
    return resampled.astype("<i2").tobytes()
