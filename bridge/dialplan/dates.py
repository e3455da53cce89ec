"""Days of the year as people name them: one date, a range, a day of every year, a day counted from Easter.

    "2026-12-24"   "2026-12-27..2026-12-31"   "12-25"   "12-24..01-06"   "easter+1"   "easter-2"

Worker-safe: standard library only. Pure: the day comes in, any thread. Called when a plan is checked (`mistake`) and
at each call (`Days`).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache

DATE_PATTERN = (
    r"^([0-9]{4}-[0-9]{2}-[0-9]{2}(\.\.[0-9]{4}-[0-9]{2}-[0-9]{2})?"
    r"|[0-9]{2}-[0-9]{2}(\.\.[0-9]{2}-[0-9]{2})?|easter([+-][0-9]{1,3})?)$"
)
"""The form of a day, for the JSON Schema; whether there is such a day says `mistake`."""
EXAMPLES = 'for example "2026-12-24", "2026-12-27..2026-12-31", "12-25" or "easter+1", in quotes'

_FORM = re.compile(DATE_PATTERN)


@dataclass(frozen=True, slots=True)
class Days:
    """A set of days. `ranges`: ISO dates, first and last; `yearly`: month and day, likewise; `easter`: offsets."""

    ranges: tuple[tuple[str, str], ...]
    yearly: tuple[tuple[str, str], ...]
    easter: frozenset[int]
    single: frozenset[str]

    def __contains__(self, day: date) -> bool:
        iso = day.isoformat()
        if iso in self.single or iso[5:] in self.single:
            return True
        if any(first <= iso <= last for first, last in self.ranges):
            return True
        if any(_within(first, iso[5:], last) for first, last in self.yearly):
            return True
        return bool(self.easter) and (day - easter_sunday(day.year)).days in self.easter


@lru_cache(maxsize=4096)
def days(patterns: Sequence[str]) -> Days:
    """The days that a tuple of patterns names, each without a `mistake`."""
    spans = [(first, last) for first, dots, last in (one.partition("..") for one in patterns) if dots]
    easter = frozenset(int(one[6:] or 0) for one in patterns if one.startswith("easter"))
    return Days(
        ranges=tuple(span for span in spans if len(span[0]) == len("2026-12-24")),
        yearly=tuple(span for span in spans if len(span[0]) == len("12-24")),
        easter=easter,
        single=frozenset(one for one in patterns if ".." not in one and not one.startswith("easter")),
    )


def mistake(text: str) -> str:
    """Why a text is no day, with a hint after " | "; "" when it is one."""
    if not _FORM.match(text):
        return f"{text[:40]} is no date | {EXAMPLES}"
    if text.startswith("easter"):
        return ""
    parts = text.split("..")
    for part in parts:
        try:
            date.fromisoformat(part if len(part) > len("12-24") else f"2024-{part}")  # a leap year
        except ValueError:
            return f"there is no {part} in the calendar | {EXAMPLES}"
    if len(parts) == 2 and len(parts[0]) > len("12-24") and parts[0] > parts[1]:
        return f"{text} ends before it begins | write the earlier date first"
    return ""


@lru_cache(maxsize=64)
def easter_sunday(year: int) -> date:
    """Of the Gregorian calendar (the method of Meeus, Jones and Butcher)."""
    century, rest = divmod(year, 100)
    epact = (19 * (year % 19) + century - century // 4 - (century - (century + 8) // 25 + 1) // 3 + 15) % 30
    weekday = (32 + 2 * (century % 4) + 2 * (rest // 4) - epact - rest % 4) % 7
    shift = (year % 19 + 11 * epact + 22 * weekday) // 451
    return date(year, 3, 22) + timedelta(days=epact + weekday - 7 * shift)


def _within(first: str, day: str, last: str) -> bool:
    """Over the end of the year when the last day comes before the first."""
    return first <= day <= last if first <= last else day >= first or day <= last
