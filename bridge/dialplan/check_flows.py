"""Flows that go round for ever without the caller having a say, and flows that nobody uses. Pure."""

from collections.abc import Iterator, Mapping, Sequence

from bridge.dialplan.schema_steps import Step
from bridge.dialplan.source import Source
from bridge.errors import Problem

WAITING = frozenset(
    {
        "agent",
        "menu",
        "collect",
        "hold",
        "queue",
        "park",
        "pick_up",
        "dial",
        "conference",
        "voicemail",
        "warm_transfer",
    }
)
"""These take time, or ask the caller: a flow may come back to itself through them."""
ASKING = frozenset({"menu", "collect"})
"""These take time before they fail, too."""


def problems(sources: Sequence[Source]) -> Iterator[Problem]:
    """One problem a flow that may come back to itself at once."""
    flows = {name: (source, steps) for source in sources for name, steps in source.flows()}
    edges = {name: set(_at_once(steps)) for name, (_, steps) in flows.items()}
    for name, (source, _) in flows.items():
        if name in _reachable(edges, name):
            hint = "let the caller choose (menu), or end it"
            yield source.document.problem(("flows", name), "it goes round for ever", hint, at_key=True)


def used(steps: Sequence[Step]) -> Iterator[str]:
    """Names of the flows that these steps go to."""
    for step in steps:
        if step.go is not None:
            yield step.go
        for _, inner in step.lists():
            yield from used(inner)
        yield from used(step.or_else or ())


def _at_once(steps: Sequence[Step]) -> Iterator[str]:
    """Flows that are reached from these steps without anything that waits in between."""
    for step in steps:
        if len(step.given) != 1:
            return
        if step.verb in WAITING:
            if step.verb not in ASKING:  # it may fail at once
                yield from _at_once(step.or_else or ())
            return
        if step.go is not None:
            yield step.go
        for _, inner in step.lists():
            yield from _at_once(inner)
        yield from _at_once(step.or_else or ())


def _reachable(edges: Mapping[str, set[str]], start: str) -> set[str]:
    found: set[str] = set()
    waiting = [*edges.get(start, ())]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += edges.get(name, ())
    return found
