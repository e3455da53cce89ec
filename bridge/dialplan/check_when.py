"""Mistakes in the conditions of a route that only show with the rest of the plan. Pure. Not worker-safe.

Called by bridge/dialplan/check.py.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from bridge.dialplan.compile_book import country_of, timezone_of
from bridge.dialplan.compile_when import number_pattern
from bridge.dialplan.e164 import is_number
from bridge.dialplan.facts import LIST
from bridge.dialplan.match import is_regex
from bridge.dialplan.schema_hours import DAY_PARTS
from bridge.dialplan.schema_when import When
from bridge.dialplan.source import Source
from bridge.errors import Problem
from bridge.fieldhelp import nearest
from bridge.yamlfile import KeyPath, YamlFile

Names = Collection[str] | None
"""What there is of a kind; None when not all of it is known."""


@dataclass(frozen=True, slots=True)
class Conditions:
    """The names of a plan that conditions may use. `day_parts`: those that have a window."""

    hours: Names
    trunks: Names
    numbers: Names
    lists: Names
    day_parts: Names
    country: str
    timezone: Names


def known_to_conditions(sources: Sequence[Source], *, whole: bool) -> Conditions:
    """Of all files. `whole`: every part of them has been read; else nothing is said to be missing."""

    def names(kind: str) -> Names:
        has_kind = any(hasattr(source.spec, kind) for source in sources)
        found = {name for source in sources for name in getattr(source.spec, kind, ())}
        return found if whole and has_kind else None

    numbers = {one.name for source in sources for _, one in source.typed(source.spec.numbers, "numbers")}
    parts = {name for source in sources if source.spec.day_parts for name in source.spec.day_parts.windows()}
    return Conditions(
        hours=names("hours"),
        trunks=names("trunks"),
        numbers=numbers if whole else None,
        lists=names("lists"),
        day_parts=parts if whole else None,
        country=country_of(sources),
        timezone=[timezone_of(sources)] if whole else None,
    )


def when_problems(
    document: YamlFile, path: KeyPath, when: When | None, have: Conditions
) -> Iterator[Problem]:
    """Mistakes in the conditions at `path`, and in those that they negate."""
    if when is None:
        return
    if all(getattr(when, name) is None for name in when.model_fields_set):
        hint = "leave `when` out for a route that fits every call"
        yield document.problem(path, "no condition in it", hint, at_key=True)
    yield from _header_problems(document, (*path, "headers"), when)
    yield from _number_problems(document, path, when, have)
    yield from _unknown_names(document, path, when, have)
    if when.dates and have.timezone is not None and not any(have.timezone):
        hint = "give the plan one: timezone: Europe/Berlin"
        yield document.problem((*path, "dates"), "dates need a time zone", hint, at_key=True)
    if when.not_ is not None:
        yield from when_problems(document, (*path, "not"), when.not_, have)
        if when.not_.capacity is not None:
            hint = "put a route without capacity after this one: it takes what is too much"
            yield document.problem((*path, "not", "capacity"), "room cannot be negated", hint, at_key=True)


def _header_problems(document: YamlFile, path: KeyPath, when: When) -> Iterator[Problem]:
    seen: dict[str, str] = {}
    for name in when.headers or {}:
        if name.lower() in seen:
            hint = "header names ignore case: join the patterns in a list"
            yield document.problem((*path, name), f"same as {seen[name.lower()]}", hint, at_key=True)
        seen[name.lower()] = name


def _number_problems(document: YamlFile, path: KeyPath, when: When, have: Conditions) -> Iterator[Problem]:
    for field, patterns in (("to", when.to), ("from", when.from_)):
        for number, pattern in enumerate(patterns or ()):
            listed: KeyPath = (*path, field, number)
            here = listed if document.has(listed) else (*path, field)
            if pattern.startswith(LIST):
                if have.lists is not None and pattern[1:] not in have.lists:
                    hint = nearest(pattern[1:], have.lists) or "write it under lists"
                    yield document.problem(here, f"there is no list {pattern[1:]}", hint)
            else:
                yield from number_problems(document, here, pattern, have.country)


def number_problems(document: YamlFile, path: KeyPath, pattern: str, country: str) -> Iterator[Problem]:
    """Whether a pattern, or a number, is written in a way in which no call brings it."""
    if is_regex(pattern) or not any(char in pattern for char in " ()/"):
        return
    if not country:
        hint = "write it as the network sends it: digits, + in front, no spaces; or give the plan its country"
        yield document.problem(path, f"{pattern} is not how numbers arrive", hint)
    elif not is_number(pattern.removesuffix("*")) or number_pattern(pattern, country) == pattern:
        hint = "write it with + and the country's code"
        yield document.problem(path, f"{pattern} is no telephone number of {country}", hint)


def _unknown_names(document: YamlFile, path: KeyPath, when: When, have: Conditions) -> Iterator[Problem]:
    for key, word, names, there in (
        ("hours", "are no opening hours", when.hours, have.hours),
        ("outside", "are no opening hours", when.outside, have.hours),
        ("trunk", "is no trunk", when.trunk, have.trunks),
        ("number", "is no number with the name", when.number, have.numbers),
    ):
        for name in names or ():
            if there is not None and name not in there:
                yield document.problem((*path, key), f"there {word} {name}", nearest(name, there))
    for name in when.day_part or ():
        if have.day_parts is not None and name not in have.day_parts:
            given = ", ".join(one for one in DAY_PARTS if one in have.day_parts) or "none"
            hint = f"say when it is, under day_parts; there: {given}"
            yield document.problem((*path, "day_part"), f"the plan does not say when {name} is", hint)
