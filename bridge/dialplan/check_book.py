"""Mistakes in opening hours, calendars, parts of the day, numbers and lists; and what of them nobody uses.

Pure. Not worker-safe. Called by bridge/dialplan/check.py.
"""

from collections.abc import Iterator, Sequence
from itertools import combinations, pairwise

from bridge.dialplan.book import inside
from bridge.dialplan.check_when import Conditions, number_problems
from bridge.dialplan.compile_book import timezone_of
from bridge.dialplan.compile_when import minutes
from bridge.dialplan.e164 import normalised, normalised_pattern
from bridge.dialplan.facts import LIST
from bridge.dialplan.schema_hours import CALENDAR, Hours
from bridge.dialplan.schema_when import When
from bridge.dialplan.source import Source
from bridge.errors import Problem
from bridge.fieldhelp import nearest
from bridge.yamlfile import KeyPath, YamlFile

ONCE = ("country", "timezone", "day_parts")
"""Keys that hold for the whole plan, whichever file they are in."""


def book_problems(sources: Sequence[Source], have: Conditions, *, whole: bool) -> Iterator[Problem]:
    """Mistakes, file by file."""
    calendars = {name for source in sources for name in source.spec.holidays} if whole else None
    yield from _given_twice(sources)
    yield from _same_numbers(sources, have.country)
    for source in sources:
        document = source.document
        for name, opening in source.hours():
            path: KeyPath = ("hours", name)
            yield from _hours_problems(document, path, opening)
            for number, day in enumerate(opening.holidays):
                if calendars is not None and _is_calendar(day) and day not in calendars:
                    hint = nearest(day, calendars) or "write it under holidays"
                    yield document.problem((*path, "holidays", number), f"there is no calendar {day}", hint)
        for name, members in source.typed(source.spec.lists, "lists"):
            for number, member in enumerate(members):
                yield from number_problems(document, ("lists", name, number), member, have.country)
        yield from _day_part_problems(source, timezone_of(sources) if whole else "?")


def unused(sources: Sequence[Source]) -> Iterator[Problem]:
    """Numbers, lists and calendars that nothing refers to: warnings."""
    used = {name for source in sources for one in source.spec.routes for name in _named_in(one.when)}
    calendars = {day for source in sources for one in source.spec.hours.values() for day in one.holidays}
    for source in sources:
        document = source.document
        for text, number in source.spec.numbers.items():
            if ("number", number.name) not in used:
                hint = f"when: {{number: {number.name}}}"
                yield document.problem(("numbers", text), "no route asks for this number", hint, at_key=True)
        for name in source.spec.lists:
            if ("list", name) not in used:
                yield document.problem(("lists", name), "no route uses this list", at_key=True)
        for name in source.spec.holidays:
            if name not in calendars:
                yield document.problem(("holidays", name), "no hours use this calendar", at_key=True)


def odd_patterns(source: Source, path: KeyPath, when: When | None, country: str) -> Iterator[Problem]:
    """Patterns that look for a number in a form that is never compared: warnings."""
    if when is None or not country:
        return
    for field, patterns in (("to", when.to), ("from", when.from_)):
        for pattern in patterns or ():
            national = pattern.startswith(("/^0", "/^\\+?0")) or (
                pattern.startswith("0")
                and pattern.endswith("*")
                and normalised_pattern(pattern, country) == pattern
            )
            if national:
                hint = "look for + and the country's code"
                message = (
                    f"with country: {country} numbers are compared in the form +…, and none begins with 0"
                )
                yield source.document.problem((*path, field), message, hint)


def _is_calendar(text: str) -> bool:
    return bool(CALENDAR.match(text)) and not text.startswith("easter")


def _named_in(when: When | None) -> Iterator[tuple[str, str]]:
    if when is None:
        return
    for name in when.number or ():
        yield "number", name
    for pattern in (*(when.to or ()), *(when.from_ or ())):
        if pattern.startswith(LIST):
            yield "list", pattern[1:]
    yield from _named_in(when.not_)


def _given_twice(sources: Sequence[Source]) -> Iterator[Problem]:
    for key in ONCE:
        first: tuple[str, object] | None = None
        for source in sources:
            value = getattr(source.spec, key)
            if value is None:
                continue
            if first is not None and first[1] != value:
                hint = "it holds for all files: keep one"
                yield source.document.problem((key,), f"{first[0]} says something else", hint, at_key=True)
            first = first or (source.document.name, value)


def _same_numbers(sources: Sequence[Source], country: str) -> Iterator[Problem]:
    seen: dict[str, str] = {}
    for source in sources:
        for text in source.spec.numbers:
            yield from number_problems(source.document, ("numbers", text), text, country)
            number = normalised(text, country)
            if number in seen:
                message = f"this is the same number as {seen[number]}"
                yield source.document.problem(("numbers", text), message, "keep one", at_key=True)
            seen.setdefault(number, text)


def _hours_problems(document: YamlFile, path: KeyPath, hours: Hours) -> Iterator[Problem]:
    for key, days in (("week", hours.week), ("special", hours.special)):
        for day, windows in days.items():
            for earlier, later in pairwise(sorted(windows)):
                if later.partition("-")[0] < earlier.partition("-")[2]:
                    message = f"{earlier} and {later} overlap"
                    yield document.problem((*path, key, day), message, "make one window of them")
    if not any(hours.week.values()) and not any(hours.special.values()):
        yield document.problem((*path, "week"), "it is never open", "name a day with a window")


def _day_part_problems(source: Source, timezone: str) -> Iterator[Problem]:
    spec, document = source.spec.day_parts, source.document
    if spec is None:
        return
    windows = spec.windows()
    if not windows:
        hint = 'for example morning: "06:00-12:00"'
        yield document.problem(("day_parts",), "no part of the day in it", hint, at_key=True)
    if not spec.timezone and not timezone:
        hint = "add timezone: Europe/Berlin"
        yield document.problem(("day_parts",), "parts of the day need a time zone", hint, at_key=True)
    for (one, first), (other, second) in combinations(windows.items(), 2):
        if _overlap(minutes(first), minutes(second)):
            message = f"{one} ({first}) and {other} ({second}) overlap"
            yield document.problem(("day_parts", other), message, "a call is in one part of the day")


def _overlap(one: tuple[int, int], other: tuple[int, int]) -> bool:
    return inside(one, other[0]) or inside(other, one[0])
