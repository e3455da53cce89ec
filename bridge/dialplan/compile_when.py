"""Conditions and opening hours as a person writes them, into those of a plan. Pure. Not worker-safe."""

from collections.abc import Iterator, Mapping, Sequence

from bridge.dialplan import facts as plan
from bridge.dialplan.e164 import normalised_pattern
from bridge.dialplan.hours import Hours
from bridge.dialplan.match import is_regex
from bridge.dialplan.schema_hours import Hours as HoursSpec
from bridge.dialplan.schema_when import When

_BY_NAME = ("number", "trunk")
_BY_TIME = ("hours", "outside", "day_part", "dates")


def conditions(when: When | None, route: str = "", country: str = "") -> Iterator[plan.Condition]:
    """In the order in which they are looked at. `route`: its name; `country`: of the plan's numbers."""
    if when is None:
        return
    for field, patterns in (("to", when.to), ("from", when.from_)):
        if patterns:
            yield plan.Condition(field, tuple(number_pattern(one, country) for one in patterns))
    yield from _named(when, _BY_NAME)
    for name, patterns in (when.headers or {}).items():
        yield plan.Condition(plan.HEADER + name.lower(), tuple(patterns))
    yield from _named(when, _BY_TIME)
    if when.not_ is not None:
        yield plan.Condition("not", (), inner=tuple(conditions(when.not_, route, country)))
    if when.percent is not None:
        yield plan.Condition("percent", (f"{when.percent:g}",), of=route)
    if when.capacity is not None:
        yield plan.Condition("capacity", (str(when.capacity.max_calls),), of=route)


def number_pattern(pattern: str, country: str) -> str:
    """A pattern of numbers as calls are compared with it: in E.164 form where it is a number."""
    if pattern.startswith(plan.LIST) or is_regex(pattern):
        return pattern
    return normalised_pattern(pattern, country)


def _named(when: When, fields: Sequence[str]) -> Iterator[plan.Condition]:
    for field in fields:
        names = getattr(when, field)
        if names:
            yield plan.Condition(field, tuple(names))


def opening_hours(name: str, spec: HoursSpec, calendars: Mapping[str, Sequence[str]]) -> Hours:
    """Windows in minutes, days from the calendars that are named."""
    week = {str(day): tuple(minutes(window) for window in windows) for day, windows in spec.week.items()}
    closed = [day for one in spec.holidays for day in calendars.get(one, (one,))]
    special = {day: tuple(minutes(window) for window in windows) for day, windows in spec.special.items()}
    return Hours(name, spec.timezone, week, tuple(sorted(set(closed))), special)


def minutes(window: str) -> tuple[int, int]:
    """Minutes from midnight of "09:00-12:30"."""
    start, end = (60 * int(text[:2]) + int(text[3:]) for text in window.split("-"))
    return start, end
