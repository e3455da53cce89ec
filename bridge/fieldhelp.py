"""Words for what pydantic finds.

What is wrong with a value, what is allowed there, which key was probably meant.

Pure: no I/O, any thread. Called by bridge/yamlfile.py only. Not worker-safe (pydantic). It never prints the
value of a key that may be a secret: values appear only when they are numbers or short words that stand where
a fixed set is allowed.
"""

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel

from bridge.errors import Problem

MAX_SHOWN = 40
"""Characters of a wrong value that are repeated in a message."""

MISSING = "this key is needed"

Words = tuple[str, str]
"""Message and hint."""


def explain(detail: Mapping[str, Any], model: type[BaseModel], text: str | None) -> Words:
    """Message and hint for one entry of `ValidationError.errors()`.

    `text` is the scalar as written, if it is one.
    """
    kind = detail["type"]
    context = detail.get("ctx", {})
    if kind == "extra_forbidden":
        *parents, key = detail["loc"]
        allowed = nearest(str(key), allowed_keys(model, parents))
        return "unknown key", _elsewhere(model, parents, str(key)) or allowed or "remove it"
    if kind == "string_type" and text is not None and not isinstance(detail["input"], (dict, list)):
        shown = text[:MAX_SHOWN]
        return "text is needed", f'YAML reads {shown} as something else: write "{shown}" in quotes'
    if kind in _CHOICES:
        return _choice(context.get(_CHOICES[kind], ""), detail["input"], str(context.get("tag", "")))
    if kind == "value_error":
        message, _, hint = str(context["error"]).partition(" | ")
        return message, hint
    words = _WORDS.get(kind)
    message = words(context) if words else str(detail["msg"]).lower()
    if kind == "bool_type" and text is not None and text.lower() in _YES_AND_NO:
        return message, f"write {_YES_AND_NO[text.lower()]}"
    written = _as_mapping(model, detail["loc"]) if kind == "model_type" else ""
    loc = detail["loc"]
    told = description(model, loc) or _HINTS.get(kind, "") or description(model, loc[:-1])
    return message, written or told


def _elsewhere(model: type[BaseModel], parents: Sequence[str | int], key: str) -> str:
    """Where a key belongs that only has too many or too few spaces before it; "" when that is not clear."""
    *above, last = parents or ("",)
    given, key = key, _MEANT.get(key, key)
    if last in (outer := allowed_keys(model, above)) and key in outer:
        return f"{key} stands beside {last}, not in it: fewer spaces before it"
    here = allowed_keys(model, parents)
    if key != given and key in here:
        return f"did you mean {key}?"
    if difflib.get_close_matches(key.lower(), here, n=1):
        return ""
    homes = [name for name in here if key in allowed_keys(model, [*parents, name])]
    return f"{key} belongs in {' or '.join(homes)}: more spaces before it" if 1 <= len(homes) <= 2 else ""


def _as_mapping(model: type[BaseModel], path: Sequence[str | int]) -> str:
    """How the mapping at `path` is written: `ring: {ms: …}`; "" for an entry of a list."""
    hints: list[Any] = [model]
    for part in path:
        hints = _below(hints, part)
    models = _models(hints)
    if len(models) != 1 or not path or isinstance(path[-1], int):
        return ""
    fields = models[0].model_fields
    needed = [name for name, info in fields.items() if info.is_required()] or [*fields][:1]
    return f"{path[-1]}: {{{', '.join(f'{name}: …' for name in needed)}}}" if needed else f"{path[-1]}: {{}}"


def description(model: type[BaseModel], path: Sequence[str | int]) -> str:
    """What the schema says of the key at `path` below `model`; "" when that is not known."""
    path = path[:-2] if path[-1:] == ("[key]",) else path  # of a mapping whose keys have a form
    while path and isinstance(path[-1], int):
        path = path[:-1]
    *parents, key = path or [""]
    hints: list[Any] = [model]
    for part in parents:
        hints = _below(hints, part)
    told = (
        info.description
        for found in _models(hints)
        for name, info in found.model_fields.items()
        if key in {name, info.alias} and info.description
    )
    return next(told, "").rstrip(".")


def once(problems: Sequence[Problem]) -> list[Problem]:
    """Without those that say that a key is missing where an unknown key was meant to be it."""
    meant = {(problem.file, problem.key.rpartition(".")[0], problem.hint) for problem in problems}

    def is_echo(problem: Problem) -> bool:
        parent, _, name = problem.key.rpartition(".")
        return problem.message == MISSING and (problem.file, parent, f"did you mean {name}?") in meant

    return [problem for problem in problems if not is_echo(problem)]


def nearest(word: str, allowed: Iterable[str]) -> str:
    """A hint: the likely meant name, else all of them (at most 20)."""
    names = sorted(set(allowed))
    close = difflib.get_close_matches(word.lower(), names, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]}?"
    return f"allowed: {', '.join(names[:20])}{', …' if len(names) > 20 else ''}" if names else ""


def allowed_keys(model: type[BaseModel], path: Sequence[str | int]) -> list[str]:
    """The keys of the mapping at `path` below `model`; `path` may hold the tags of tagged unions."""
    hints: list[Any] = [model]
    for part in path:
        hints = _below(hints, part)
    return [name for found in _models(hints) for name in _names(found)]


def _names(model: type[BaseModel]) -> list[str]:
    return [info.alias or name for name, info in model.model_fields.items()]


def _below(hints: list[Any], part: str | int) -> list[Any]:
    models = _models(hints)
    fields = [
        info.annotation
        for model in models
        for name, info in model.model_fields.items()
        if part in {name, info.alias}
    ]
    if fields:
        return fields
    tagged = [model for model in models if part in _tags(model)]
    if tagged:
        return list(tagged)
    members = [get_args(hint)[-1] for hint in _flat(hints) if get_origin(hint) in {list, dict}]
    return members or list(models)


def _tags(model: type[BaseModel]) -> tuple[Any, ...]:
    info = model.model_fields.get("type")
    return get_args(info.annotation) if info and get_origin(info.annotation) is Literal else ()


def _models(hints: list[Any]) -> list[type[BaseModel]]:
    return [hint for hint in _flat(hints) if isinstance(hint, type) and issubclass(hint, BaseModel)]


def _flat(hints: list[Any]) -> list[Any]:
    """Unions and Annotated taken apart; lists and dicts kept."""
    flat: list[Any] = []
    for hint in hints:
        origin = get_origin(hint)
        if origin is None or origin in {list, dict, Literal}:
            flat.append(hint)
        else:
            flat += _flat([get_args(hint)[0]] if origin is Annotated else list(get_args(hint)))
    return flat


def _choice(expected: str, given: Any, tag: str) -> Words:
    allowed = expected.replace("'", "").replace(" or ", ", ")
    if isinstance(given, str) and not tag and given in allowed.split(", ") and f"'{given}'" not in expected:
        return f"allowed: {allowed}", f"write {given} without quotes"
    word = tag or (given if isinstance(given, str) else "")
    message = f"allowed: {allowed}"
    if word and isinstance(word, str):
        close = difflib.get_close_matches(word.lower(), [name.lower() for name in allowed.split(", ")], n=1)
        hint = f"did you mean {close[0]}?" if close else "choose one of them"
        return f"{word[:MAX_SHOWN]} is not allowed here, {message}", hint
    return message, "" if "," in allowed else f"write {allowed}"


def _entries(count: int) -> str:
    return "1 entry" if count == 1 else f"{count} entries"


_YES_AND_NO = {"yes": "true", "on": "true", "y": "true", "no": "false", "off": "false", "n": "false"}
"""What YAML 1.1 took for true and false."""

_CHOICES = {"literal_error": "expected", "union_tag_invalid": "expected_tags", "enum": "expected"}

_MEANT = {
    **dict.fromkeys(("default", "else", "otherwise", "fallback", "on_error", "on_failure"), "or_else"),
    **dict.fromkeys(("wait", "sleep", "pause", "delay"), "hold"),
    **dict.fromkeys(("forward", "bridge", "connect", "call"), "dial"),
    **dict.fromkeys(("goto", "jump", "gosub", "run"), "go"),
    **dict.fromkeys(("record", "message"), "voicemail"),
    **dict.fromkeys(("gather", "input", "dtmf"), "collect"),
    **dict.fromkeys(("busy", "decline", "deny"), "reject"),
    **dict.fromkeys(("if", "case"), "switch"),
    "ivr": "menu",
}
"""What other systems call the keys of a dialplan."""

_HINTS = {
    "too_short": "write one, or leave the key out",
    "model_type": "lines such as key: value",
    "dict_type": "lines such as key: value",
    "list_type": "each entry begins with -",
}
"""Where the schema describes nothing."""

_WORDS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "missing": lambda _: MISSING,
    "string_type": lambda _: "text is needed",
    "int_type": lambda _: "a whole number is needed",
    "int_from_float": lambda _: "a whole number is needed",
    "float_type": lambda _: "a number is needed",
    "bool_type": lambda _: "true or false is needed",
    "list_type": lambda _: "a list is needed",
    "dict_type": lambda _: "a mapping (key: value) is needed",
    "model_type": lambda _: "a mapping (key: value) is needed",
    "model_attributes_type": lambda _: "a mapping (key: value) is needed",
    "union_tag_not_found": lambda context: (
        "the key " + str(context["discriminator"]).strip("'") + " is needed"
    ),
    "greater_than_equal": lambda context: f"must be at least {context['ge']}",
    "greater_than": lambda context: f"must be more than {context['gt']}",
    "less_than_equal": lambda context: f"must be at most {context['le']}",
    "less_than": lambda context: f"must be less than {context['lt']:g}",
    "finite_number": lambda _: "a finite number is needed",
    "string_too_short": lambda _: "must not be empty",
    "string_too_long": lambda context: f"has more than {context['max_length']} characters",
    "too_short": lambda context: f"needs at least {_entries(context['min_length'])}",
    "too_long": lambda context: f"has more than {_entries(context['max_length'])}",
    "string_pattern_mismatch": lambda context: f"must match {context['pattern']}",
}
