"""Variables in instructions and greetings: `{{ caller.number }}` and a few more, and Jinja's if, for, set and filters.

    caller.number  caller.name  called.number  headers.X_Customer  vars.NAME  date  time  weekday  language

What a caller's network sends is data (design section 5), and so is what steps have collected (`vars`): it is cut,
control and invisible characters are removed, braces and quotes are changed, so it can neither look like a variable nor
close the quotes around it. A value that is missing becomes nothing. Put quotes around a variable in instructions and
say there that it is what the network claims.

    plain: only {{ name }} and {{ name.name }} ─► one regular expression      else ─► sandbox.py (Jinja, imported then)

Worker-safe: standard library only, unless a template has logic. Pure: the wall time comes in, any thread. What may be
written is checked when the plan is loaded (templatecheck.py); `render` never fails.
"""

import re
import unicodedata
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any

from bridge.dialplan.facts import CallFacts

MAX_NUMBER_CHARS = 32
MAX_NAME_CHARS = 64
MAX_HEADER_CHARS = 200
MAX_VAR_CHARS = 500

PLAIN = re.compile(r"\{\{\s*([A-Za-z][A-Za-z0-9_]{0,63}(?:\.[A-Za-z][A-Za-z0-9_]{0,63})?)\s*\}\}")
_ATTRIBUTE = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}\Z")
_CHANGED = str.maketrans({"{": "(", "}": ")", '"': "'", "\n": " ", "\t": " ", "\r": " "})
_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


@dataclass(frozen=True, slots=True)
class Scene:
    """What a template may look at.

    `now`: the wall time at the bridge, with its zone. `vars`: the call's own variables, set by steps. `note(words)` is
    told what was missing or went wrong.
    """

    facts: CallFacts
    now: datetime
    vars: Mapping[str, str] = field(default_factory=dict)
    note: Callable[[str], None] = field(default=lambda _words: None)


class AnyName:
    """Every attribute that looks like a name."""

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and _ATTRIBUTE.match(name) is not None


NAMES: Mapping[str, Container[str] | None] = MappingProxyType(
    {
        "caller": frozenset({"number", "name"}),
        "called": frozenset({"number"}),
        "headers": AnyName(),
        "vars": AnyName(),
        "date": None,
        "time": None,
        "weekday": None,
        "language": None,
    }
)
"""What may be named, with the attributes it has; None: a value by itself. A header's dashes are underscores."""


def clean(text: str, max_chars: int) -> str:
    """Text from the network made harmless: visible characters only, no braces or double quotes, cut."""
    spaced = text[: 4 * max_chars].translate(_CHANGED)
    visible = "".join(char for char in spaced if unicodedata.category(char) not in _INVISIBLE)
    return " ".join(visible.split())[:max_chars]


def is_plain(template: str) -> bool:
    """Whether there is nothing in it but text and names."""
    if "{%" in template or "{#" in template:
        return False
    return template.count("{{") == sum(1 for _ in PLAIN.finditer(template))


def render(
    template: str, scene: Scene, language: str = "en", values: Mapping[str, Any] = MappingProxyType({})
) -> str:
    """The template with its logic carried out and its names replaced, once. `values`: of a prompt's own names."""
    if "{" not in template:
        return template
    known = _Known(scene, language, values)
    if is_plain(template):
        return PLAIN.sub(lambda found: _plain(known, found[1], scene.note), template)
    from bridge.dialplan import sandbox  # noqa: PLC0415  # Jinja costs a worker 3 MB; most plans need none

    return sandbox.render(template, known, scene.note)


class _Known(Mapping[str, Any]):
    """The names of one rendering; what the network said is cleaned when it is asked for."""

    def __init__(self, scene: Scene, language: str, values: Mapping[str, Any]) -> None:
        self._scene = scene
        self._language = language
        self._values = values

    def __getitem__(self, name: str) -> Any:
        found = _VALUES.get(name)
        return found(self._scene, self._language) if found else self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter({**self._values, **_VALUES})

    def __len__(self) -> int:
        return len({**self._values, **_VALUES})


class _Cleaned(Mapping[str, str]):
    """Values from outside, each cleaned when it is asked for."""

    def __init__(self, values: Mapping[str, str], max_chars: int) -> None:
        self._values = values
        self._max_chars = max_chars

    def __getitem__(self, name: str) -> str:
        most = MAX_NUMBER_CHARS if name == "number" else self._max_chars
        return clean(str(self._values[name]), most)

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


class _Headers(_Cleaned):
    def __getitem__(self, name: str) -> str:
        return super().__getitem__(name.replace("_", "-").lower())


_VALUES: Mapping[str, Callable[[Scene, str], Any]] = {
    "caller": lambda scene, _language: _Cleaned(
        {"number": scene.facts.from_number, "name": scene.facts.from_name}, MAX_NAME_CHARS
    ),
    "called": lambda scene, _language: _Cleaned({"number": scene.facts.to_number}, MAX_NUMBER_CHARS),
    "headers": lambda scene, _language: _Headers(scene.facts.headers, MAX_HEADER_CHARS),
    "vars": lambda scene, _language: _Cleaned(scene.vars, MAX_VAR_CHARS),
    "date": lambda scene, _language: scene.now.date().isoformat(),
    "time": lambda scene, _language: scene.now.strftime("%H:%M"),
    "weekday": lambda scene, _language: _WEEKDAYS[scene.now.weekday()],
    "language": lambda _scene, language: language,
}


def warm(templates: Iterable[str]) -> None:
    """Import Jinja and compile what needs it now, so that no call waits for that: 60 ms the first time. Any thread."""
    logic = [one for one in templates if not is_plain(one)]
    if logic:
        from bridge.dialplan import sandbox  # noqa: PLC0415  # as in render

        sandbox.warm(logic)


def _plain(known: Mapping[str, Any], name: str, note: Callable[[str], None]) -> str:
    root, _, attribute = name.partition(".")
    value = known.get(root, "")
    if isinstance(value, Mapping):
        value = value.get(attribute, "") if attribute else ""
        if not value and root in {"headers", "vars"}:
            note(f"{name} is missing")
    elif attribute:
        return ""
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else _word(value)


def _word(value: Any) -> str:
    return "" if value is None else str(value)
