"""Opening hours that never match, or are out of date. Warnings: they depend on the day on which they are looked at.

Pure: the day comes in. Not worker-safe. Called by bridge/dialplan/check.py.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time

from bridge.dialplan.compile_when import opening_hours
from bridge.dialplan.source import Source
from bridge.errors import Problem


def warnings(sources: Sequence[Source], today: date) -> Iterator[Problem]:
    """Hours that do not open within a year, and holidays that are all over."""
    at = datetime.combine(today, time(), UTC)
    for source in sources:
        for name, hours in source.spec.hours.items():
            path = ("hours", name)
            if any(hours.week.values()) and opening_hours(name, hours).next_open(at) is None:
                message = f"not open once in the year from {today}: its windows all fall on holidays"
                yield source.document.problem((*path, "holidays"), message, "check the dates")
            if hours.holidays and max(hours.holidays) < today.isoformat():
                message = f"all holidays are over, the last was {max(hours.holidays)}"
                hint = f"sipbridge dialplan add-holiday {name} DATE"
                yield source.document.problem((*path, "holidays"), message, hint)
