"""The plan in force: read from dialplan files, prompts spoken, kept on disk for workers that start alone.

    dialplans ──load──► Plan ──► prompts/<id>.wav ──► run/plan.json ──► (control pushes it to the workers)

All or nothing: only a plan whose files are right and whose prompts are spoken is written and comes into
force; any mistake leaves the running one. Blocking (files, espeak): control calls it on a thread. Never
decides about calls.
"""

import io
import os
import wave
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

import structlog

from bridge.config import PathsConfig
from bridge.dialplan.load import PromptText, inspect, prompts
from bridge.dialplan.plan import Plan
from bridge.errors import BridgeError, FileProblems, LinkError, MediaError
from bridge.media.frame import RATE_HZ

log = structlog.get_logger(__name__)

Speak = Callable[[PromptText], bytes]
"""A prompt as PCM: signed 16-bit little-endian mono at 8000 Hz."""


@dataclass(frozen=True, slots=True)
class PlanFiles:
    """Where a plan comes from and goes to."""

    dialplans: Path
    providers: Collection[str]
    paths: PathsConfig
    speak: Speak
    environment: str | None = None

    @property
    def plan_json(self) -> Path:
        """What a worker reads while control is away."""
        return Path(self.paths.state_dir, "run", "plan.json")

    def load(self, in_force: str = "") -> Plan | None:
        """The new plan, in force on disk as well; None when there is a mistake (each one is logged).

        `in_force`: the version that stays then, for the log.
        """
        try:
            found = inspect(self.dialplans, self.providers, environment=self.environment)
            for warning in found.warnings:
                log.warning("dialplan.odd", problem=str(warning))
            for prompt in prompts(found.plan):
                self._render(prompt)
            write_atomically(self.plan_json, found.plan.to_json().encode())
        except FileProblems as error:
            for problem in error.problems:
                log.error("dialplan.refused", in_force=in_force, problem=str(problem))  # noqa: TRY400  # it says it all
            return None
        except (BridgeError, OSError) as error:
            log.error("dialplan.refused", in_force=in_force, reason=str(error))  # noqa: TRY400  # no trace is needed
            return None
        return found.plan

    def last(self) -> Plan | None:
        """The plan that was in force when control ended, if it is there and readable."""
        try:
            return Plan.from_json(self.plan_json.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, LinkError):
            return None

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


def espeak(prompt: PromptText) -> bytes:
    """The prompt in the embedded voice of its language; a language it does not have gets the default one."""
    from bridge.sim.voice import speak  # noqa: PLC0415  # loads espeak-ng; most starts find all prompts spoken

    try:
        return speak(prompt.text, voice=prompt.language, rate_hz=RATE_HZ)
    except MediaError as error:
        log.warning("prompt.no_voice", language=prompt.language, reason=str(error))
        return speak(prompt.text, rate_hz=RATE_HZ)


def write_atomically(path: Path, content: bytes) -> None:
    """All of the content or what was there before, whatever happens in between."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.write_bytes(content)
    fresh.replace(path)
