"""Country, numbers, lists and parts of the day of all files, into a plan's book. Pure. Not worker-safe."""

from collections.abc import Sequence

from bridge.dialplan.book import Book, DayParts
from bridge.dialplan.compile_when import minutes
from bridge.dialplan.e164 import normalised, normalised_pattern
from bridge.dialplan.source import Source


def compile_book(sources: Sequence[Source]) -> Book:
    """The checks made sure that what can be given once is given once."""
    country, timezone = country_of(sources), timezone_of(sources)
    return Book(
        country=country,
        timezone=timezone,
        numbers={
            normalised(text, country): number.name
            for source in sources
            for text, number in source.spec.numbers.items()
        },
        lists={
            name: tuple(normalised_pattern(member, country) for member in members)
            for source in sources
            for name, members in source.spec.lists.items()
        },
        day_parts=_day_parts(sources, timezone),
    )


def country_of(sources: Sequence[Source]) -> str:
    """The plan's country; "" when none is named."""
    return next((source.spec.country for source in sources if source.spec.country), "")


def timezone_of(sources: Sequence[Source]) -> str:
    """The plan's time zone; "" when none is named."""
    return next((source.spec.timezone for source in sources if source.spec.timezone), "")


def calendars_of(sources: Sequence[Source]) -> dict[str, list[str]]:
    """The days of every holiday calendar, by its name."""
    return {name: list(days) for source in sources for name, days in source.spec.holidays.items()}


def _day_parts(sources: Sequence[Source], timezone: str) -> DayParts | None:
    spec = next((source.spec.day_parts for source in sources if source.spec.day_parts), None)
    if spec is None:
        return None
    windows = {name: minutes(window) for name, window in spec.windows().items()}
    return DayParts(spec.timezone or timezone, windows)
