"""Conditions and opening hours as a person writes them, into those of a plan. Pure. Not worker-safe."""

from collections.abc import Iterator

from bridge.dialplan import facts as plan
from bridge.dialplan.hours import Hours
from bridge.dialplan.schema_hours import Hours as HoursSpec
from bridge.dialplan.schema_when import When


def conditions(when: When | None) -> Iterator[plan.Condition]:
    """In the order in which they are looked at."""
    if when is None:
        return
    if when.to:
        yield plan.Condition("to", tuple(when.to))
    if when.from_:
        yield plan.Condition("from", tuple(when.from_))
    for name, patterns in (when.headers or {}).items():
        yield plan.Condition(plan.HEADER + name.lower(), tuple(patterns))
    if when.hours:
        yield plan.Condition("hours", tuple(when.hours))
    if when.outside:
        yield plan.Condition("outside", tuple(when.outside))


def opening_hours(name: str, spec: HoursSpec) -> Hours:
    """Windows in minutes."""
    week = {str(day): tuple(_minutes(window) for window in windows) for day, windows in spec.week.items()}
    return Hours(name, spec.timezone, week, tuple(sorted(spec.holidays)))


def _minutes(window: str) -> tuple[int, int]:
    start, end = (60 * int(text[:2]) + int(text[3:]) for text in window.split("-"))
    return start, end
