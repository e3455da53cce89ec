"""What conditions and texts of a plan refer to, as a person writes it: numbers, lists of numbers, constants.

Compiled to bridge/dialplan/book.py; `vars` and `include` are used up before (bridge/dialplan/files.py).

Not worker-safe (pydantic). Pure.
"""

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic.json_schema import WithJsonSchema

from bridge.dialplan import e164
from bridge.dialplan.schema_base import Form, Line, Name, OrWord, Part

MAX_LISTED = 100_000
MAX_INCLUDE_CHARS = 256


def _country(text: str) -> str:
    if text not in e164.countries():
        known = text.upper() in e164.countries()
        hint = f"did you mean {text.upper()}?" if known else "its two letters (ISO 3166), such as DE"
        raise ValueError(f"there is no country {text[:40]} | {hint}")
    return text


def _member(text: str) -> str:
    if text.startswith("/"):
        raise ValueError(
            "a list holds numbers, no regex | a beginning of numbers ends with *, such as +4930*"
        )
    if "*" in text[:-1]:
        raise ValueError("a * may only stand at the end | such as +4930*")
    return text


def _named(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


def _constant(value: Any) -> Any:
    if isinstance(value, str) and "${" in value:
        raise ValueError("a constant cannot be made of others | write the whole text")
    if isinstance(value, bool | int | float | str):
        return value
    raise ValueError("a constant is one text or number | write it in one line, or use an anchor (&name)")


Country = Annotated[str, Field(max_length=64), AfterValidator(_country)]
NumberText = Annotated[
    str,
    Form(
        r"^[^\s*@/][^*@\r\n]{0,62}$",
        "this is no number that can be called | one whole number a line; patterns belong into when: {to: …} and lists",
    ),
]
ListMember = Annotated[str, Field(min_length=1, max_length=64), AfterValidator(_member)]
NumberList = Annotated[list[ListMember], Field(min_length=1, max_length=MAX_LISTED)]
Constant = Annotated[
    str | int | float | bool,
    BeforeValidator(_constant),
    WithJsonSchema({"type": ["string", "number", "boolean"]}),
]
Includes = Annotated[
    list[Annotated[str, Field(min_length=1, max_length=MAX_INCLUDE_CHARS)]], Field(max_length=100)
]


class CalledNumber(Part):
    """A number that callers dial. A word alone stands for its name."""

    name: Name = Field(
        description="What routes call it: `when: {number: front-office}`. Several may share one."
    )
    description: Line | None = Field(default=None, description="For people.")


Number = Annotated[CalledNumber, BeforeValidator(_named), OrWord()]
