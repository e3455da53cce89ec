"""Mistakes in the steps of a route or a flow. Reads WAV headers. Not worker-safe. Called by check.py."""

import os
import wave
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bridge.dialplan import inputfile
from bridge.dialplan.check_actions import action_problems
from bridge.dialplan.check_flows import may_answer
from bridge.dialplan.inputfile import MAX_PLAY_BYTES
from bridge.dialplan.schema_steps import BEFORE_ANSWER, CAN_FAIL, LAST_VERBS, VERBS, Prompted, Step
from bridge.dialplan.source import Source, play_path
from bridge.errors import Problem
from bridge.fieldhelp import nearest
from bridge.yamlfile import KeyPath

UNREADABLE = "cannot be read"
Names = Collection[str] | None
"""None: not all of them are known, because a file could not be read."""


@dataclass(frozen=True, slots=True)
class Known:
    """The names that steps may use; `channels`: of the settings."""

    agents: Names = None
    transfers: Names = None
    flows: Names = None
    queues: Names = None
    channels: Names = None


_NAMED: Mapping[str, Sequence[tuple[str, str]]] = {
    "agent": [("agents", "")],
    "go": [("flows", "")],
    "queue": [("queues", "")],
    "transfer": [("transfers", "to")],
    "warm_transfer": [("transfers", "to")],
    "dial": [("transfers", "to")],
    "conference": [("transfers", "invite"), ("agents", "agent")],
    "voicemail": [("channels", "to")],
}
"""Where a step uses names of another section: (section, the setting that holds one or several; "" is the step)."""
_WORDS = {
    "agents": "no agent is called {}",
    "transfers": "transfers has no {}",
    "flows": "no flow is called {}",
    "queues": "no queue is called {}",
    "channels": "the settings have no channel {}",
}
_HOMES = {"channels": "notify.channels of the settings"}
_UNDECIDED = {"menu": "what happens when nothing is chosen?", "switch": "what happens when no case fits?"}
_IN_ORDER = tuple(sorted(LAST_VERBS))
_BARE = frozenset({"answer", "hang_up"})
"""All their settings may be left out."""


@dataclass(frozen=True, slots=True)
class Where:
    """What is known of the call at a list of steps. `maybe_answered`: or it may be. `must_end`: nothing comes after."""

    answered: bool = False
    maybe_answered: bool = False
    must_end: bool = True


class StepWalk:
    """Checks the steps of one route or flow."""

    def __init__(self, source: Source, known: Known) -> None:
        self._source = source
        self._document = source.document
        self._known = known

    def steps(self, steps: Sequence[Step], path: KeyPath, where: Where) -> Iterator[Problem]:
        """Mistakes in a list of steps and in the lists inside it."""
        verb = ""
        for number, step in enumerate(steps):
            here = (*path, number)
            if verb in LAST_VERBS:
                hint = "put a fallback into or_else" if verb in CAN_FAIL else "remove it"
                yield self._document.problem(here, f"nothing happens after {verb}", hint)
                return
            if len(step.given) != 1:
                yield self._not_one(step, here)
                return
            verb = step.verb
            last = number == len(steps) - 1
            yield from self._one(step, here, where)
            yield from self._inner(step, here, where, last=last)
            sure = verb not in BEFORE_ANSWER | CAN_FAIL
            where = Where(where.answered or sure, where.maybe_answered or may_answer(step), where.must_end)
        if where.must_end and not self._ends(steps[-1]):
            yield self._open_end(steps[-1], (*path, len(steps) - 1))

    def _not_one(self, step: Step, here: KeyPath) -> Problem:
        empty = [name for name in VERBS if name in step.model_fields_set and getattr(step, name) is None]
        if not step.given and empty:
            description = Step.model_fields[empty[0]].description or ""
            hint = f"{empty[0]}: {{}}" if empty[0] in _BARE else description.rstrip(".")
            return self._document.problem((*here, empty[0]), "nothing stands behind it", hint, at_key=True)
        message = f"{len(step.given)} actions in one step: {', '.join(step.given) or 'none'}"
        hint = "each action is a step of its own and begins with -"
        return self._document.problem(here, message, hint if step.given else f"one of {', '.join(VERBS)}")

    def _open_end(self, step: Step, here: KeyPath) -> Problem:
        if step.verb in _UNDECIDED:
            hint = "add or_else beside it, or steps after it"
            return self._document.problem(here, _UNDECIDED[step.verb], hint)
        hint = f"end with one of {', '.join(_IN_ORDER)}"
        return self._document.problem(here, "what happens then?", hint)

    def _ends(self, step: Step) -> bool:
        """Whether nothing can follow: a last verb, or a choice whose every way is checked to end."""
        return step.verb in LAST_VERBS or (step.verb in {"menu", "switch"} and step.or_else is not None)

    def _inner(self, step: Step, here: KeyPath, where: Where, *, last: bool) -> Iterator[Problem]:
        must_end = (where.must_end and last) or step.verb in LAST_VERBS
        answers = step.verb not in BEFORE_ANSWER
        within = Where(where.answered or answers, where.maybe_answered or answers, must_end)
        for path, steps in step.lists():
            if not steps:
                yield self._document.problem((*here, *path), "no steps in it", "name at least one")
                continue
            yield from self.steps(steps, (*here, *path), within)
        if step.or_else is not None:
            # A step that failed may have answered the call before it did.
            maybe = where.maybe_answered if step.verb == "dial" else within.maybe_answered  # it rang, no more
            failed = Where(where.answered, maybe, must_end)
            yield from self.steps(step.or_else, (*here, "or_else"), failed)

    def _one(self, step: Step, here: KeyPath, where: Where) -> Iterator[Problem]:
        verb = step.verb
        if step.or_else is not None and verb not in CAN_FAIL:
            hint = "remove or_else: its steps would never run"
            yield self._document.problem((*here, "or_else"), f"{verb} cannot fail", hint, at_key=True)
        if verb in {"ring", "early_media"} and where.maybe_answered:
            message = f"the call {'is' if where.answered else 'may be'} answered already"
            yield self._document.problem((*here, verb), message, f"{verb} first", at_key=True)
        if verb == "reject" and where.maybe_answered:
            hint = "use hang_up, it has a status too"
            yield self._document.problem((*here, verb), "the call may be answered already", hint, at_key=True)
        if step.play is not None:
            yield from sound_problems(self._source, step.play, (*here, "play"))
        yield from self._names(step, here)
        value = getattr(step, verb)
        if isinstance(value, Prompted):
            yield from self._prompted(value, (*here, verb), verb)
        if getattr(value, "music", None):
            yield from sound_problems(self._source, value.music, (*here, verb, "music"))
        yield from action_problems(self._document, step, here)

    def _names(self, step: Step, here: KeyPath) -> Iterator[Problem]:
        value = getattr(step, step.verb)
        for section, key in _NAMED.get(step.verb, ()):
            named = getattr(value, key) if key else value
            path = (*here, step.verb, key) if key else (*here, step.verb)
            if isinstance(named, str):
                yield from self._name(section, path, named)
            for number, name in enumerate(named if isinstance(named, list) else ()):
                yield from self._name(section, (*path, number), name)

    def _name(self, section: str, path: KeyPath, name: str) -> Iterator[Problem]:
        known: Names = getattr(self._known, section)
        if known is not None and name not in known:
            hint = nearest(name, known) or f"name it in {_HOMES.get(section, section)}"
            yield self._document.problem(path, _WORDS[section].format(name), hint)

    def _prompted(self, value: Prompted, here: KeyPath, verb: str) -> Iterator[Problem]:
        if value.play is not None:
            yield from sound_problems(self._source, value.play, (*here, "play"))
        if value.say is None and value.play is None and verb in {"menu", "early_media"}:
            yield self._document.problem(here, "nothing is said", "add say or play", at_key=True)


def sound_problems(source: Source, text: str, here: KeyPath) -> Iterator[Problem]:
    """What is wrong with the sound file that is named at `here`."""
    path = play_path(source, text)
    wrong = wav_mistake(path, source.root)
    if wrong:
        other = f"ffmpeg -i {path.name} -ar 8000 -ac 1 -c:a pcm_s16le NEW.wav"
        yield source.document.problem(here, wrong, str(path) if wrong.startswith(UNREADABLE) else other)


def wav_mistake(path: Path, root: Path) -> str:
    """Why a WAV file below `root` cannot be played; "" when it can."""
    try:
        with inputfile.opened(path, root) as content:
            if os.fstat(content.fileno()).st_size > MAX_PLAY_BYTES:
                return "the file is longer than ten minutes"
            with wave.open(content, "rb") as file:
                found = (file.getframerate(), file.getnchannels(), file.getsampwidth())
    except OSError as error:
        return f"{UNREADABLE}: {error.strerror or error}"
    except (wave.Error, EOFError) as error:
        return f"not a WAV file: {error}"
    rate_hz, channels, width = found
    if found != (8000, 1, 2):
        heard = {1: "mono", 2: "stereo"}.get(channels, f"{channels} channels")
        return f"8000 Hz, mono, 16 bit is needed; this has {rate_hz} Hz, {heard}, {8 * width} bit"
    return ""
