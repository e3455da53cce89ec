"""The plan in force: read from dialplan files, prompts spoken, kept on disk for workers that start alone.

    dialplans ──read──► Plan, prompts/<id>.wav ──put──► run/plan.json ──► (control pushes it to the workers)

Only a plan whose files are right, and were left alone while they were read, and whose prompts are spoken comes out of
`read`. Sounds that it plays are copied to the prompts, so that it can be put in force again when they are gone.
Blocking (files, espeak): control calls it on a thread. Never decides about calls.
"""

import io
import os
import wave
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

import structlog

from bridge.config import PathsConfig
from bridge.control_sources import Sources, read_sources
from bridge.dialplan.around import Around
from bridge.dialplan.load import PromptText, inspect, prompts
from bridge.dialplan.plan import Plan, PlayStep
from bridge.errors import BridgeError, LinkError, MediaError, Problem
from bridge.media.frame import RATE_HZ
from bridge.settings import Settings
from bridge.sim.choice import unknown_words

log = structlog.get_logger(__name__)

READ_TRIES = 3
"""Somebody saving several files takes a moment; somebody writing without end is a mistake."""
Speak = Callable[[PromptText], bytes]
"""A prompt as PCM: signed 16-bit little-endian mono at 8000 Hz."""


@dataclass(frozen=True, slots=True)
class Read:
    """A plan that may come into force, what is odd about it, and the files it was made of."""

    plan: Plan
    warnings: tuple[Problem, ...]
    sources: Sources


@dataclass(frozen=True, slots=True)
class PlanFiles:
    """Where a plan comes from and goes to."""

    dialplans: Path
    providers: Collection[str] | Around
    paths: PathsConfig
    speak: Speak
    environment: str | None = None

    @property
    def plan_json(self) -> Path:
        """What a worker reads while control is away."""
        return Path(self.paths.state_dir, "run", "plan.json")

    def read(self) -> Read:
        """What the files say, every prompt spoken. FileProblems: their mistakes; BridgeError, OSError: the rest."""
        before = read_sources(self.dialplans)
        for _ in range(READ_TRIES):
            found = inspect(self.dialplans, self.providers, environment=self.environment)
            after = read_sources(self.dialplans)
            if after.fingerprint == before.fingerprint:
                break
            before = after
        else:
            raise BridgeError(f"{self.dialplans} was written to while it was read; try again")
        self.speak_all(found.plan)
        for step in found.plan.steps():
            if isinstance(step, PlayStep):
                self._copy(step)
        return Read(found.plan, found.warnings, after)

    def speak_all(self, plan: Plan) -> None:
        """Have every prompt of a plan in its file."""
        for prompt in prompts(plan):
            self._render(prompt)

    def put(self, plan: Plan) -> None:
        """Have workers that start alone find this plan."""
        write_atomically(self.plan_json, plan.to_json().encode())

    def last(self) -> Plan | None:
        """The plan that was in force when control ended, if it is there and readable."""
        try:
            return Plan.from_json(self.plan_json.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, LinkError):
            return None

    def _copy(self, step: PlayStep) -> None:
        path = Path(self.paths.prompt(step.prompt_id))
        if not path.exists():
            write_atomically(path, Path(step.path).read_bytes())

    def _render(self, prompt: PromptText) -> None:
        path = Path(self.paths.prompt(prompt.prompt_id))
        if path.exists():
            return
        content = io.BytesIO()
        with wave.open(content, "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(RATE_HZ)
            file.writeframes(self.speak(prompt))
        write_atomically(path, content.getvalue())
        log.info("prompt.spoken", prompt_id=prompt.prompt_id)


def around(settings: Settings) -> Around:
    """What a check of the dialplan has to know of the settings and of what callers can say."""
    return Around(
        providers=tuple(settings.providers),
        channels=tuple(settings.notify.channels),
        unknown_words=unknown_words,
    )


def espeak(prompt: PromptText) -> bytes:
    """The prompt in the embedded voice of its language; a language it does not have gets the default one."""
    from bridge.sim.voice import speak  # noqa: PLC0415  # loads espeak-ng; most starts find all prompts spoken

    try:
        return speak(prompt.text, voice=prompt.language, rate_hz=RATE_HZ)
    except MediaError as error:
        log.warning("prompt.no_voice", language=prompt.language, reason=str(error))
        return speak(prompt.text, rate_hz=RATE_HZ)


def write_atomically(path: Path, content: bytes, mode: int = 0o666) -> None:
    """All of the content or what was there before, whatever happens in between. `mode`: less the umask."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode), "wb") as file:
        file.write(content)
    fresh.replace(path)
