"""Mistakes in the steps of a route. Reads WAV headers of `play` files. Not worker-safe. Called by check.py."""

import wave
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from bridge.dialplan.schema_steps import LAST_VERBS, VERBS, Step
from bridge.dialplan.source import Source, play_path
from bridge.errors import Problem
from bridge.fieldhelp import nearest
from bridge.yamlfile import KeyPath

MAX_PLAY_BYTES = 16_000 * 600
"""Ten minutes."""


class StepWalk:
    """Checks the steps of one route. `answered`: the call is surely up; `fallback`: inside an or_else."""

    def __init__(
        self, source: Source, agents: Collection[str] | None, targets: Collection[str] | None
    ) -> None:
        self._source = source
        self._document = source.document
        self._agents = agents
        self._targets = targets

    def steps(
        self, steps: Sequence[Step], path: KeyPath, *, answered: bool, fallback: bool
    ) -> Iterator[Problem]:
        """Mistakes in a list of steps and in the lists inside it."""
        verb = ""
        for number, step in enumerate(steps):
            here = (*path, number)
            if verb in LAST_VERBS:
                hint = "put a fallback into or_else" if verb in {"agent", "transfer"} else "remove it"
                yield self._document.problem(here, f"nothing happens after {verb}", hint)
                return
            given = [name for name in VERBS if getattr(step, name) is not None]
            if len(given) != 1:
                message = f"{len(given)} actions in one step: {', '.join(given) or 'none'}"
                yield self._document.problem(
                    here, message, f"exactly one of {', '.join(VERBS)}; steps begin with -"
                )
                return
            verb = given[0]
            yield from self._one(verb, step, here, answered=answered, fallback=fallback)
            answered = answered or verb in {"say", "play"}
        if verb not in LAST_VERBS:
            hint = f"end with one of {', '.join(sorted(LAST_VERBS))}"
            yield self._document.problem((*path, len(steps) - 1), "what happens then?", hint)

    def _one(
        self, verb: str, step: Step, here: KeyPath, *, answered: bool, fallback: bool
    ) -> Iterator[Problem]:
        if step.or_else is not None and verb not in {"agent", "transfer"}:
            hint = "put it beside agent"
            yield self._document.problem((*here, "or_else"), "or_else belongs to an agent", hint, at_key=True)
        if verb == "ring" and (answered or fallback):
            yield self._document.problem(
                (*here, verb), "the call is answered already", "ring first", at_key=True
            )
        if verb == "reject" and (answered or fallback):
            hint = "use hang_up, it has a status too"
            yield self._document.problem((*here, verb), "the call may be answered already", hint, at_key=True)
        if step.say is not None and "{{" in step.say.text:
            hint = "only an agent's greeting can have them"
            yield self._document.problem((*here, verb), "a prompt is spoken once, without variables", hint)
        if step.play is not None:
            yield from self._play(step.play, here)
        if step.agent is not None and self._agents is not None and step.agent not in self._agents:
            hint = nearest(step.agent, self._agents)
            yield self._document.problem((*here, "agent"), f"no agent is called {step.agent}", hint)
        if step.transfer is not None and self._targets is not None and step.transfer not in self._targets:
            hint = nearest(step.transfer, self._targets) or "name it in transfers"
            yield self._document.problem((*here, "transfer"), f"transfers has no {step.transfer}", hint)
        if verb in {"agent", "transfer"}:
            yield from self._or_else(step, here)

    def _or_else(self, step: Step, here: KeyPath) -> Iterator[Problem]:
        if step.or_else is not None:
            yield from self.steps(step.or_else, (*here, "or_else"), answered=False, fallback=True)

    def _play(self, text: str, here: KeyPath) -> Iterator[Problem]:
        path = play_path(self._source, text)
        wrong = _wav_mistake(path)
        if wrong:
            hint = (
                f"ffmpeg -i {path.name} -ar 8000 -ac 1 -c:a pcm_s16le NEW.wav" if path.exists() else str(path)
            )
            yield self._document.problem((*here, "play"), wrong, hint)


def _wav_mistake(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_PLAY_BYTES:
            return "the file is longer than ten minutes"
        with wave.open(str(path), "rb") as file:
            found = (file.getframerate(), file.getnchannels(), file.getsampwidth())
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"
    except (wave.Error, EOFError) as error:
        return f"not a WAV file: {error}"
    rate_hz, channels, width = found
    if found != (8000, 1, 2):
        return f"8000 Hz, mono, 16 bit is needed; this has {rate_hz} Hz, {channels} channels, {8 * width} bit"
    return ""
