"""Mistakes in the steps of a route or a flow. Reads WAV headers. Not worker-safe. Called by check.py."""

import os
import wave
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bridge.dialplan import inputfile
from bridge.dialplan.inputfile import MAX_PLAY_BYTES
from bridge.dialplan.schema_steps import (
    BEFORE_ANSWER,
    CAN_FAIL,
    LAST_VERBS,
    VERBS,
    Collect,
    Menu,
    Prompted,
    Step,
    Switch,
)
from bridge.dialplan.source import Source, play_path
from bridge.errors import Problem
from bridge.fieldhelp import nearest
from bridge.yamlfile import KeyPath

UNREADABLE = "cannot be read"
"""Ten minutes."""
Names = Collection[str] | None
"""None: not all of them are known, because a file could not be read."""


@dataclass(frozen=True, slots=True)
class Known:
    """The names that steps may use."""

    agents: Names = None
    transfers: Names = None
    flows: Names = None
    queues: Names = None


_NAMED: Mapping[str, tuple[str, Callable[[Step], Sequence[tuple[KeyPath, str]]]]] = {
    "agent": ("agents", lambda step: [(("agent",), step.agent or "")]),
    "go": ("flows", lambda step: [(("go",), step.go or "")]),
    "queue": ("queues", lambda step: [(("queue",), step.queue or "")]),
    "transfer": ("transfers", lambda step: [(("transfer", "to"), step.transfer.to)] if step.transfer else []),
    "warm_transfer": (
        "transfers",
        lambda step: [(("warm_transfer", "to"), step.warm_transfer.to)] if step.warm_transfer else [],
    ),
    "dial": (
        "transfers",
        lambda step: [(("dial", "to"), name) for name in (step.dial.to if step.dial else ())],
    ),
    "conference": (
        "transfers",
        lambda step: [
            (("conference", "invite"), name) for name in (step.conference.invite if step.conference else ())
        ],
    ),
}
"""Where a step uses a name of another section: (section, the names and where they stand)."""
_WORDS = {
    "agents": "no agent is called {}",
    "transfers": "transfers has no {}",
    "flows": "no flow is called {}",
    "queues": "no queue is called {}",
}


@dataclass(frozen=True, slots=True)
class Where:
    """What is known of the call at a list of steps. `maybe_answered`: or it may be. `must_end`: nothing comes after."""

    answered: bool = False
    maybe_answered: bool = False
    must_end: bool = True


FAILS_UNANSWERED = frozenset({"dial", "switch", "callback"})
"""When these fail the call is still as it was."""


def _may_answer(step: Step) -> bool:
    """Whether something inside a step that does not answer by itself may: a case, a fallback, the gate's question."""
    inner = [*(steps for _, steps in step.lists()), step.or_else or []]
    return step.verb == "tool" or any(
        len(one.given) == 1 and (one.verb not in BEFORE_ANSWER or _may_answer(one))
        for steps in inner
        for one in steps
    )


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
                message = f"{len(step.given)} actions in one step: {', '.join(step.given) or 'none'}"
                hint = f"exactly one of {', '.join(VERBS)}; steps begin with -"
                yield self._document.problem(here, message, hint)
                return
            verb = step.verb
            last = number == len(steps) - 1
            yield from self._one(step, here, where)
            yield from self._inner(step, here, where, last=last)
            if verb not in BEFORE_ANSWER:
                where = Where(answered=True, maybe_answered=True, must_end=where.must_end)
            elif _may_answer(step):
                where = Where(where.answered, maybe_answered=True, must_end=where.must_end)
        if where.must_end and not self._ends(steps[-1]):
            hint = f"end with one of {', '.join(sorted(LAST_VERBS))}"
            yield self._document.problem((*path, len(steps) - 1), "what happens then?", hint)

    def _ends(self, step: Step) -> bool:
        """Whether nothing can follow: a last verb, or a choice whose every way is checked to end."""
        return step.verb in LAST_VERBS or (step.verb in {"menu", "switch"} and step.or_else is not None)

    def _inner(self, step: Step, here: KeyPath, where: Where, *, last: bool) -> Iterator[Problem]:
        must_end = (where.must_end and last) or step.verb in LAST_VERBS
        within = Where(
            answered=where.answered or step.verb not in BEFORE_ANSWER,
            maybe_answered=True if step.verb not in BEFORE_ANSWER else where.maybe_answered,
            must_end=must_end,
        )
        for path, steps in step.lists():
            if not steps:
                yield self._document.problem((*here, *path), "no steps in it", "name at least one")
                continue
            yield from self.steps(steps, (*here, *path), within)
        if step.or_else is not None:
            # A step that failed may have answered the call before it did; not all do.
            maybe = where.maybe_answered or step.verb not in FAILS_UNANSWERED
            failed = Where(where.answered, maybe_answered=maybe, must_end=must_end)
            yield from self.steps(step.or_else, (*here, "or_else"), failed)

    def _one(self, step: Step, here: KeyPath, where: Where) -> Iterator[Problem]:
        verb = step.verb
        if step.or_else is not None and verb not in CAN_FAIL:
            hint = f"only beside {', '.join(sorted(CAN_FAIL))}"
            yield self._document.problem((*here, "or_else"), f"{verb} cannot fail", hint, at_key=True)
        if verb in {"ring", "early_media"} and where.maybe_answered:
            yield self._document.problem(
                (*here, verb), "the call is answered already", f"{verb} first", at_key=True
            )
        if verb == "reject" and where.maybe_answered:
            hint = "use hang_up, it has a status too"
            yield self._document.problem((*here, verb), "the call may be answered already", hint, at_key=True)
        if step.play is not None:
            yield from self._file(step.play, (*here, "play"))
        yield from self._names(step, here)
        value = getattr(step, verb)
        if isinstance(value, Prompted):
            yield from self._prompted(value, (*here, verb), verb)
        if getattr(value, "music", None):
            yield from self._file(value.music, (*here, verb, "music"))
        if isinstance(value, Menu):
            yield from self._menu(value, (*here, verb))
        if isinstance(value, Collect):
            yield from self._collect(value, (*here, verb))
        if isinstance(value, Switch):
            yield from self._switch(value, (*here, verb))

    def _names(self, step: Step, here: KeyPath) -> Iterator[Problem]:
        section, names_of = _NAMED.get(step.verb, ("", None))
        if names_of is not None:
            for path, name in names_of(step):
                yield from self._name(section, (*here, *path), name)
        if step.conference is not None and step.conference.agent is not None:
            yield from self._name("agents", (*here, "conference", "agent"), step.conference.agent)

    def _name(self, section: str, path: KeyPath, name: str) -> Iterator[Problem]:
        known: Names = getattr(self._known, section)
        if known is not None and name not in known:
            hint = nearest(name, known) or f"name it in {section}"
            yield self._document.problem(path, _WORDS[section].format(name), hint)

    def _prompted(self, value: Prompted, here: KeyPath, verb: str) -> Iterator[Problem]:
        if value.play is not None:
            yield from self._file(value.play, (*here, "play"))
        if value.say is None and value.play is None and verb in {"menu", "early_media"}:
            yield self._document.problem(here, "nothing is said", "add say or play", at_key=True)

    def _menu(self, menu: Menu, here: KeyPath) -> Iterator[Problem]:
        seen: dict[str, str] = {}
        for key, option in menu.options.items():
            for number, word in enumerate(option.words):
                other = seen.setdefault(word.lower(), key)
                if other != key:
                    path = (*here, "options", key, "words", number)
                    yield self._document.problem(
                        path, f"{word} is a word of {other} too", "choose another word"
                    )

    def _switch(self, switch: Switch, here: KeyPath) -> Iterator[Problem]:
        seen: dict[str, str] = {}
        for value in switch.cases:
            other = seen.setdefault(value.strip().lower(), value)
            if other != value:
                hint = "letter case and blanks around a value do not count: join the two"
                path = (*here, "cases", value)
                yield self._document.problem(path, f"the same case as {other!r}", hint, at_key=True)

    def _collect(self, collect: Collect, here: KeyPath) -> Iterator[Problem]:
        given = collect.model_fields_set & {"least", "most"}
        if collect.digits is not None and given:
            yield self._document.problem(
                (*here, "digits"),
                f"digits and {' and '.join(sorted(given))}",
                "either one or the other",
                at_key=True,
            )
        elif collect.least > collect.most:
            yield self._document.problem(
                (*here, "least"), f"{collect.least} is more than most, {collect.most}"
            )

    def _file(self, text: str, here: KeyPath) -> Iterator[Problem]:
        path = play_path(self._source, text)
        wrong = wav_mistake(path, self._source.root)
        if wrong:
            other = f"ffmpeg -i {path.name} -ar 8000 -ac 1 -c:a pcm_s16le NEW.wav"
            hint = str(path) if wrong.startswith(UNREADABLE) else other
            yield self._document.problem(here, wrong, hint)


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
        return f"8000 Hz, mono, 16 bit is needed; this has {rate_hz} Hz, {channels} channels, {8 * width} bit"
    return ""
