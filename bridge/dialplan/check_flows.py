"""Where steps lead: flows that go round without the caller having a say, that nobody uses, or that come too late.

Pure. Not worker-safe. Called by check.py and check_steps.py.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence

from bridge.dialplan.schema_steps import BEFORE_ANSWER, LAST_VERBS, Step
from bridge.dialplan.source import Source
from bridge.errors import Problem

FAILS_AT_ONCE = frozenset({"agent", "queue", "park", "pick_up", "dial", "conference", "warm_transfer"})
"""These take time when they go well; when they fail they may do so at once."""
WAITING = FAILS_AT_ONCE | {"menu", "collect", "hold", "voicemail"}
"""These take time, or ask the caller: a flow may come back to itself through them."""
TAKING_TIME = WAITING | {"say", "play", "ring", "early_media"}
"""No call runs wild through these."""

Edges = Mapping[str, Collection[str]]


def problems(sources: Sequence[Source]) -> Iterator[Problem]:
    """One problem for each circle of flows in which nothing waits."""
    flows = _flows(sources)
    edges = {name: _at_once(steps, WAITING, frozenset()) for name, (_, steps) in flows.items()}
    for name, way in _circles(edges):
        hint = "let the caller choose (menu), or end it"
        words = f": {', '.join(way)}" if len(way) > 2 else ""
        yield flows[name][0].document.problem(
            ("flows", name), f"it goes round for ever{words}", hint, at_key=True
        )


def warnings(sources: Sequence[Source]) -> Iterator[Problem]:
    """Flows that go round as fast as they can when something fails, and flows that nothing goes to."""
    flows = _flows(sources)
    if not flows:
        return
    edges = {name: _at_once(steps, TAKING_TIME, FAILS_AT_ONCE) for name, (_, steps) in flows.items()}
    for name, _ in _circles(edges):
        message = "when it fails at once it goes round without a pause"
        hint = "put hold or say before the go: - hold: {s: 20}"
        yield flows[name][0].document.problem(("flows", name), message, hint, at_key=True)
    lists = [steps for steps, _ in _beginnings(sources)] + [steps for _, steps in flows.values()]
    used = {flow for steps in lists for flow, _ in goes(steps, answered=False)}
    for name, (source, _) in flows.items():
        if name not in used:
            yield source.document.problem(("flows", name), "nothing goes to this flow", at_key=True)


def answered(sources: Sequence[Source]) -> set[str]:
    """The flows that a call may come to when it is answered already."""
    flows = _flows(sources)
    if not flows:
        return set()
    waiting = [one for steps, up in _beginnings(sources) for one in goes(steps, answered=up)]
    found: set[tuple[str, bool]] = set()
    while waiting:
        one = waiting.pop()
        if one not in found and one[0] in flows:
            found.add(one)
            waiting += goes(flows[one[0]][1], answered=one[1])
    return {name for name, up in found if up}


def goes(steps: Sequence[Step], *, answered: bool) -> Iterator[tuple[str, bool]]:
    """Each flow that these steps go to, and whether the call may be answered then; `answered`: at their beginning."""
    for step in steps:
        if len(step.given) != 1:
            return
        if step.go is not None:
            yield step.go, answered
        inside = answered or step.verb not in BEFORE_ANSWER
        for _, inner in step.lists():
            yield from goes(inner, answered=inside)
        yield from goes(step.or_else or (), answered=inside)
        answered = answered or may_answer(step)


def may_answer(step: Step) -> bool:
    """Whether the call may be answered when this step is over."""
    if len(step.given) != 1 or step.verb not in BEFORE_ANSWER:
        return True
    lists = [*(inner for _, inner in step.lists()), step.or_else or ()]
    return any(may_answer(one) for inner in lists for one in inner)


def always_ends(steps: Sequence[Step]) -> bool:
    """Whether nothing after these steps is ever reached."""
    if not steps or len(steps[-1].given) != 1:
        return False
    last = steps[-1]
    if last.verb in {"menu", "switch"}:
        return always_ends(last.or_else or ()) and all(always_ends(inner) for _, inner in last.lists())
    return last.verb in LAST_VERBS


def _flows(sources: Sequence[Source]) -> dict[str, tuple[Source, Sequence[Step]]]:
    return {name: (source, steps) for source in sources for name, steps in source.flows()}


def _beginnings(sources: Sequence[Source]) -> Iterator[tuple[Sequence[Step], bool]]:
    """The lists of steps in which calls begin, and whether they are answered there: calls that we place are."""
    for source in sources:
        yield from ((route.do, False) for _, route in source.routes())
        if source.spec.outbound is not None:
            yield source.spec.outbound.do, True


def _at_once(steps: Sequence[Step], waits: Collection[str], fails: Collection[str]) -> set[str]:
    """Flows that are reached from these steps without anything that waits in between."""
    found: set[str] = set()
    _passes(steps, waits, fails, found)
    return found


def _passes(steps: Sequence[Step], waits: Collection[str], fails: Collection[str], found: set[str]) -> bool:
    """Whether the end of the steps may be reached at once; flows on the way go into `found`."""
    for step in steps:
        if len(step.given) != 1:
            return False
        verb, or_else = step.verb, step.or_else or ()
        failed = (verb not in waits or verb in fails) and _passes(or_else, waits, fails, found)
        if verb in waits:
            done = False
        elif verb == "switch":
            ways = [_passes(inner, waits, fails, found) for _, inner in step.lists()]  # each is looked at
            done = any(ways)
        else:
            done = verb not in LAST_VERBS
        if step.go is not None:
            found.add(step.go)
        if not (done or (failed and verb not in LAST_VERBS)):
            return False
    return True


def _circles(edges: Edges) -> Iterator[tuple[str, list[str]]]:
    """(the flow in which it begins, the way back to it), each circle once."""
    told: set[str] = set()
    for name in edges:
        way = [] if name in told else _way_back(edges, name)
        if way:
            told.update(way)
            yield name, way


def _way_back(edges: Edges, start: str) -> list[str]:
    """The shortest way from a flow to itself, both ends named; empty: there is none."""
    came_from: dict[str, str] = {}
    waiting = [start]
    for name in waiting:
        for following in sorted(edges.get(name, ())):
            if following == start:
                way = [name, start]
                while way[0] != start:
                    way.insert(0, came_from[way[0]])
                return way
            if following not in came_from:
                came_from[following] = name
                waiting.append(following)
    return []
