"""Opening hours as a person writes them. Compiled to bridge/dialplan/hours.py.

Not worker-safe (pydantic). Pure.
"""

from datetime import date
from typing import Annotated, Literal
from zoneinfo import available_timezones

from pydantic import AfterValidator, Field

from bridge.dialplan.schema_base import Part
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
        raise ValueError(f"there is no time zone {text} | {nearest(text, available_timezones())}")
    return text


def _day(text: str) -> str:
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise ValueError(f"{text} is no date | for example 2026-12-25, in quotes") from None


Window = Annotated[
    str,
    Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]-(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$"),
    AfterValidator(_window),
]


class Hours(Part):
    """When somebody is there: local time windows by day of the week, but for holidays."""

    timezone: Annotated[str, Field(max_length=64), AfterValidator(_timezone)] = Field(
        description="Such as Europe/Berlin."
    )
    week: dict[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"], list[Window]] = Field(
        min_length=1, description='By day: windows such as "09:00-12:30"; a day that is not named is closed.'
    )
    holidays: list[Annotated[str, AfterValidator(_day)]] = Field(
        default_factory=list, max_length=1000, description='Days on which it is closed, such as "2026-12-25".'
    )
