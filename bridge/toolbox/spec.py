"""What a function tool is: a plain typed function with a decorator that says what may go wrong with it.

    from bridge.toolbox.spec import ToolContext, tool

    @tool("Give money back for an order.", risk="money", idempotent=True)
    def refund(order: str, amount: float, context: ToolContext) -> dict: ...

The JSON Schema that the model sees comes from the signature (pydantic, strict: no "40" for 40); the parameter of type
ToolContext is filled in by the bridge and never shown. Pure.
"""

import inspect
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, create_model

from bridge.approval.canonical import digest
from bridge.approval.request import Risk
from bridge.errors import ToolError

F = TypeVar("F", bound=Callable[..., Any])
MARK = "__sipbridge_tool__"


@dataclass(frozen=True, slots=True)
class ToolContext:
    """Who it is for. `idempotency_key` is the same for every try of one request: use it to do a thing once.

    `folder` is for files of the tools; it may not be there yet.
    """

    call_id: str
    caller: str
    idempotency_key: str
    folder: Path
    verified: bool = False


@dataclass(frozen=True, slots=True)
class Options:
    """What the decorator was told."""

    description: str
    risk: Risk
    idempotent: bool
    timeout_s: float
    max_result_bytes: int
    while_running: str


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool ready to be offered and run. `definition_hash` is what an approval is bound to."""

    name: str
    options: Options
    arguments: type[BaseModel]
    function: Callable[..., Any]
    context_parameter: str
    file: str
    line: int
    schema: Mapping[str, Any] = field(hash=False)
    definition_hash: str

    def definition(self) -> dict[str, Any]:
        """The `tools` entry of a Realtime session."""
        return {
            "type": "function",
            "name": self.name,
            "description": self.options.description,
            "parameters": dict(self.schema),
        }


def tool(
    description: str,
    *,
    risk: Risk,
    idempotent: bool = False,
    timeout_s: float = 10.0,
    max_result_bytes: int = 8000,
    while_running: str = "One moment, please.",
) -> Callable[[F], F]:
    """Make a function a tool. `risk` is what the policy looks at; a tool that only reads is idempotent anyway."""
    options = Options(
        description, risk, idempotent or risk == "read", timeout_s, max_result_bytes, while_running
    )

    def mark(function: F) -> F:
        setattr(function, MARK, options)
        return function

    return mark


def spec_of(function: Callable[..., Any]) -> ToolSpec:
    """The spec of a decorated function. Raises ToolError: a parameter without type, a type JSON does not know."""
    options: Options = getattr(function, MARK)
    code = inspect.unwrap(function).__code__
    try:
        hints = typing.get_type_hints(function, include_extras=True)
    except (NameError, TypeError) as error:
        raise ToolError(f"the types of {function.__name__} cannot be read: {error}") from error
    context_parameter, fields = "", {}
    for name, parameter in inspect.signature(function).parameters.items():
        hint = hints.get(name)
        if hint is ToolContext:
            context_parameter = name
            continue
        if hint is None or parameter.kind in {parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD}:
            raise ToolError(f"parameter {name} of {function.__name__} needs a type")
        default = ... if parameter.default is parameter.empty else parameter.default
        fields[name] = (hint, default if default is not ... else Field())
    model = _model(function.__name__, fields)
    schema = model.model_json_schema()
    schema.pop("title", None)
    content = {
        "name": function.__name__,
        "description": options.description,
        "schema": schema,
        "risk": options.risk,
    }
    return ToolSpec(
        name=function.__name__,
        options=options,
        arguments=model,
        function=function,
        context_parameter=context_parameter,
        file=code.co_filename,
        line=code.co_firstlineno,
        schema=schema,
        definition_hash=digest(content),
    )


def _model(name: str, fields: Mapping[str, Any]) -> type[BaseModel]:
    config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, arbitrary_types_allowed=False)
    try:
        return create_model(name, __config__=config, **fields)
    except Exception as error:  # pydantic's schema errors have no common base outside of it
        raise ToolError(f"a parameter of {name} has a type that JSON does not know: {error}") from error
