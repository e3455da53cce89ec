"""What the API says of itself: the words and schemas that stand beside every route (control_api.get, post, delete).

A schema is JSON Schema 2020-12 as a dict. Where it is a dataclass the class itself stands in it, and becomes
`#/components/schemas/NAME` (control_openapi.py), so that a shape is written down once. Pure.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Schema = Mapping[str, Any] | type
"""A schema, or a dataclass."""

TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": "number"}
INTEGER: Schema = {"type": "integer"}
FLAG: Schema = {"type": "boolean"}
ANYTHING: Schema = {}
SECONDS: Schema = {"type": "number", "description": "Seconds."}
AT: Schema = {"type": "number", "description": "Unix seconds."}


@dataclass(frozen=True, slots=True)
class Doc:
    """One operation. `refuses`: statuses besides those that every route may have; `details`: more than the summary.

    `body`: of a POST; None: it has none, or it is a text (Terms.content). `media`: of the answer.
    """

    summary: str
    answer: Schema = field(default_factory=lambda: {"type": "object"})
    body: Schema | None = None
    query: Mapping[str, Schema] = field(default_factory=dict)
    refuses: tuple[int, ...] = ()
    details: str = ""
    media: str = "application/json"


def thing(required: Mapping[str, Schema], **more: Schema) -> dict[str, Any]:
    """An object with these keys; `more` may be left out. Others may be there too: answers grow."""
    properties = {**required, **more}
    found: dict[str, Any] = {"type": "object", "properties": properties}
    return found | ({"required": list(required)} if required else {})


def exactly(required: Mapping[str, Schema], **more: Schema) -> dict[str, Any]:
    """The same for a body: no other key is taken."""
    return {**thing(required, **more), "additionalProperties": False}


def list_of(item: Schema) -> dict[str, Any]:
    """An array."""
    return {"type": "array", "items": item}


def maybe(schema: Schema) -> dict[str, Any]:
    """Such a value, or null."""
    return {"anyOf": [schema, {"type": "null"}]}


def by_name(value: Schema) -> dict[str, Any]:
    """An object whose keys are names of ours."""
    return {"type": "object", "additionalProperties": value}


def one_of(*values: str) -> dict[str, Any]:
    """One of these words."""
    return {"type": "string", "enum": list(values)}


def string(most: int, least: int = 0, pattern: str = "") -> dict[str, Any]:
    """A text of so many characters."""
    found: dict[str, Any] = {"type": "string", "maxLength": most}
    return found | ({"minLength": least} if least else {}) | ({"pattern": pattern} if pattern else {})


def along(schema: Schema, **more: Schema) -> dict[str, Any]:
    """What a dataclass says, and further keys."""
    return {"allOf": [schema, thing(more)]}
