"""Routes that no call can come to: an earlier one takes all their calls, or their conditions exclude each other.

Only what is certain is told; two routes that only together cover a third are not looked for.

    B is unreachable when an earlier A has, for each of its conditions, one of B's on the same field that is as narrow
    or narrower:  A to +49*        B to +4930*            A outside (x)       B outside (x, y)
                  A to /^00?49/    B to 004930123         A hours (x, y)      B hours (x)

Pure. Not worker-safe. Called by bridge/dialplan/check.py.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import islice

from bridge.dialplan.compile_when import conditions
from bridge.dialplan.facts import HEADER
from bridge.dialplan.match import RouteIndex, fits, is_regex, literal_of
from bridge.dialplan.schema import Route
from bridge.dialplan.source import Source
from bridge.errors import Problem

MAX_LOOKED_AT = 100
"""Earlier routes that are compared with one route: bounds the time for plans of thousands of regex routes."""
NO_VALUE = "\0"
"""A value that no pattern of a file fits: YAML has no such character."""
HOURS, OUTSIDE = "hours", "outside"

Conditions = Mapping[str, tuple[str, ...]]


def problems(sources: Sequence[Source]) -> Iterator[Problem]:
    """One for each route that no call comes to."""
    routes = [(source, number, route) for source in sources for number, route in source.routes()]
    asked = [_by_field(route) for _, _, route in routes]
    index = RouteIndex([{name: one[name] for name in one if _is_text(name)} for one in asked])
    for here, (source, number, _) in enumerate(routes):
        path = ("routes", number)
        never = _never(asked[here])
        if never:
            yield source.document.problem(
                (*path, "when"), f"no call comes here: {never}", "remove one", at_key=True
            )
            continue
        earlier = index.candidates(partial(_probe, asked[here]))
        for other in islice(earlier, MAX_LOOKED_AT):
            if other >= here:
                break
            if covers(asked[other], asked[here]) and not _never(asked[other]):
                hint = "the first fitting route wins: move it up, or remove one"
                message = f"no call comes here: {routes[other][2].name} takes them all"
                yield source.document.problem(path, message, hint)
                break


def covers(wide: Conditions, narrow: Conditions) -> bool:
    """Whether every call that fits `narrow` surely fits `wide`."""
    return all(
        name in narrow and _field_covers(name, patterns, narrow[name]) for name, patterns in wide.items()
    )


def _by_field(route: Route) -> Conditions:
    return {one.field: one.patterns for one in conditions(route.when)}


def _is_text(field: str) -> bool:
    """Fields whose patterns are texts to compare; others are compared by what is known of them, or not at all."""
    return field in {"to", "from"} or field.startswith(HEADER)


def _field_covers(field: str, wide: tuple[str, ...], narrow: tuple[str, ...]) -> bool:
    if _is_text(field):
        return all(any(_pattern_covers(one, other) for one in wide) for other in narrow)
    if field == HOURS:
        return {*narrow} <= {*wide}
    return field == OUTSIDE and {*wide} <= {*narrow}


def _pattern_covers(wide: str, narrow: str) -> bool:
    """Whether every value that fits `narrow` surely fits `wide`."""
    if wide.lower() == narrow.lower() and not is_regex(wide):
        return True
    text, whole = literal_of(narrow)
    if whole:
        return fits(wide, text)
    if is_regex(wide):
        return wide == narrow
    return wide.endswith("*") and text.startswith(wide[:-1].lower())


def _probe(asked: Conditions, field: str) -> str:
    """A value by which the index finds every route that covers these conditions."""
    patterns = asked.get(field, ())
    return literal_of(patterns[0])[0] if patterns else NO_VALUE


def _never(asked: Conditions) -> str:
    """Why no call fits these conditions; "" when one may."""
    hours, outside = asked.get(HOURS, ()), asked.get(OUTSIDE, ())
    if hours and {*hours} <= {*outside}:
        return f"it asks for within and outside of {' and '.join(hours)} at once"
    return ""
