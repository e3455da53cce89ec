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

from bridge.dialplan.compile_book import country_of
from bridge.dialplan.compile_when import conditions
from bridge.dialplan.facts import HEADER, LIST, NUMBERS, Condition
from bridge.dialplan.match import RouteIndex, fits, is_regex, literal_of
from bridge.dialplan.nameindex import by_pattern
from bridge.dialplan.source import Source
from bridge.errors import Problem

MAX_LOOKED_AT = 100
"""Earlier routes that are compared with one route: bounds the time for plans of thousands of regex routes."""
NO_VALUE = "\0"
"""A value that no pattern of a file fits: YAML has no such character."""
HOURS, OUTSIDE = "hours", "outside"
ANY_OF = frozenset({HOURS, "number", "trunk", "day_part", "dates"})
"""Fields that fit when one of their names does: more names take more calls."""

Conditions = Mapping[str, Condition]


def problems(sources: Sequence[Source]) -> Iterator[Problem]:
    """One for each route that no call comes to."""
    country = country_of(sources)
    routes = [(source, number, route) for source in sources for number, route in source.routes()]
    asked = [
        {one.field: one for one in conditions(route.when, route.name, country)} for _, _, route in routes
    ]
    index = RouteIndex(
        [{name: one.patterns for name, one in mine.items() if by_pattern(one)} for mine in asked]
    )
    for here, (source, number, _) in enumerate(routes):
        path = ("routes", number)
        never = _never(asked[here])
        if never:
            message = f"no call comes here: {never}"
            yield source.document.problem((*path, "when"), message, "remove one", at_key=True)
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
    """Whether every call that fits `narrow` surely fits `wide`. A share and room are each route's own: never."""
    return all(name in narrow and _field_covers(one, narrow[name]) for name, one in wide.items())


def _field_covers(wide: Condition, narrow: Condition) -> bool:
    if wide.field in NUMBERS or wide.field.startswith(HEADER):
        return all(any(_pattern_covers(one, other) for one in wide.patterns) for other in narrow.patterns)
    if wide.field in ANY_OF:
        return {*narrow.patterns} <= {*wide.patterns}
    if wide.field == OUTSIDE:
        return {*wide.patterns} <= {*narrow.patterns}
    return wide.field == "not" and wide.inner == narrow.inner and all(_is_steady(one) for one in wide.inner)


def _is_steady(one: Condition) -> bool:
    """Whether it says the same of a call whichever route asks."""
    return not one.of and all(_is_steady(inner) for inner in one.inner)


def _pattern_covers(wide: str, narrow: str) -> bool:
    """Whether every value that fits `narrow` surely fits `wide`."""
    if wide.lower() == narrow.lower() and not is_regex(wide):
        return True
    if wide.startswith(LIST) or narrow.startswith(LIST):
        return wide in {narrow, "*"}
    text, whole = literal_of(narrow)
    if whole:
        return fits(wide, text)
    if is_regex(wide):
        return wide == narrow
    return wide.endswith("*") and text.startswith(wide[:-1].lower())


def _probe(asked: Conditions, field: str) -> str:
    """A value by which the index finds every route that covers these conditions."""
    one = asked.get(field)
    return literal_of(one.patterns[0])[0] if one is not None and by_pattern(one) else NO_VALUE


def _never(asked: Conditions) -> str:
    """Why no call fits these conditions; "" when one may."""
    hours, outside = asked.get(HOURS), asked.get(OUTSIDE)
    if hours and outside and {*hours.patterns} <= {*outside.patterns}:
        return f"it asks for within and outside of {' and '.join(hours.patterns)} at once"
    return ""
