"""Mistakes in a dialplan that only show when two places of it are seen together, and what looks odd.

`problems` are mistakes: the plan is refused. `warnings` are things a person should know: the plan is used.
Types and ranges are in bridge/dialplan/schema.py. Reads WAV headers of `play` files, otherwise no I/O; any
thread. Called by bridge/dialplan/load.py. Not worker-safe.
"""

import wave
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from bridge.dialplan.match import is_regex
from bridge.dialplan.schema import LAST_VERBS, VERBS, Agent, Dialplan, Route, Step, When
from bridge.dialplan.schema_hours import Hours
from bridge.errors import Problem
from bridge.fieldhelp import nearest
from bridge.yamlfile import KeyPath, YamlFile

MAX_PLAY_BYTES = 16_000 * 600
"""Ten minutes."""


@dataclass(frozen=True, slots=True)
class Source:
    """One dialplan file, read and typed. `folder`: what its paths are relative to.

    `broken`: paths of agents and routes that could not be typed (told already); in `spec` something empty stands
    for them, so that names and numbers stay.
    """

    document: YamlFile
    spec: Dialplan
    folder: Path
    broken: frozenset[KeyPath] = frozenset()

    def agents(self) -> Iterator[tuple[str, Agent]]:
        """Those that could be typed."""
        return ((name, one) for name, one in self.spec.agents.items() if ("agents", name) not in self.broken)

    def routes(self) -> Iterator[tuple[int, Route]]:
        """Those that could be typed, with their number."""
        numbered = enumerate(self.spec.routes)
        return ((number, one) for number, one in numbered if ("routes", number) not in self.broken)


def problems(
    sources: Sequence[Source], providers: Collection[str] | None, *, whole: bool = True
) -> Iterator[Problem]:
    """Every mistake, in file order. `providers`: names in the settings; None when they are not known.

    `whole`: every agent and route has at least a name here; else nothing is said to be missing.
    """
    agents = {name for source in sources for name in source.spec.agents} if whole else None
    hours = {name for source in sources for name in source.spec.hours} if whole else None
    targets = {name for source in sources for name in source.spec.transfers} if whole else None
    yield from _twice(sources)
    for source in sources:
        for name, opening in source.spec.hours.items():
            yield from _hours_problems(source.document, ("hours", name), opening)
        for name, agent in source.agents():
            yield from _agent_problems(source, name, agent, providers)
        for number, route in source.routes():
            path: KeyPath = ("routes", number)
            yield from _when_problems(source.document, (*path, "when"), route.when)
            yield from _unknown_hours(source.document, (*path, "when"), route.when, hours)
            walk = _StepWalk(source, agents, targets)
            yield from walk.steps(route.do, (*path, "do"), answered=False, fallback=False)
    yield from _unreachable(sources)
    if whole and not any(source.spec.routes for source in sources):
        yield sources[0].document.problem(
            ("routes",), "there is no route", "add one: every call would be refused"
        )


def warnings(sources: Sequence[Source]) -> Iterator[Problem]:
    """What is allowed but probably not meant."""
    used: set[str] = set()
    for source in sources:
        for number, route in enumerate(source.spec.routes):
            for path, step in _walk(route.do, ("routes", number, "do")):
                used.add(step.agent or "")
                if step.agent and not step.or_else and "or_else" not in path:
                    hint = "add or_else: the caller would get 503 when the model does not come up"
                    yield source.document.problem((*path, "agent"), "no fallback", hint)
    for source in sources:
        for name, agent in source.spec.agents.items():
            if name not in used:
                yield source.document.problem(("agents", name), "no route uses this agent", at_key=True)
            if agent.greeting is None:
                hint = "add greeting, or the caller hears nothing until he speaks"
                yield source.document.problem(("agents", name), "no greeting", hint, at_key=True)
    last = [(source, source.spec.routes) for source in sources if source.spec.routes]
    if last and not _fits_all(last[-1][1][-1]):
        source, routes = last[-1]
        hint = "end with a route without `when`; now other calls get 404"
        yield source.document.problem(
            ("routes", len(routes) - 1), "the last route does not fit every call", hint
        )


def play_path(source: Source, text: str) -> Path:
    """The absolute path of a `play` file."""
    return Path(source.folder, text).absolute()


def _fits_all(route: Route) -> bool:
    return route.when is None


def _walk(steps: Sequence[Step], path: KeyPath) -> Iterator[tuple[KeyPath, Step]]:
    for number, step in enumerate(steps):
        here = (*path, number)
        yield here, step
        yield from _walk(step.or_else or (), (*here, "or_else"))


def _twice(sources: Sequence[Source]) -> Iterator[Problem]:
    routes: dict[str, str] = {}
    for kind, word in (
        ("agents", "this agent is"),
        ("hours", "these hours are"),
        ("transfers", "this target is"),
    ):
        seen: dict[str, str] = {}
        for source in sources:
            for name in getattr(source.spec, kind):
                if name in seen:
                    yield source.document.problem((kind, name), f"{word} also in {seen[name]}", at_key=True)
                seen.setdefault(name, source.document.name)
    for source in sources:
        document = source.document
        for number, route in source.routes():
            here = document.problem(("routes", number, "name"), f"the name {route.name} is used twice")
            if route.name in routes:
                yield document.problem(
                    ("routes", number, "name"), here.message, f"first in {routes[route.name]}"
                )
            routes.setdefault(route.name, f"{document.name}:{here.line}")


def _unreachable(sources: Sequence[Source]) -> Iterator[Problem]:
    earlier: dict[str, str] = {}
    catch_all = ""
    for source in sources:
        for number, route in source.routes():
            key = route.when.model_dump_json() if route.when else ""
            winner = catch_all or earlier.get(key, "")
            if winner:
                hint = "the first fitting route wins: move it up, or remove one"
                message = f"no call comes here: {winner} takes them all"
                yield source.document.problem(("routes", number), message, hint)
            elif _fits_all(route):
                catch_all = route.name
            earlier.setdefault(key, route.name)


def _when_problems(document: YamlFile, path: KeyPath, when: When | None) -> Iterator[Problem]:
    if when is None:
        return
    if not (when.to or when.from_ or when.headers or when.hours or when.outside):
        hint = "leave `when` out for a route that fits every call"
        yield document.problem(path, "no condition in it", hint, at_key=True)
    seen: dict[str, str] = {}
    for name in when.headers or {}:
        if name.lower() in seen:
            hint = "header names ignore case: join the patterns in a list"
            yield document.problem(
                (*path, "headers", name), f"same as {seen[name.lower()]}", hint, at_key=True
            )
        seen[name.lower()] = name
    for field, patterns in (("to", when.to), ("from", when.from_)):
        for number, pattern in enumerate(patterns or ()):
            if not is_regex(pattern) and any(char in pattern for char in " ()/"):
                hint = "write it as the network sends it: digits, + in front, no spaces"
                yield document.problem((*path, field, number), f"{pattern} is not how numbers arrive", hint)


def _hours_problems(document: YamlFile, path: KeyPath, hours: Hours) -> Iterator[Problem]:
    for day, windows in hours.week.items():
        ordered = sorted(windows)
        for earlier, later in pairwise(ordered):
            if later.partition("-")[0] < earlier.partition("-")[2]:
                message = f"{earlier} and {later} overlap"
                yield document.problem((*path, "week", day), message, "make one window of them")
    if not any(hours.week.values()):
        yield document.problem((*path, "week"), "it is never open", "name a day with a window")


def _unknown_hours(
    document: YamlFile, path: KeyPath, when: When | None, known: Collection[str] | None
) -> Iterator[Problem]:
    if when is None or known is None:
        return
    for key, names in (("hours", when.hours), ("outside", when.outside)):
        for name in names or ():
            if name not in known:
                yield document.problem(
                    (*path, key), f"there are no opening hours {name}", nearest(name, known)
                )


def _agent_problems(
    source: Source, name: str, agent: Agent, providers: Collection[str] | None
) -> Iterator[Problem]:
    document, path = source.document, ("agents", name)
    if providers is not None and agent.provider is not None and agent.provider not in providers:
        hint = nearest(agent.provider, providers)
        yield document.problem((*path, "provider"), f"no provider {agent.provider} in the settings", hint)
    choice = agent.tool_choice
    if choice is not None and not isinstance(choice, str):
        needed = "name" if choice.type == "function" else "server_label"
        if getattr(choice, needed) is None:
            yield document.problem(
                (*path, "tool_choice", needed), f"needed for type {choice.type}", at_key=True
            )


class _StepWalk:
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
