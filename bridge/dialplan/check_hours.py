"""Opening hours that never match, or are out of date. Warnings: they depend on the day on which they are looked at.

Pure: the day comes in. Not worker-safe. Called by bridge/dialplan/check.py.
"""

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time

from bridge.dialplan.hours import Hours
from bridge.dialplan.source import Source
from bridge.errors import Problem

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")
"""A day of one year; days that come every year are never over."""


def warnings(sources: Sequence[Source], hours: Sequence[Hours], today: date) -> Iterator[Problem]:
    """Hours that do not open within a year, and holidays that are all over. `hours`: the compiled ones."""
    at = datetime.combine(today, time(), UTC)
    compiled = {one.name: one for one in hours}
    for source in sources:
        for name in source.spec.hours:
            path, one = ("hours", name), compiled[name]
            if one.next_open(at) is None:
                message = f"not open once in the year from {today}: its windows all fall on holidays"
                yield source.document.problem((*path, "holidays"), message, "check the dates")
            if one.closed_on and all(_DATE.match(day) and day < today.isoformat() for day in one.closed_on):
                message = f"all holidays are over, the last was {max(one.closed_on)}"
                hint = f"sipbridge dialplan add-holiday {name} DATE"
                yield source.document.problem((*path, "holidays"), message, hint)
