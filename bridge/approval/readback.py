"""The question a caller is asked before something happens, with the arguments in it: exactly what would be done.

A value that cannot be said whole (a list, a very long text, one that is missing) makes the question impossible: a
caller must not confirm less than what is executed. The text of an argument comes from a model and cannot change the
question: one line, no braces, no control characters. Pure; called by policy.py.
"""

import re
from collections.abc import Mapping
from typing import Any

MAX_VALUE_CHARS = 120
_PLACE = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
_UNSAID = re.compile(r"[^\w .,:+\-@'/#&%]")


def places(question: str) -> tuple[str, ...]:
    """The arguments a question reads back. ValueError "message | hint": a brace that is no `{argument}`."""
    if re.search(r"[{}]", _PLACE.sub("", question)):
        raise ValueError("a brace that is no {argument} | write the name of an argument in braces: {amount}")
    return tuple(dict.fromkeys(_PLACE.findall(question)))


def fill(question: str, arguments: Mapping[str, Any]) -> str:
    """The question as it is asked. ValueError says which argument cannot be read back."""
    return _PLACE.sub(lambda place: _spoken(place[1], arguments), question)


def _spoken(name: str, arguments: Mapping[str, Any]) -> str:
    value = arguments.get(name)
    match value:
        case None:
            raise ValueError(f"{name} is missing and cannot be read back")
        case bool():
            return "yes" if value else "no"
        case int() | float():
            return _number(value)
        case str():
            text = " ".join(_UNSAID.sub(" ", value).split())
        case _:
            raise ValueError(f"{name} is a list or object and cannot be read back")
    if not text or len(value) > MAX_VALUE_CHARS:
        raise ValueError(f"{name} is empty or too long to be read back")
    return text


def _number(value: float) -> str:
    """40 dollars, 40.50 dollars; never rounded: 0.125 stays as it is."""
    if value == int(value):
        return str(int(value))
    cents = f"{value:.2f}"
    return cents if float(cents) == value else repr(value)
