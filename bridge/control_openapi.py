"""The OpenAPI 3.1 description of the API, made from the routes themselves: what no route has is not in it.

    GET /api/v1/openapi.json       `sipbridge api schema`       /console/api

Every route brings its words (control_api_docs.Doc); method, path, role and bounds are those it works with. Dataclasses
in the schemas become components, by pydantic. Pure.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import is_dataclass
from http import HTTPStatus
from typing import Any

from pydantic import TypeAdapter
from starlette.routing import BaseRoute

from bridge import __version__
from bridge.approval.request import MAY
from bridge.control_api import ApiRoute, Call, Terms, get
from bridge.control_api_docs import Doc, thing

PATH = "/api/v1/openapi.json"
BASE = "/api/v1/"
ALWAYS = (401, 403, 429, 500, 503, 504)
WITH_BODY = (400, 413, 415)
_SHAPES = "#/components/schemas/"
_PLACE = re.compile(r"{(\w+)}")
ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {"error": {"type": "string", "description": "A sentence: what is wrong, and what to do."}},
}
ABOUT = (
    "Everything goes through the same rules as the dialplan and the console: a target is a name of `transfers`, a "
    "number goes through `outbound`, a tool through the gate. Times are unix seconds. Who may not see personal data "
    "gets numbers as `***45` and no words."
)


def openapi_route(routes: Sequence[BaseRoute]) -> ApiRoute:
    """The route that describes these and itself."""
    document: dict[str, Any] = {}

    async def answer(_call: Call) -> Mapping[str, Any]:
        return document

    said = Doc("This description.", thing({"openapi": {"type": "string"}, "paths": {"type": "object"}}))
    route = get(PATH, "look", answer, said)
    document |= described([*routes, route])
    return route


def described(routes: Sequence[BaseRoute]) -> dict[str, Any]:
    """The document. Routes of something else than the API are left out."""
    shapes = _Shapes()
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        if isinstance(route, ApiRoute):
            paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, shapes)
    return {
        "openapi": "3.1.0",
        "info": {"title": "sipbridge", "version": __version__, "description": ABOUT},
        "servers": [{"url": "/"}],
        "security": [{"token": []}],
        "tags": [{"name": name} for name in sorted({tag_of(path) for path in paths})],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "sipbridge users token NAME"}
            },
            "schemas": {"Error": ERROR, **shapes.found},
        },
    }


def tag_of(path: str) -> str:
    """The first word after the version: such as calls or dialplan."""
    return path.removeprefix(BASE).partition("/")[0].partition(".")[0]


def name_of(method: str, path: str) -> str:
    """The operation's id: get_calls_id, post_calls_id_hang_up."""
    return f"{method.lower()}_{re.sub(r'[^A-Za-z0-9]+', '_', path.removeprefix(BASE)).strip('_')}"


class _Shapes:
    """`found`: the components that were named so far."""

    def __init__(self) -> None:
        self.found: dict[str, Any] = {}

    def resolved(self, schema: Any) -> Any:
        """A schema without dataclasses in it."""
        if is_dataclass(schema) and isinstance(schema, type):
            return self._named(schema)
        if isinstance(schema, Mapping):
            return {key: self.resolved(value) for key, value in schema.items()}
        return [self.resolved(one) for one in schema] if isinstance(schema, list | tuple) else schema

    def _named(self, of: type) -> dict[str, str]:
        if of.__name__ not in self.found:
            made = TypeAdapter(of).json_schema(mode="serialization", ref_template=f"{_SHAPES}{{model}}")
            parts = made.pop("$defs", {})
            self.found |= {name: _plain(part) for name, part in {**parts, of.__name__: made}.items()}
        return {"$ref": f"{_SHAPES}{of.__name__}"}


def _plain(schema: Any) -> Any:
    """Without the titles that pydantic makes of names."""
    if not isinstance(schema, dict):
        return [_plain(one) for one in schema] if isinstance(schema, list) else schema
    return {
        key: {name: _plain(one) for name, one in value.items()} if key == "properties" else _plain(value)
        for key, value in schema.items()
        if key not in {"title", "default"}
    }


def _operation(route: ApiRoute, shapes: _Shapes) -> dict[str, Any]:
    doc, terms = route.doc, route.terms
    roles = ", ".join(sorted(MAY[route.may]))
    found: dict[str, Any] = {
        "operationId": name_of(route.method, route.path),
        "tags": [tag_of(route.path)],
        "summary": doc.summary,
        "description": f"{doc.details}\n\nRoles: {roles}.".strip(),
        "x-right": route.may,
        "responses": _answers(route, shapes),
    }
    if parameters := _parameters(route, shapes):
        found["parameters"] = parameters
    if route.method == "POST" and (doc.body is not None or terms.content != Terms().content):
        schema = {"type": "string"} if doc.body is None else shapes.resolved(doc.body)
        required = bool(schema.get("required")) or doc.body is None
        found["requestBody"] = {"required": required, "content": {terms.content: {"schema": schema}}}
        found["description"] += f" A body has at most {terms.max_body:,} bytes."
    return found


def _parameters(route: ApiRoute, shapes: _Shapes) -> list[dict[str, Any]]:
    places = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        for name in _PLACE.findall(route.path)
    ]
    asked = [
        {
            "name": name,
            "in": "query",
            "required": bool(isinstance(schema, Mapping) and schema.get("x-required")),
            "schema": shapes.resolved(schema),
        }
        for name, schema in route.doc.query.items()
    ]
    return places + asked


def _answers(route: ApiRoute, shapes: _Shapes) -> dict[str, Any]:
    doc = route.doc
    good = {doc.media: {"schema": shapes.resolved(doc.answer)}}
    found = {str(route.terms.status): {"description": "Done.", "content": good}}
    refused = {"application/json": {"schema": {"$ref": f"{_SHAPES}Error"}}}
    bad = {*ALWAYS, *doc.refuses, *(WITH_BODY if route.method == "POST" else ())}
    bad |= {404} if _PLACE.search(route.path) else set()  # a slash in it, and it is no such path
    for status in sorted(bad):
        found[str(status)] = {"description": HTTPStatus(status).phrase, "content": refused}
    return found
