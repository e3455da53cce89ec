"""The JSON Schema of dialplan files, for editors: dialplans/schema.json is made from here.

An editor completes and checks by it when a file begins with `# yaml-language-server: $schema=schema.json`. It accepts
what the loader accepts; what needs two places of a plan to be judged only the loader refuses.

Not worker-safe (pydantic). Pure. Called by `sipbridge dialplan schema`.
"""

from collections.abc import Mapping
from typing import Any

from bridge.dialplan.schema import Dialplan
from bridge.dialplan.textvars import LITERAL_KEYS

CONSTANT = "ConstantInText"
_ANNOTATIONS = ("title", "description", "default", "examples")
_CLOSED = frozenset({"integer", "number", "boolean"})


def editor_schema() -> dict[str, Any]:
    """Draft 2020-12. Where a number, a word of a few or a text of some form stands, `${name}` may stand too."""
    body = Dialplan.model_json_schema(by_alias=True)
    top = body["properties"]
    body["properties"] = {
        key: value if key in LITERAL_KEYS else _with_constants(value) for key, value in top.items()
    }
    body["$defs"] = {name: _with_constants(value) for name, value in body["$defs"].items()}
    body["$defs"][CONSTANT] = {
        "description": "A constant of `vars`: ${name}.",
        "pattern": r"\$\{[^{}]+\}",
        "type": "string",
    }
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **body}


def _with_constants(node: Any) -> Any:
    if isinstance(node, list):
        return [_with_constants(one) for one in node]
    if not isinstance(node, Mapping):
        return node
    if _takes_only_some_texts(node):
        told = {key: node[key] for key in _ANNOTATIONS if key in node}
        plain = {key: value for key, value in node.items() if key not in told}
        return {**told, "anyOf": [plain, {"$ref": f"#/$defs/{CONSTANT}"}]}
    closed = {"additionalProperties": False} if "patternProperties" in node else {}
    return {**closed, **{key: _part(key, value) for key, value in node.items()}}


def _part(keyword: str, value: Any) -> Any:
    if keyword in _MAPS:
        return {name: _with_constants(one) for name, one in value.items()}
    return _with_constants(value) if keyword in _SCHEMAS else value


_MAPS = frozenset({"properties", "patternProperties"})
_SCHEMAS = frozenset({"items", "additionalProperties", "anyOf", "oneOf", "allOf"})
"""Keywords whose values are schemas, or lists of them."""


def _takes_only_some_texts(node: Mapping[str, Any]) -> bool:
    kind = node.get("type")
    if isinstance(kind, list):  # of several types, text among them
        return False
    if kind in _CLOSED or "enum" in node:
        return True
    return kind == "string" and "pattern" in node
