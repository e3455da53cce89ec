"""What a tool is, and how a plain typed function becomes one: a decorator says what may go wrong with it.

    from bridge.toolbox.spec import ToolContext, tool

    @tool("Give money back for an order.", risk="money", idempotent=True)
    def refund(order: str, amount: float, context: ToolContext) -> dict: ...

The JSON Schema that the model sees comes from the signature (pydantic, strict: no "40" for 40); the parameter of type
ToolContext is filled in by the bridge and never shown. Tools of MCP servers are ToolSpecs too (mcptools.py). Pure.
"""

import inspect
import json
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from bridge.approval.canonical import digest
from bridge.approval.request import Risk
from bridge.errors import ToolArgumentsError, ToolError

F = TypeVar("F", bound=Callable[..., Any])
MARK = "__sipbridge_tool__"


Origin = Literal["function", "mcp", "provider"]


class CallControl(Protocol):
    """What a tool may do with the phone call it was asked for on. Raises ToolError: why it could not be done."""

    async def hang_up(self, reason: str) -> None:
        """End the call, after what the agent is saying."""

    async def transfer(self, target: str) -> None:
        """Hand the caller to a target of the dialplan's `transfers` by its name (REFER); back when they have it."""

    async def collect(self, digits: int, terminator: str, timeout_s: float) -> str:
        """What the caller types: up to `digits` keys, the terminator not among them."""

    async def hand_off(self, agent: str, note: str) -> None:
        """Hand the caller to another agent that the dialplan allows (`hand_off_to`); back when that agent has them."""

    async def recording(self, action: str) -> Mapping[str, Any]:
        """`pause` or `resume` the recording, and what the record keeps of the words: {recording, paused, changed}."""


@dataclass(frozen=True, slots=True)
class ToolContext:
    """Who it is for. `idempotency_key` is the same for every try of one request: use it to do a thing once.

    `folder` is for files of the tools; it may not be there yet. `call` is None where there is no call (CLI).
    """

    call_id: str
    caller: str
    idempotency_key: str
    folder: Path
    verified: bool = False
    call: CallControl | None = None


@dataclass(frozen=True, slots=True)
class Options:
    """What the decorator was told. `redact`: arguments that no log and no notification shows.

    `verifies`: a result {"verified": true} makes the caller a verified one for the rest of the call.
    """

    description: str
    risk: Risk
    idempotent: bool
    timeout_s: float
    max_result_bytes: int
    while_running: str
    redact: tuple[str, ...] = ()
    verifies: bool = False


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool ready to be offered and run. `definition_hash` is what an approval is bound to.

    `check` makes JSON values that fit `schema` of what the model wrote (ToolArgumentsError); `invoke` runs it with them
    and gives a value or an awaitable; `blocking`: it must not run on the loop. `where`: file and line, or server.
    """

    name: str
    options: Options
    schema: Mapping[str, Any] = field(hash=False)
    definition_hash: str
    check: Callable[[Mapping[str, Any]], dict[str, Any]] = field(hash=False)
    invoke: Callable[[Mapping[str, Any], ToolContext], Any] = field(hash=False)
    blocking: bool
    where: str
    origin: Origin = "function"

    def definition(self) -> dict[str, Any]:
        """The `tools` entry of a Realtime session."""
        return {
            "type": "function",
            "name": self.name,
            "description": self.options.description,
            "parameters": dict(self.schema),
        }


def tool(  # noqa: PLR0913  # a decorator's keywords
    description: str,
    *,
    risk: Risk,
    idempotent: bool = False,
    timeout_s: float = 10.0,
    max_result_bytes: int = 8000,
    while_running: str = "One moment, please.",
    redact: tuple[str, ...] = (),
    verifies: bool = False,
) -> Callable[[F], F]:
    """Make a function a tool. `risk` is what the policy looks at; a tool that only reads is idempotent anyway.

    A function that raises ToolError says: not done, and why. After any other exception nobody knows (`unknown`).
    """
    options = Options(
        description=description,
        risk=risk,
        idempotent=idempotent or risk == "read",
        timeout_s=timeout_s,
        max_result_bytes=max_result_bytes,
        while_running=while_running,
        redact=redact,
        verifies=verifies,
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
    unknown = sorted({*options.redact} - {*fields})
    if unknown:
        raise ToolError(f"redact names {', '.join(unknown)}, which {function.__name__} does not have")
    model = _model(function.__name__, fields)
    schema = model.model_json_schema()
    schema.pop("title", None)
    content = {
        "name": function.__name__,
        "description": options.description,
        "schema": schema,
        "risk": options.risk,
    }

    def invoke(arguments: Mapping[str, Any], context: ToolContext) -> Any:
        checked = model.model_validate_json(json.dumps(dict(arguments)))
        values = {name: getattr(checked, name) for name in model.model_fields}
        if context_parameter:
            values[context_parameter] = context
        return function(**values)

    return ToolSpec(
        name=function.__name__,
        options=options,
        schema=schema,
        definition_hash=digest(content),
        check=lambda given: _checked(model, given),
        invoke=invoke,
        blocking=not inspect.iscoroutinefunction(function),
        where=f"{code.co_filename}:{code.co_firstlineno}",
    )


def _checked(model: type[BaseModel], given: Mapping[str, Any]) -> dict[str, Any]:
    try:
        checked = model.model_validate_json(json.dumps(given))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "arguments"
        raise ToolArgumentsError(f"{place}: {first['msg']}") from error
    return checked.model_dump(mode="json")


def _model(name: str, fields: Mapping[str, Any]) -> type[BaseModel]:
    config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, arbitrary_types_allowed=False)
    try:
        return create_model(name, __config__=config, **fields)
    except Exception as error:  # pydantic's schema errors have no common base outside of it
        raise ToolError(f"a parameter of {name} has a type that JSON does not know: {error}") from error
