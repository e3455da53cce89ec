"""Opening hours: a week of time windows in a time zone, and the days on which nothing is open.

    Hours("office", "Europe/Berlin", week, closed_on) ─open_at(instant)─► bool

Daylight saving is the time zone's business: windows are local wall-clock time. Worker-safe: standard library only (and
the tzdata package where the system has no zone files). Pure: the instant comes in.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MINUTES_A_DAY = 24 * 60
LOOK_AHEAD_DAYS = 366


@dataclass(frozen=True, slots=True)
class Hours:
    """`week`: windows by day, each in minutes from midnight, the end not included. `closed_on`: ISO dates."""

    name: str
    timezone: str
    week: Mapping[str, tuple[tuple[int, ...], ...]] = field(hash=False)
    closed_on: tuple[str, ...] = ()

    def open_at(self, at: datetime) -> bool:
        """Whether an aware instant falls into a window."""
        local = at.astimezone(_zone(self.timezone))
        if local.date().isoformat() in self.closed_on:
            return False
        minute = local.hour * 60 + local.minute
        return any(start <= minute < end for start, end in self.week.get(DAYS[local.weekday()], ()))

    def next_open(self, at: datetime) -> datetime | None:
        """When it opens next after `at`, local time; None: not within a year."""
        local = at.astimezone(_zone(self.timezone))
        for start in self._starts(local.date()):
            if start > local:
                return start
        return None

    def _starts(self, first: date) -> Iterator[datetime]:
        zone = _zone(self.timezone)
        for days in range(LOOK_AHEAD_DAYS):
            day = first + timedelta(days=days)
            if day.isoformat() in self.closed_on:
                continue
            for start, _ in sorted(self.week.get(DAYS[day.weekday()], ())):
                yield datetime(day.year, day.month, day.day, start // 60, start % 60, tzinfo=zone)


@lru_cache(maxsize=64)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)
