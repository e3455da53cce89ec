"""One form of a JSON value, and the hash an approval is bound to.

RFC 8785 (JSON Canonicalization Scheme) by the library `rfc8785`: two spellings of the same arguments have the same
bytes, two different ones never. What JSON cannot carry exactly (NaN, infinity, integers beyond 2**53, keys that are
no strings) is refused rather than rounded. Pure.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import rfc8785

from bridge.errors import ToolArgumentsError

MAX_DEPTH = 16
MAX_BYTES = 64 * 1024


def canonical(value: Any) -> bytes:
    """The RFC 8785 form of a JSON value. Raises ToolArgumentsError: no JSON value, too deep or too large."""
    _check(value, 0)
    try:
        text = rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, ValueError, UnicodeError) as error:
        raise ToolArgumentsError(f"the value has no exact JSON form: {error}") from error
    if len(text) > MAX_BYTES:
        raise ToolArgumentsError(f"the value is {len(text)} bytes long, {MAX_BYTES} are allowed")
    return text


def read(text: str) -> Any:
    """A JSON value that a person wrote. Raises ToolArgumentsError: it is none, or has no exact form (NaN, 1e999)."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ToolArgumentsError(f"it is not JSON: {error}") from error
    canonical(value)
    return value


def digest(value: Any) -> str:
    """SHA-256 of the canonical form, 64 hex digits."""
    return hashlib.sha256(canonical(value)).hexdigest()


def binding(
    tool: str, definition_hash: str, arguments: Mapping[str, Any], call_id: str, policy_version: str
) -> str:
    """What an approval approves: this tool in this definition with these arguments, on this call, by this policy."""
    return digest(
        {
            "arguments": dict(arguments),
            "call": call_id,
            "definition": definition_hash,
            "policy": policy_version,
            "tool": tool,
        }
    )


def _check(value: Any, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise ToolArgumentsError(f"the value is nested deeper than {MAX_DEPTH} levels")
    match value:
        case dict():
            for key, part in value.items():
                if not isinstance(key, str):
                    raise ToolArgumentsError(f"an object has the key {key!r}, which is no string")
                _check(part, depth + 1)
        case list() | tuple():
            for part in value:
                _check(part, depth + 1)
        case None | bool() | int() | float() | str():
            return
        case _:
            raise ToolArgumentsError(f"{type(value).__name__} is no JSON value")
