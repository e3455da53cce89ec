"""Scripts of the phone: YAML (or the options of `sipbridge call`) in, steps and ready audio out.

    version: 1
    steps:
      - after_agent: true                     # the greeting
      - say: What are your opening hours?
      - after_agent: true
      - say: Tell me a long story.
      - during_agent_ms: 3000                 # interrupt it
      - say: Thank you very much.
      - dtmf: "5"
      - {wait_ms: 500}
      - play: order.wav                       # relative to the script

The schema is strict; every mistake names file, line and key. Text is spoken and files are read before the call, so that
nothing slow happens during it. Not worker-safe (pydantic).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from bridge import yamlfile
from bridge.errors import MediaError, ScenarioError
from bridge.media.frame import RATE_HZ, duration_ms
from bridge.media.offline import read_wav
from bridge.sim.phonescript import QUIET_MS, AfterAgent, At, DuringAgent, Press, Say, Step, UntilHungUp, Wait
from bridge.sim.voice import WORDS_PER_MINUTE, speak

MAX_UTTERANCE_S = 120
PLAY_LAG_MS = 60
"""From the order to speak until the last sample is on the wire: one frame to start, two to be sent."""

Milliseconds = Annotated[int, Field(ge=0, le=3_600_000)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class StepFile(_Strict):
    """One step: exactly one of its keys."""

    say: Annotated[str, Field(min_length=1, max_length=2000)] | None = None
    play: Path | None = None
    dtmf: Annotated[str, Field(pattern=r"^[0-9A-D*#]{1,32}$")] | None = None
    wait_ms: Milliseconds | None = None
    at_ms: Milliseconds | None = None
    after_agent: Literal[True] | None = None
    during_agent_ms: Milliseconds | None = None
    until_hung_up: Literal[True] | None = None

    @model_validator(mode="after")
    def _one_key(self) -> Self:
        if len(self.model_fields_set) != 1:
            raise ValueError(f"needs exactly one of {', '.join(type(self).model_fields)}")
        return self


class PhoneFile(_Strict):
    """A whole script. `voice` and `wpm` are espeak-ng's; `quiet_ms` ends the agent's turn, `patience_ms` the script."""

    version: Literal[1] = 1
    voice: str = "en-us"
    wpm: Annotated[int, Field(ge=80, le=450)] = WORDS_PER_MINUTE
    quiet_ms: Annotated[int, Field(ge=100, le=60_000)] = QUIET_MS
    patience_ms: Annotated[int, Field(ge=100, le=600_000)] = 20_000
    steps: Annotated[list[StepFile], Field(min_length=1, max_length=1000)]


@dataclass(frozen=True, slots=True)
class Lines:
    """What to do in the call: `steps` name their `utterances` (PCM at `rate_hz`) by number."""

    steps: tuple[Step, ...]
    utterances: tuple[bytes, ...]
    patience_ms: int
    rate_hz: int = RATE_HZ


def load(path: Path) -> PhoneFile:
    """Read and check a script. Raises ScenarioError with every mistake found, each with file, line and key."""
    return yamlfile.validate(yamlfile.read(path, ScenarioError), PhoneFile, ScenarioError)


def prepare(file: PhoneFile, folder: Path, rate_hz: int = RATE_HZ) -> Lines:
    """Speak the texts, read the WAV files (relative to `folder`). Blocks; raises MediaError."""
    utterances: list[bytes] = []
    steps = tuple(_step(file, folder, step, utterances, rate_hz) for step in file.steps)
    return Lines(steps, tuple(utterances), file.patience_ms, rate_hz)


def _step(file: PhoneFile, folder: Path, step: StepFile, utterances: list[bytes], rate_hz: int) -> Step:
    if step.say is not None:
        spoken = speak(step.say, voice=file.voice, wpm=file.wpm, rate_hz=rate_hz)
        return _utter(step.say, spoken, utterances, rate_hz)
    if step.play is not None:
        return _utter(str(step.play), read_wav(folder / step.play, rate_hz), utterances, rate_hz)
    key = next(iter(step.model_fields_set))
    return _PLAIN[key](getattr(step, key), file)


def _utter(what: str, pcm: bytes, utterances: list[bytes], rate_hz: int) -> Say:
    length_ms = duration_ms(pcm, rate_hz)
    if not 0 < length_ms <= MAX_UTTERANCE_S * 1000:
        raise MediaError(
            f"{what}: {length_ms / 1000:.1f} s of audio; from 0.1 to {MAX_UTTERANCE_S} s are possible"
        )
    utterances.append(pcm)
    return Say(len(utterances) - 1, ceil(length_ms) + PLAY_LAG_MS)


_PLAIN: Mapping[str, Callable[..., Step]] = {
    "dtmf": lambda keys, _file: Press(keys),
    "wait_ms": lambda ms, _file: Wait(ms),
    "at_ms": lambda ms, _file: At(ms),
    "after_agent": lambda _true, file: AfterAgent(file.quiet_ms),
    "during_agent_ms": lambda ms, _file: DuringAgent(ms),
    "until_hung_up": lambda _true, _file: UntilHungUp(),
}
