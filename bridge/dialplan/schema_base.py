"""What the parts of a dialplan are made of: the base class, names, and values that may be one or a list.

Not worker-safe (pydantic). Pure.
"""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.json_schema import WithJsonSchema

Name = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,63}$")]


def listed(value: Any) -> Any:
    """One value stands for a list of it."""
    return value if isinstance(value, list) else [value]


ONE_OR_MORE = WithJsonSchema(
    {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}
)
Names = Annotated[list[Name], BeforeValidator(listed), Field(min_length=1, max_length=20), ONE_OR_MORE]


class Part(BaseModel):
    """Base of everything in a dialplan: strict types, unknown keys are mistakes, immutable."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)
