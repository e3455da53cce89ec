"""JSON of large values a piece at a time, so that other threads of a process get their turn in between.

Python's JSON is C that holds the interpreter's lock until it is done: 15 ms for a plan of 5,000 routes, and the media
clock of a worker waits. Here the members of an object, and the items of lists in it, are each a piece of their own.

Pure: no I/O, any thread. Worker-safe: standard library only. Called by bridge/dialplan/plan.py.
"""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from bridge.errors import LinkError
from bridge.strictjson import decode

T = TypeVar("T")
_SPACE = " \t\r\n"
_parse = json.JSONDecoder().raw_decode


def digest(content: Mapping[str, Any]) -> str:
    """SHA-256, in hex, of the JSON of an object: keys sorted, no spaces."""
    whole = hashlib.sha256()
    for number, key in enumerate(sorted(content)):
        whole.update(("," if number else "{").encode() + json.dumps(key).encode() + b":")
        value = content[key]
        if isinstance(value, list):
            for at, item in enumerate(value):
                whole.update((b"," if at else b"[") + _dumped(item))
            whole.update(b"]" if value else b"[]")
        else:
            whole.update(_dumped(value))
    whole.update(b"}" if content else b"{}")
    return whole.hexdigest()


def decode_text(kind: type[T], text: str, path: str) -> T:
    """`decode` (strictjson.py) of JSON text. LinkError: it is none, or does not fit."""
    try:
        built: T = _decode(kind, text, path)
    except (ValueError, IndexError, RecursionError) as error:
        raise LinkError(f"the {path} is not JSON: {error}") from None
    return built


def _decode(kind: Any, text: str, path: str) -> Any:
    hints, values = get_type_hints(kind), {}
    at = _past(text, 0, "{")
    while text[at] != "}":
        key, at = _parse(text, at)
        at = _past(text, at, ":")
        hint = hints.get(key)
        if hint is None:
            raise LinkError(f"{path}: unknown {str(key)[:40]!r}")
        if text[at] == "[" and get_origin(hint) is tuple and get_args(hint)[1:] == (Ellipsis,):
            values[key], at = _items(get_args(hint)[0], text, at, f"{path}.{key}")
        else:
            value, at = _parse(text, at)
            values[key] = decode(hint, value, f"{path}.{key}")
        at = _next(text, at, "}")
    if _past(text, at, "}") != len(text):
        raise ValueError("something follows")
    missing = sorted({field.name for field in dataclasses.fields(kind)} - values.keys())
    if missing:
        raise LinkError(f"{path}: missing {missing}")
    return kind(**values)


def _items(kind: Any, text: str, at: int, path: str) -> tuple[tuple[Any, ...], int]:
    """A list at `at`, its items decoded one by one, and where it ends."""
    items: list[Any] = []
    at = _past(text, at, "[")
    while text[at] != "]":
        item, at = _parse(text, at)
        items.append(decode(kind, item, f"{path}[{len(items)}]"))
        at = _next(text, at, "]")
    return tuple(items), _past(text, at, "]")


def _next(text: str, at: int, end: str) -> int:
    """Past the comma between two members; at the end, where that is."""
    at = _skip(text, at)
    if text[at] == end:
        return at
    at = _past(text, at, ",")
    if text[at] == end:
        raise ValueError(f"a comma before {end}")
    return at


def _past(text: str, at: int, mark: str) -> int:
    at = _skip(text, at)
    if text[at] != mark:
        raise ValueError(f"{mark} is missing at {at}")
    return _skip(text, at + 1)


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in _SPACE:
        at += 1
    return at


def _dumped(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
