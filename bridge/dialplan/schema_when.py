"""Conditions of a route: patterns of numbers and headers, names, times, room, shares; and their negation.

Not worker-safe (pydantic). Pure.
"""

import re
from typing import Annotated, Literal, Optional

from pydantic import AfterValidator, BeforeValidator, Field

from bridge.dialplan.facts import LIST
from bridge.dialplan.match import is_regex
from bridge.dialplan.regex import why_slow
from bridge.dialplan.schema_base import ONE_OR_MORE, HeaderName, Names, Part, listed, one_or_more
from bridge.dialplan.schema_hours import DateText


def _pattern(text: str) -> str:
    if not is_regex(text):
        if "*" in text[:-1]:
            raise ValueError(f'a * may only stand at the end | a regex stands between slashes: "/{text}/"')
        if text.startswith("/"):
            raise ValueError("a regex ends with a slash too | /^0049/")
        return text
    try:
        re.compile(text[1:-1], re.IGNORECASE)
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError(f"not a regular expression: {error} | check its brackets and backslashes") from None
    slow = why_slow(text[1:-1])
    if slow:
        raise ValueError(f"this regex may take forever on a hostile caller: {slow} | simplify it")
    return text


Pattern = Annotated[str, Field(min_length=1, max_length=256), AfterValidator(_pattern)]
Patterns = Annotated[
    list[Pattern], BeforeValidator(listed), Field(min_length=1, max_length=1000), ONE_OR_MORE
]


def _number_pattern(text: str) -> str:
    if text.startswith(LIST):
        if not _LIST_NAME.match(text):
            raise ValueError(f"{text[:40]} is no name of a list | such as @vip, a name of `lists`")
        return text
    return _pattern(text)


_LIST_NAME = re.compile(rf"{LIST}[A-Za-z][A-Za-z0-9_-]{{0,63}}\Z")
NumberPatterns = Annotated[
    list[Annotated[str, Field(min_length=1, max_length=256), AfterValidator(_number_pattern)]],
    BeforeValidator(listed),
    Field(min_length=1, max_length=1000),
    ONE_OR_MORE,
]
DayPart = Literal["morning", "afternoon", "evening", "night"]


class Capacity(Part):
    """Room on a route: it fits only while there is some."""

    max_calls: int = Field(
        ge=1, le=100_000, description="Calls on this route at the same time, on all workers."
    )


class When(Part):
    """Conditions on a call; all of them must fit. Each is a pattern or a list of which one must fit."""

    to: NumberPatterns | None = Field(
        default=None, description='The called number: "100", "+4930*", "/^00?49/" or "@list".'
    )
    from_: NumberPatterns | None = Field(
        default=None, alias="from", description="The caller's number, in the same forms."
    )
    number: Names | None = Field(default=None, description="The called number by its name in `numbers`.")
    trunk: Names | None = Field(default=None, description="The trunk that the call came over.")
    headers: dict[HeaderName, Patterns] | None = Field(
        default=None,
        min_length=1,
        max_length=20,
        description="SIP headers by name. A missing header never fits.",
    )
    hours: Names | None = Field(default=None, description="Within one of these opening hours.")
    outside: Names | None = Field(default=None, description="Outside of all of these opening hours.")
    day_part: Annotated[list[DayPart], BeforeValidator(listed), one_or_more(DayPart)] | None = Field(
        default=None, min_length=1, max_length=4, description="One of the plan's `day_parts`."
    )
    dates: Annotated[list[DateText], BeforeValidator(listed), one_or_more(DateText)] | None = Field(
        default=None,
        min_length=1,
        max_length=1000,
        description='Days, in the plan\'s `timezone`: "2026-12-24", "2026-12-27..2026-12-31", "12-25", "easter+1".',
    )
    percent: float | None = Field(
        default=None,
        ge=0.01,
        lt=100,
        description="The share of callers that the route is for; a caller is always on the same side.",
    )
    capacity: Capacity | None = Field(
        default=None, description="Only while fewer calls than that are on this route."
    )
    not_: Optional["When"] = Field(default=None, alias="not", description="Conditions that must not all fit.")
