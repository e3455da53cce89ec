"""Conditions of a route: patterns of numbers and headers, opening hours.

Not worker-safe (pydantic). Pure.
"""

import re
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from bridge.dialplan.match import is_regex
from bridge.dialplan.regex import why_slow
from bridge.dialplan.schema_base import ONE_OR_MORE, HeaderName, Names, Part, listed


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
        raise ValueError(f"not a regular expression: {error}") from None
    slow = why_slow(text[1:-1])
    if slow:
        raise ValueError(f"this regex may take forever on a hostile caller: {slow} | simplify it")
    return text


Pattern = Annotated[str, Field(min_length=1, max_length=256), AfterValidator(_pattern)]
Patterns = Annotated[
    list[Pattern], BeforeValidator(listed), Field(min_length=1, max_length=1000), ONE_OR_MORE
]


class When(Part):
    """Conditions on a call; all of them must fit. Each is a pattern or a list of which one must fit."""

    to: Patterns | None = Field(default=None, description='The called number: "100", "+4930*" or "/^00?49/".')
    from_: Patterns | None = Field(
        default=None, alias="from", description="The caller's number, in the same forms."
    )
    headers: dict[HeaderName, Patterns] | None = Field(
        default=None,
        min_length=1,
        max_length=20,
        description="SIP headers by name. A missing header never fits.",
    )
    hours: Names | None = Field(default=None, description="Within one of these opening hours.")
    outside: Names | None = Field(default=None, description="Outside of all of these opening hours.")
