"""Frozen dataclasses to JSON values and back, strictly.

What crosses a process border here (a worker's configuration, a compiled plan) is a tree of frozen
dataclasses. `encode` makes plain JSON values of it; `decode` builds the tree again and refuses anything that
does not fit: a missing or unknown field, a wrong type. A mismatch means that two processes run different
code, so it is a LinkError and names the path of the value.

Worker-safe: standard library only. Pure: no I/O, any thread. It never guesses and never converts types, but
for int where float is asked (JSON has one kind of number).
"""

import dataclasses
import types
from collections.abc import Callable, Hashable, Mapping
from functools import cache
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from bridge.errors import LinkError

T = TypeVar("T")
_SCALARS = frozenset({str, int, float, bool, type(None)})
Decoder = Callable[[Any, str], Any]
"""Takes a JSON value and the path that names it in an error."""


def encode(value: Any, without: frozenset[str] = frozenset()) -> Any:
    """JSON values of a tree of dataclasses, tuples, mappings and scalars.

    A class with a `TAG` gets it under "kind". Dataclass fields named in `without` are left out.
    """
    kind: Any = type(value)
    if kind in _SCALARS:
        return value
    if dataclasses.is_dataclass(value):
        fields = {name: encode(getattr(value, name), without) for name in _names(kind, without)}
        tag = getattr(value, "TAG", None)
        return {"kind": tag, **fields} if tag else fields
    if isinstance(value, Mapping):
        return {key: encode(item, without) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [encode(item, without) for item in value]
    return value


@cache
def _names(kind: Any, without: frozenset[str]) -> tuple[str, ...]:
    return tuple(f.name for f in dataclasses.fields(kind) if f.init and f.name not in without)


def decode(kind: type[T], data: Any, path: str = "") -> T:
    """The dataclass `kind` built from JSON values; LinkError names the path of what does not fit."""
    hint: Any = kind
    built: T = _decoder(hint)(data, path or kind.__name__)
    return built


@cache
def _decoder(hint: Hashable) -> Decoder:
    if hint is Any:
        return _anything
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return _for_dataclass(hint)
    origin = get_origin(hint)
    if origin in _BY_ORIGIN:
        return _BY_ORIGIN[origin](get_args(hint))
    return _for_scalar(hint)


def _anything(data: Any, _path: str) -> Any:
    return data


def _for_dataclass(kind: type) -> Decoder:
    decoders: dict[str, Decoder] = {}  # filled at the first use: a class may hold itself (steps within steps)
    names = {f.name for f in dataclasses.fields(kind) if f.init}
    needed = names | ({"kind"} if hasattr(kind, "TAG") else set())

    def build(data: Any, path: str) -> Any:
        if not isinstance(data, dict):
            raise LinkError(f"{path}: an object is needed, not {type(data).__name__}")
        if data.keys() != needed:
            missing, unknown = sorted(needed - data.keys()), sorted(data.keys() - needed)
            raise LinkError(f"{path}: missing {missing}, unknown {unknown}")
        if not decoders:
            hints = get_type_hints(kind)
            decoders.update({name: _decoder(hints[name]) for name in names})
        return kind(**{name: build(data[name], f"{path}.{name}") for name, build in decoders.items()})

    return build


def _for_union(members: tuple[Any, ...]) -> Decoder:
    tagged = {member.TAG: _decoder(member) for member in members if hasattr(member, "TAG")}
    plain = [_decoder(member) for member in members if not hasattr(member, "TAG")]

    def build(data: Any, path: str) -> Any:
        tag = data.get("kind") if isinstance(data, dict) else None
        if isinstance(tag, str) and tag in tagged:
            return tagged[tag](data, path)
        for decoder in plain:
            try:
                return decoder(data, path)
            except LinkError:
                continue
        raise LinkError(f"{path}: {data!r:.80} is none of the kinds allowed here")

    return build


def _for_literal(allowed: tuple[Any, ...]) -> Decoder:
    def build(data: Any, path: str) -> Any:
        if data not in allowed:
            raise LinkError(f"{path}: {data!r:.80} is not one of {allowed}")
        return data

    return build


def _for_tuple(members: tuple[Any, ...]) -> Decoder:
    """`tuple[X, ...]` and fixed ones such as `tuple[str, int]`."""
    endless = len(members) == 2 and members[1] is Ellipsis

    def build(data: Any, path: str) -> Any:
        if not isinstance(data, list) or (not endless and len(data) != len(members)):
            raise LinkError(f"{path}: a list is needed")
        kinds = [members[0]] * len(data) if endless else members
        pairs = zip(kinds, data, strict=True)
        return tuple(_decoder(kind)(item, f"{path}[{i}]") for i, (kind, item) in enumerate(pairs))

    return build


def _for_mapping(members: tuple[Any, ...]) -> Decoder:
    member = members[1]

    def build(data: Any, path: str) -> Any:
        if not isinstance(data, dict):
            raise LinkError(f"{path}: an object is needed")
        return {key: _decoder(member)(item, f"{path}.{key}") for key, item in data.items()}

    return build


def _for_scalar(kind: Any) -> Decoder:
    def build(data: Any, path: str) -> Any:
        if kind is float and type(data) is int:
            return float(data)
        if type(data) is not kind:
            raise LinkError(f"{path}: {kind.__name__} is needed, not {type(data).__name__}")
        return data

    return build


_BY_ORIGIN: dict[Any, Callable[[tuple[Any, ...]], Decoder]] = {
    Union: _for_union,
    types.UnionType: _for_union,
    Literal: _for_literal,
    tuple: _for_tuple,
    Mapping: _for_mapping,
}
