"""Variables in instructions and greetings: `{{ caller.number }}` and a few more.

    caller.number  caller.name  called.number  headers.X_Customer  date  time  weekday  language
    vars.NAME (set by steps of the call; given along with the wish for an outbound call)

What a caller's network sends is data (design section 5): it is cut, control and invisible characters are
removed, braces and quotes are changed, so it can neither look like a variable nor close the quotes around it.
A value that is missing becomes nothing. Put quotes around a variable in instructions and say there that it is
what the network claims.

Worker-safe: standard library only. Pure: the wall time comes in, any thread. Names are checked when the plan
is loaded (`mistakes`); `render` never fails.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime

from bridge.dialplan.facts import CallFacts

MAX_NUMBER_CHARS = 32
MAX_NAME_CHARS = 64
MAX_HEADER_CHARS = 200
MAX_VARIABLE_CHARS = 1000

_VARIABLE = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_HEADER = re.compile(r"headers\.([A-Za-z][A-Za-z0-9_]{0,63})\Z")
_CALL_VARIABLE = re.compile(r"vars\.([a-z][a-z0-9_]{0,31})\Z")
_CHANGED = str.maketrans({"{": "(", "}": ")", '"': "'", "\n": " ", "\t": " ", "\r": " "})
_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

_VALUES: Mapping[str, Callable[[CallFacts, datetime, str], str]] = {
    "caller.number": lambda facts, _now, _language: clean(facts.from_number, MAX_NUMBER_CHARS),
    "caller.name": lambda facts, _now, _language: clean(facts.from_name, MAX_NAME_CHARS),
    "called.number": lambda facts, _now, _language: clean(facts.to_number, MAX_NUMBER_CHARS),
    "date": lambda _facts, now, _language: now.date().isoformat(),
    "time": lambda _facts, now, _language: now.strftime("%H:%M"),
    "weekday": lambda _facts, now, _language: _WEEKDAYS[now.weekday()],
    "language": lambda _facts, _now, language: language,
}
NAMES = (*_VALUES, "headers.NAME", "vars.NAME")
"""What may stand between the braces; a header's dashes are written as underscores."""


def clean(text: str, max_chars: int) -> str:
    """Text from the network made harmless: visible characters only, no braces or double quotes, cut."""
    spaced = text[: 4 * max_chars].translate(_CHANGED)
    visible = "".join(char for char in spaced if unicodedata.category(char) not in _INVISIBLE)
    return " ".join(visible.split())[:max_chars]


def render(template: str, facts: CallFacts, now: datetime, language: str = "en") -> str:
    """The template with its variables replaced, once.

    `now` is the wall time at the bridge, with its time zone.
    """

    def value(found: re.Match[str]) -> str:
        name = found[1].strip()
        variable = _CALL_VARIABLE.match(name)
        if variable:
            return clean(facts.vars.get(variable[1], ""), MAX_VARIABLE_CHARS)
        header = _HEADER.match(name)
        if header:
            sent = facts.headers.get(header[1].replace("_", "-").lower(), "")
            return clean(sent, MAX_HEADER_CHARS)
        known = _VALUES.get(name)
        return known(facts, now, language) if known else ""

    return _VARIABLE.sub(value, template)


def mistakes(template: str) -> Iterable[tuple[str, str]]:
    """(wrong name or text, what is wrong with it) for everything in a template that `render` would not understand."""
    for found in _VARIABLE.finditer(template):
        name = found[1].strip()
        if name not in _VALUES and not _HEADER.match(name) and not _CALL_VARIABLE.match(name):
            yield name, "no such variable"
    rest = _VARIABLE.sub("", template)
    for mark in ("{{", "}}", "{%", "{#"):
        if mark in rest:
            yield mark, "braces that belong to no variable"
