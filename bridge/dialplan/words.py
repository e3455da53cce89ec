"""Steps, conditions and agents in words a person reads: for `dialplan test`, `diff`, `graph` and `simulate`.

Written over the fields of the dataclasses, so that a new kind of step has words without a change here. Pure.
"""

from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import PurePath
from typing import Any

from bridge.dialplan.explain import wanted
from bridge.dialplan.facts import HEADER, Condition
from bridge.dialplan.steps import Step, branches

SILENT = frozenset({"prompt_id", "language"})
"""Fields that say nothing to a person beside the others."""
PROMPTS = "prompts"
"""The field of steps that play something before they do what they are for: no branch, but part of the step."""
CONDITION_WORDS = {"to": "to", "from": "from", "hours": "within", "outside": "outside"}
MAX_PATTERNS = 4


def details(step: Step) -> Iterator[tuple[str, str]]:
    """The settings of a step but for the steps inside it: ("text", "We are closed."), ("ms", "2000")."""
    inside = {name.partition(".")[0] for name, _ in ways(step)}
    for field in fields(step):
        value = getattr(step, field.name)
        if field.name == PROMPTS and value:
            yield field.name, " ".join(said for one in value for _, said in details(one))
            continue
        if field.name in inside or field.name in SILENT or value is None or value in ("", (), {}):
            continue
        yield field.name, PurePath(value).name if field.name == "path" else plain(value)


def ways(step: Step) -> Iterator[tuple[str, tuple[Step, ...]]]:
    """Where the call may go from a step: its branches, but for what it plays itself."""
    return ((name, inner) for name, inner in branches(step) if name != PROMPTS)


def plain(value: Any) -> str:
    """A value as one line."""
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {plain(one)}" for key, one in value.items())
    if isinstance(value, tuple | list | frozenset):
        return ", ".join(plain(one) for one in value)
    if hasattr(value, "__dataclass_fields__"):
        return ", ".join(f"{one.name}: {plain(getattr(value, one.name))}" for one in fields(value))
    return " ".join(str(value).split())


def label(step: Step) -> str:
    """A step in one line: `say: We are closed.`, `hang_up: 503, Service Unavailable`, `ring: 2000`."""
    said = ", ".join(value for _, value in details(step))
    return f"{step.TAG}: {said}" if said else step.TAG


def condition(one: Condition) -> str:
    """A condition in one line: `to 100 or +4930*`, `X-Lang is de`, `within office`."""
    field = one.field
    if field in {"number", "percent", "capacity", "not"}:
        return wanted(one)
    name = f"{field.removeprefix(HEADER)}:" if field.startswith(HEADER) else CONDITION_WORDS.get(field, field)
    return f"{name} {any_of([plain(pattern) for pattern in one.patterns])}"


def any_of(names: list[str]) -> str:
    """`a, b or c`, and no more than a few of them."""
    shown = names[:MAX_PATTERNS]
    more = f" (and {len(names) - len(shown)} more)" if len(names) > len(shown) else ""
    return f"{', '.join(shown[:-1])} or {shown[-1]}{more}" if len(shown) > 1 else f"{''.join(shown)}{more}"


def outline(steps: tuple[Step, ...], indent: str = "") -> Iterator[str]:
    """Steps as lines, those inside others indented below the branch that leads there."""
    for step in steps:
        yield f"{indent}- {label(step)}"
        for name, inner in ways(step):
            yield f"{indent}  {name}:"
            yield from outline(inner, f"{indent}    ")
