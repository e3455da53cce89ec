"""Tools of MCP servers as ToolSpecs: what a server says about a tool, read with distrust.

    tools/list entry ──read──► McpDefinition ──spec──► ToolSpec named SERVER__TOOL

Name, description and schema come from outside: capped, without control characters, and pinned by `hash` (mcplock.py).
Annotations are hints of the server about itself and are not read at all: the risk is what ops wrote. Arguments are
checked against the schema before the server sees them. Pure.
"""

import json
import re
import unicodedata
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import jsonschema
import referencing

from bridge.approval.canonical import digest
from bridge.errors import ToolArgumentsError, ToolError
from bridge.toolbox.spec import Options, Origin, ToolContext, ToolSpec

SEPARATOR = "__"
MAX_NAME_CHARS = 64  # of a function name in a Realtime session
MAX_DESCRIPTION_CHARS = 2000
MAX_SCHEMA_BYTES = 32_000
MAX_RESULT_DEPTH = 20
CUT = " … (cut: it is too long)"
Send = Callable[["McpDefinition", Mapping[str, Any], ToolContext], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class McpDefinition:
    """One tool of one server. `hash` changes with whatever the model or an admin was shown."""

    server: str
    tool: str
    description: str
    schema: Mapping[str, Any] = field(hash=False)
    hash: str

    @property
    def name(self) -> str:
        """What the model calls it."""
        return f"{self.server}{SEPARATOR}{self.tool}"

    def content(self) -> dict[str, Any]:
        """What is shown, and pinned."""
        return {"name": self.tool, "description": self.description, "schema": dict(self.schema)}


def read(server: str, tool: str, description: str, schema: Any) -> McpDefinition:
    """A definition as a server gave it. Raises ToolError: it cannot be offered, and why."""
    name = f"{server}{SEPARATOR}{tool}"
    if not re.fullmatch(r"[A-Za-z0-9_-]+", name) or len(name) > MAX_NAME_CHARS:
        raise ToolError(
            f"{printable(name, 100)!r} is no function name of at most {MAX_NAME_CHARS} characters"
        )
    try:
        size = len(json.dumps(schema, allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise ToolError(f"the schema of {name} is no JSON") from error
    if not isinstance(schema, dict) or schema.get("type") != "object" or size > MAX_SCHEMA_BYTES:
        raise ToolError(f"the schema of {name} is no object, or longer than {MAX_SCHEMA_BYTES} bytes")
    try:
        jsonschema.Draft202012Validator.check_schema(schema)
    except (jsonschema.SchemaError, RecursionError) as error:
        raise ToolError(f"the schema of {name} is not valid: {printable(str(error), 200)}") from error
    content = {"name": tool, "description": description, "schema": schema}  # the hash is of what came, uncut
    return McpDefinition(
        server,
        tool,
        printable(description, MAX_DESCRIPTION_CHARS),
        _printable_schema(schema),
        digest(content),
    )


def faithful(definition: McpDefinition, description: str, schema: Any) -> None:
    """Raises ToolError when a person would be shown something else than the server said.

    For tools that the provider of the model reads itself: we can clean what we show, but not what it reads.
    """
    if definition.description != description or dict(definition.schema) != schema:
        raise ToolError(
            f"{definition.name} has words that cannot be shown, or too many: it may not be run by the provider"
        )


def spec(definition: McpDefinition, options: Options, send: Send, origin: Origin = "mcp") -> ToolSpec:
    """The tool of an accepted definition. `send` has the server run it."""
    validator = jsonschema.Draft202012Validator(definition.schema, registry=referencing.Registry())
    names = _names(definition.schema)

    def check(given: Mapping[str, Any]) -> dict[str, Any]:
        unknown = [] if names is None else sorted({*given} - names)
        if unknown:
            raise ToolArgumentsError(f"{', '.join(unknown)[:200]}: there is no such argument")
        try:
            wrong = jsonschema.exceptions.best_match(validator.iter_errors(dict(given)))
        except Exception as error:  # a reference that leads nowhere, a pattern that is none
            raise ToolArgumentsError(f"the schema cannot be used: {printable(str(error), 100)}") from error
        if wrong is not None:
            place = ".".join(str(part) for part in wrong.absolute_path) or "arguments"
            raise ToolArgumentsError(f"{place}: {printable(wrong.message, 300)}")
        return dict(given)

    return ToolSpec(
        name=definition.name,
        options=options,
        schema=definition.schema,
        definition_hash=_definition_hash(definition, options),
        check=check,
        invoke=lambda arguments, context: send(definition, arguments, context),
        blocking=False,
        where=f"MCP server {definition.server}",
        origin=origin,
    )


def pinned(accepted: ToolSpec, seen: Any) -> bool:
    """Whether the definition that a provider saw ({name, description, input_schema}) is the accepted one."""
    server = accepted.name.partition(SEPARATOR)[0]
    try:
        found = read(server, seen["name"], seen.get("description") or "", seen["input_schema"])
    except (ToolError, KeyError, TypeError, AttributeError):
        return False
    return accepted.definition_hash == _definition_hash(found, accepted.options)


def _definition_hash(definition: McpDefinition, options: Options) -> str:
    return digest({"definition": definition.hash, "risk": options.risk})


def result(content: Sequence[Mapping[str, Any]], structured: Any, max_bytes: int) -> dict[str, Any]:
    """A tool's result for the model: structured when it fits, else its text, cut to `max_bytes`."""
    cleaned = _clean(structured)
    if isinstance(cleaned, dict) and len(json.dumps(cleaned).encode()) <= max_bytes:
        return cleaned
    parts = [
        str(part.get("text", "")) if part.get("type") == "text" else f"[{part.get('type')} left out]"
        for part in content
    ]
    text = "\n".join(printable(part, max_bytes) for part in parts)
    room = max_bytes - 200  # for the JSON around it
    return {"result": text if len(text.encode()) <= room else _cut(text, room)}


def printable(text: str, max_chars: int) -> str:
    """Without control, format (zero-width, direction, tag) and surrogate characters; line ends stay."""
    kept = "".join(char for char in text if char == "\n" or unicodedata.category(char)[0] != "C")
    return kept if len(kept) <= max_chars else kept[:max_chars] + CUT


def _cut(text: str, max_bytes: int) -> str:
    return text.encode()[: max(max_bytes - len(CUT.encode()), 0)].decode(errors="ignore") + CUT


def _names(schema: Mapping[str, Any]) -> frozenset[str] | None:
    """The arguments there are; None when the schema says itself what else it takes."""
    open_ended = {"additionalProperties", "patternProperties", "allOf", "anyOf", "oneOf", "$ref"}
    return None if open_ended & {*schema} else frozenset(schema.get("properties", {}))


def _printable_schema(schema: Any) -> Any:
    """The same schema with descriptions and titles that can be shown."""
    if isinstance(schema, dict):
        return {
            key: printable(value, MAX_DESCRIPTION_CHARS)
            if key in {"description", "title"} and isinstance(value, str)
            else _printable_schema(value)
            for key, value in schema.items()
        }
    return [_printable_schema(value) for value in schema] if isinstance(schema, list) else schema


def _clean(value: Any, depth: int = 0) -> Any:
    if depth > MAX_RESULT_DEPTH:
        return None
    if isinstance(value, str):
        return printable(value, len(value))
    if isinstance(value, list):
        return [_clean(one, depth + 1) for one in value]
    if isinstance(value, dict):
        return {printable(str(key), 200): _clean(one, depth + 1) for key, one in value.items()}
    return value
