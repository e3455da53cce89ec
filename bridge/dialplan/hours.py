"""Opening hours: a week of time windows in a time zone, the days on which nothing is open, and special openings.

    Hours("office", "Europe/Berlin", week, closed_on, special) ─open_at(instant)─► bool

A special opening goes before a closed day, which goes before the week. Daylight saving is the time zone's business:
windows are local wall-clock time. Worker-safe: standard library only (and the tzdata package where the system has no
zone files). Pure: the instant comes in.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from bridge.dialplan.dates import days

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MINUTES_A_DAY = 24 * 60
LOOK_AHEAD_DAYS = 366

Windows = tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class Hours:
    """`week`: windows by day, each in minutes from midnight, the end not included.

    `closed_on`: days in the words of bridge/dialplan/dates.py. `special`: windows by such a day, the first one counts.
    """

    name: str
    timezone: str
    week: Mapping[str, Windows] = field(hash=False)
    closed_on: tuple[str, ...] = ()
    special: Mapping[str, Windows] = field(default_factory=dict, hash=False)

    def open_at(self, at: datetime) -> bool:
        """Whether an aware instant falls into a window."""
        local = at.astimezone(zone(self.timezone))
        minute = local.hour * 60 + local.minute
        return any(start <= minute < end for start, end in self.windows(local.date()))

    def windows(self, day: date) -> Windows:
        """When it is open on a day."""
        for pattern, windows in self.special.items():
            if day in days((pattern,)):
                return windows
        if day in days(self.closed_on):
            return ()
        return self.week.get(DAYS[day.weekday()], ())

    def next_open(self, at: datetime) -> datetime | None:
        """When it opens next after `at`, local time; None: not within a year."""
        local = at.astimezone(zone(self.timezone))
        for start in self._starts(local.date()):
            if start > local:
                return start
        return None

    def _starts(self, first: date) -> Iterator[datetime]:
        local = zone(self.timezone)
        for number in range(LOOK_AHEAD_DAYS):
            day = first + timedelta(days=number)
            for start, _ in sorted(self.windows(day)):
                yield datetime(day.year, day.month, day.day, start // 60, start % 60, tzinfo=local)


@lru_cache(maxsize=64)
def zone(name: str) -> ZoneInfo:
    """The time zone of that name, read once."""
    return ZoneInfo(name)
