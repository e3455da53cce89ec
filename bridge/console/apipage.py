"""The page that describes the API: the OpenAPI document for people, without a script.

    operation ─► method, path, what it does, who may; query and body by name, kind and whether they are needed

What an answer holds is shown one level deep; programs read `/api/v1/openapi.json`. Pure but for the page itself.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response
from starlette.routing import BaseRoute

from bridge.approval.request import MAY
from bridge.console.web import Visit, Web

METHODS = ("get", "post", "put", "patch", "delete")
MAX_DEPTH = 4
"""Of a kind in words: below that an object is only called one."""


@dataclass(frozen=True, slots=True)
class Value:
    """One key of a query, a body or an answer. `kind` in words."""

    name: str
    kind: str
    needed: bool


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path."""

    method: str
    path: str
    anchor: str
    summary: str
    details: str
    roles: str
    query: tuple[Value, ...]
    body: tuple[Value, ...]
    media: str
    answer: tuple[Value, ...]
    statuses: str


class ApiPage:
    """`document`: the OpenAPI description; empty until control has made it."""

    def __init__(self, web: Web, document: Mapping[str, Any]) -> None:
        self._web = web
        self._document = document
        self._groups: tuple[tuple[str, tuple[Operation, ...]], ...] = ()

    def routes(self) -> list[BaseRoute]:
        """For the application."""
        return [self._web.get("/api", self._page)]

    async def _page(self, visit: Visit) -> Response:
        self._groups = self._groups or groups(self._document)
        return self._web.page("api.html", visit, {"groups": self._groups, "here": "api"})


def groups(document: Mapping[str, Any]) -> tuple[tuple[str, tuple[Operation, ...]], ...]:
    """(tag, its operations), in the document's order."""
    found: dict[str, list[Operation]] = {}
    for path, methods in document.get("paths", {}).items():
        for method in METHODS:
            if method in methods:
                one = _operation(document, method, path, methods[method])
                found.setdefault(methods[method]["tags"][0], []).append(one)
    return tuple((tag, tuple(found[tag])) for tag in sorted(found))


def _operation(document: Mapping[str, Any], method: str, path: str, said: Mapping[str, Any]) -> Operation:
    content: Mapping[str, Any] = said.get("requestBody", {}).get("content", {})
    media = next(iter(content), "")
    body = content[media]["schema"] if media else {}
    statuses = sorted(said["responses"])
    good = said["responses"][statuses[0]]["content"]
    answer = good[next(iter(good))]["schema"]
    return Operation(
        method=method.upper(),
        path=path,
        anchor=said["operationId"],
        summary=said["summary"],
        details=said["description"].rpartition("Roles:")[0].strip(),
        roles=", ".join(sorted(MAY[said["x-right"]])),
        query=tuple(
            Value(one["name"], kind_of(document, one["schema"]), bool(one["required"]))
            for one in said.get("parameters", ())
            if one["in"] == "query"
        ),
        body=tuple(values_of(document, body)),
        media=media,
        answer=tuple(values_of(document, answer)),
        statuses=" ".join(statuses),
    )


def values_of(document: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterator[Value]:
    """The keys of an object, those of its parts too."""
    schema = _followed(document, schema)
    for part in schema.get("allOf", ()):
        yield from values_of(document, part)
    needed = schema.get("required", ())
    for name, one in schema.get("properties", {}).items():
        yield Value(name, kind_of(document, one), name in needed)


def kind_of(document: Mapping[str, Any], schema: Mapping[str, Any], depth: int = 0) -> str:
    """A schema in a few words."""
    schema = _followed(document, schema)
    if choices := schema.get("enum"):
        return " | ".join(str(one) for one in choices)
    if choices := schema.get("anyOf"):
        return " | ".join(dict.fromkeys(kind_of(document, one, depth) for one in choices))
    kind = schema.get("type", "object" if "allOf" in schema else "any")
    if kind == "array":
        return f"[{kind_of(document, schema.get('items', {}), depth + 1)}]"
    if kind == "object":
        return _object(document, schema, depth)
    if "maxLength" in schema:
        return f"{kind}, at most {schema['maxLength']}"
    return f"{kind}, {schema['minimum']}-{schema['maximum']}" if "maximum" in schema else str(kind)


def _object(document: Mapping[str, Any], schema: Mapping[str, Any], depth: int) -> str:
    names: Sequence[str] = [value.name for value in values_of(document, schema)]
    if not names or depth >= MAX_DEPTH:
        return "object"
    return f"{{{', '.join(names)}}}"


def _followed(document: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    reference = schema.get("$ref")
    if not reference:
        return schema
    found: Mapping[str, Any] = document["components"]["schemas"][reference.rpartition("/")[2]]
    return found
