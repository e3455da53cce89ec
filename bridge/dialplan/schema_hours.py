"""Opening hours, holidays and parts of the day as a person writes them. Compiled to hours.py and book.py.

Not worker-safe (pydantic). Pure.
"""

import re
from typing import Annotated, Literal
from zoneinfo import available_timezones

from pydantic import AfterValidator, Field
from pydantic.json_schema import WithJsonSchema

from bridge.dialplan import dates
from bridge.dialplan.schema_base import Form, Part
from bridge.fieldhelp import nearest


def _window(text: str) -> str:
    start, _, end = text.partition("-")
    if start >= end:
        raise ValueError(
            f"{text} ends before it begins | over midnight: 22:00-24:00, and 00:00-06:00 on the next day"
        )
    return text


def _timezone(text: str) -> str:
    if text not in available_timezones():
        same_city = [
            name for name in sorted(available_timezones()) if name.lower().endswith(f"/{text.lower()}")
        ]
        hint = f"did you mean {same_city[0]}?" if same_city else nearest(text, available_timezones())
        hint = hint if hint.startswith("did") else "continent and city, such as Europe/Berlin"
        raise ValueError(f"there is no time zone {text} | {hint}")
    return text


def _date(text: str) -> str:
    wrong = dates.mistake(text)
    if wrong:
        raise ValueError(wrong)
    return text


def _date_or_calendar(text: str) -> str:
    is_name = CALENDAR.match(text) and not re.match(dates.DATE_PATTERN, text)
    return text if is_name else _date(text)


CALENDAR = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}\Z")
"""A name of `holidays`, where a date may stand too."""
DateText = Annotated[
    str,
    Field(max_length=32),
    AfterValidator(_date),
    WithJsonSchema({"type": "string", "pattern": dates.DATE_PATTERN}),
]
DateOrCalendar = Annotated[str, Field(max_length=64), AfterValidator(_date_or_calendar)]
TimeZone = Annotated[str, Field(max_length=64), AfterValidator(_timezone)]
WINDOW = r"^([01][0-9]|2[0-3]):[0-5][0-9]-(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$"
Window = Annotated[
    str,
    Form(WINDOW, "this is no window of time | two times of the day, such as 09:00-12:30, in quotes"),
    AfterValidator(_window),
]


def _part_window(text: str) -> str:
    start, _, end = text.partition("-")
    if start == end:
        raise ValueError(f"{text} has no length | for example 22:00-06:00, which goes over midnight")
    return text


PartWindow = Annotated[
    str,
    Form(WINDOW, "this is no window of time | two times of the day, such as 09:00-12:30, in quotes"),
    AfterValidator(_part_window),
]


class Hours(Part):
    """When somebody is there: local time windows by day of the week, but for holidays and special days."""

    timezone: TimeZone = Field(description="Such as Europe/Berlin.")
    week: dict[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"], list[Window]] = Field(
        min_length=1, description='By day: windows such as "09:00-12:30"; a day that is not named is closed.'
    )
    holidays: list[DateOrCalendar] = Field(
        default_factory=list,
        max_length=1000,
        description='Days on which it is closed, such as "2026-12-25", and names of the plan\'s `holidays`.',
    )
    special: dict[DateText, list[Window]] = Field(
        default_factory=dict,
        max_length=1000,
        description='Windows of special days: {"12-24": ["09:00-12:00"]}. They go before holidays and week.',
    )


class DayParts(Part):
    """Parts of the day, as `when: {day_part: evening}` means them."""

    timezone: TimeZone | None = Field(default=None, description="As the plan's `timezone` when left out.")
    morning: PartWindow | None = Field(default=None, description='Such as "06:00-12:00".')
    afternoon: PartWindow | None = Field(default=None, description='Such as "12:00-18:00".')
    evening: PartWindow | None = Field(default=None, description='Such as "18:00-22:00".')
    night: PartWindow | None = Field(default=None, description='Such as "22:00-06:00", over midnight.')

    def windows(self) -> dict[str, str]:
        """The parts that are given, by name."""
        found = {name: getattr(self, name) for name in DAY_PARTS}
        return {name: window for name, window in found.items() if window}


DAY_PARTS = ("morning", "afternoon", "evening", "night")
