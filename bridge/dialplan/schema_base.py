"""What the parts of a dialplan are made of: the base class, names, and values that may be one or a list.

Not worker-safe (pydantic). Pure.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    TypeAdapter,
)
from pydantic.json_schema import JsonSchemaValue, WithJsonSchema
from pydantic_core import CoreSchema, core_schema

from bridge.dialplan import templatecheck


@dataclass(frozen=True, slots=True)
class Form:
    """A text of a certain form. `words` say what it must be: "is no name | letters and digits", with a hint after |.

    In the JSON Schema it is the pattern.
    """

    pattern: str
    words: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {**handler(core), "pattern": self.pattern}

    def _check(self, text: str) -> str:
        if not re.search(self.pattern, text) or text.endswith("\n"):
            raise ValueError(self.words)
        return text


Name = Annotated[
    str,
    Form(
        r"^[A-Za-z][A-Za-z0-9_-]{0,63}$",
        "this is no name | letters, digits, - and _, the first a letter, at most 64: front-office",
    ),
]


TargetName = Annotated[
    str,
    Form(
        r"^[A-Za-z][A-Za-z0-9_-]{0,63}$",
        "this is no name of a target | put the address under transfers, and its name here: transfers: {sales: sip:…}",
    ),
]
"""A name of `transfers`; people write addresses here."""


def listed(value: Any) -> Any:
    """One value stands for a list of it."""
    return value if isinstance(value, list) else [value]


ONE_OR_MORE = WithJsonSchema(
    {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}
)
Names = Annotated[list[Name], BeforeValidator(listed), Field(min_length=1, max_length=20), ONE_OR_MORE]

TargetNames = Annotated[
    list[TargetName], BeforeValidator(listed), Field(min_length=1, max_length=20), ONE_OR_MORE
]


@dataclass(frozen=True, slots=True)
class one_or_more:  # noqa: N801  # reads as what it is where it annotates
    """In the JSON Schema: a list of `member`, or one of them alone."""

    member: Any

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        one = TypeAdapter(self.member).json_schema()
        return {"anyOf": [one, {"type": "array", "items": one, "minItems": 1}]}


class Part(BaseModel):
    """Base of everything in a dialplan: strict types, unknown keys are mistakes, immutable."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


def as_text(value: Any) -> Any:
    """A text alone stands for the mapping with that text."""
    if isinstance(value, str):
        return {"text": value}
    if isinstance(value, dict):
        return value
    raise ValueError("text is needed | write it in quotes")


def as_key(key: str) -> Callable[[Any], Any]:
    """A text alone stands for the mapping with that text under `key`."""
    return lambda value: {key: value} if isinstance(value, str) else value


def as_type(value: Any) -> Any:
    """A word alone stands for the mapping with that type."""
    return {"type": value} if isinstance(value, str) else value


def word_or_object(value: Any) -> str:
    """Which of the two forms a value has."""
    return "object" if isinstance(value, (dict, BaseModel)) else "word"


@dataclass(frozen=True, slots=True)
class OrWord:
    """In the JSON Schema: the mapping, or a word that stands for it. `words` empty: any text."""

    words: tuple[str, ...] = ()

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        word: JsonSchemaValue = (
            {"enum": list(self.words)} if self.words else {"type": "string", "minLength": 1}
        )
        return {"anyOf": [word, handler(core)]}


def _template(text: str) -> str:
    for line, what, hint in templatecheck.mistakes(text):
        place = f" (line {line} of the text)" if line > 1 else ""
        raise ValueError(f"{what}{place} | {hint}")
    return text


HEADER_CHARS = r"A-Za-z0-9!%*_+`'~.-"
"""Characters of a SIP header's name (RFC 3261 section 25.1)."""


HeaderName = Annotated[
    str,
    Form(
        rf"^[{HEADER_CHARS}]{{1,64}}$",
        "this is no name of a SIP header | letters, digits and -, without spaces: X-Customer",
    ),
]
Line = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[^\r\n]+$")]
Template = Annotated[str, Field(min_length=1, max_length=100_000), AfterValidator(_template)]
Language = Annotated[
    str,
    Form(
        r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$",
        "this is no language | its code (BCP 47), such as en, de or pt-BR",
    ),
]
FinalStatus = Annotated[int, Field(ge=300, le=699)]

SipTarget = Annotated[
    str,
    Form(
        r"^sips?:[A-Za-z0-9_.!~*'()+-]{1,64}@[A-Za-z0-9.-]{1,128}(:[0-9]{1,5})?$",
        "this is no SIP address for a target | sip:USER@HOST or sip:USER@HOST:PORT, with nothing behind it",
    ),
]
