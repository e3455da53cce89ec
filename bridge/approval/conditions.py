"""One condition of a policy rule: a CEL expression, compiled once, that says true, false or "cannot tell".

    source ──compile_condition──► Condition ──holds(context)──► Held(True | False | None, why)

Nothing but a plain true or false counts: a missing argument, text where a number is expected, a division by zero, a
result that is no boolean are all None, and the policy asks a person then. What can be seen without facts (a name or a
function that does not exist, a caller's or counter's field that does not exist, which `has()` would hide) is a mistake
of the file and raises ValueError, "message | hint".

CEL by the package `common-expression-language` (cel-spec; no coercion between int, double and text). Pure; not
worker-safe. Called by policy.py.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import cel

from bridge.fieldhelp import nearest

NAMES = ("tool", "args", "risk", "caller", "agent", "hour", "weekday", "call", "counts")
"""What a condition may look at; see policy.Facts."""
CALLER_FIELDS = ("number", "verified", "verified_by", "verstat")
COUNT_SCOPES = ("call", "caller", "day")
COUNT_FIELDS = ("requests", "approved", "sums")
FUNCTIONS = frozenset(
    {"size", "contains", "startsWith", "endsWith", "matches", "int", "uint", "double", "string", "dyn"}
)
"""What this CEL can call by name on the types a fact can have."""

_TEXT = re.compile(r"""[rR]?(?:\"{3}.*?\"{3}|'{3}.*?'{3}|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')""", re.DOTALL)
_BOUND = re.compile(r"\.\s*(?:all|exists|exists_one|map|filter)\s*\(\s*([A-Za-z_]\w*)\s*,")
_OPERATOR = re.compile(r"[_@!-]")
_CALLER = re.compile(r"(?<![.\w])caller\b(?:\s*\.\s*(\w+))?")
_COUNTS = re.compile(r"(?<![.\w])counts\b(?:\s*\.\s*(\w+))?(?:\s*\.\s*(\w+))?")
_ARGUMENT = re.compile(r"(?<![.\w])args\s*\.\s*([A-Za-z_]\w*)")
MAX_WHY_CHARS = 160


@dataclass(frozen=True, slots=True)
class Held:
    """What a condition says of some facts: true, false, or None: it cannot tell, and `why`."""

    value: bool | None
    why: str


@dataclass(frozen=True, slots=True)
class Condition:
    """A compiled condition. `arguments`: the names it reads as `args.NAME`."""

    source: str
    program: Any
    arguments: frozenset[str]

    def holds(self, context: cel.Context) -> Held:
        """Judge the facts of a context (made by `context_of`). Never raises."""
        try:
            value = self.program.execute(context)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # noqa: BLE001  # also a panic of the Rust side, which is no Exception
            return Held(None, f"the condition fails: {_sentence(error)}")
        if value is True or value is False:
            return Held(value, f"{self.source} is {str(value).lower()}")
        return Held(None, f"the condition gives {_kind(value)}, which is neither true nor false")


def context_of(values: Mapping[str, Any]) -> cel.Context:
    """The facts as CEL sees them. Raises ValueError for what CEL has no type for."""
    return cel.Context(variables=dict(values))


def compile_condition(source: str) -> Condition:
    """Compile a condition. ValueError "message | hint" says what is wrong with it."""
    try:
        program = cel.compile(source)
    except ValueError as error:
        raise ValueError(
            f"not a CEL expression: {_sentence(error)} | for example: args.amount <= 50"
        ) from None
    bare = _TEXT.sub('""', source)
    for mistake in _mistakes(bare, program):
        raise ValueError(mistake)
    return Condition(source, program, frozenset(_ARGUMENT.findall(bare)))


def _mistakes(bare: str, program: Any) -> Iterator[str]:
    names = set(program.variables()) - set(_BOUND.findall(bare))
    for name in sorted(names - set(NAMES)):
        yield f"unknown name {name} | {nearest(name, NAMES)}"
    if not names:
        yield "the condition looks at nothing | leave `when` out, or look at args, caller, counts, …"
    for name in sorted(set(program.functions()) - FUNCTIONS):
        if not _OPERATOR.match(name):
            yield f"unknown function {name} | {nearest(name, FUNCTIONS)}"
    for found in _CALLER.finditer(bare):
        yield from _field("caller", found[1], CALLER_FIELDS)
    for found in _COUNTS.finditer(bare):
        yield from _field("counts", found[1], COUNT_SCOPES)
        yield from _field(f"counts.{found[1]}", found[2], COUNT_FIELDS)


def _field(of: str, name: str | None, fields: tuple[str, ...]) -> Iterator[str]:
    if name is None:
        yield f"{of} needs a field, written with a dot | {' or '.join(f'{of}.{field}' for field in fields)}"
    elif name not in fields:
        yield f"{of} has no field {name} | {nearest(name, fields)}"


def _sentence(error: BaseException) -> str:
    if isinstance(error, KeyError):
        return f"{error.args[0] if error.args else 'a field'} is missing"
    text = str(error)
    syntax = re.search(r"ERROR: <input>:\d+:(\d+): (.+)", text)
    if syntax:
        return f"at character {syntax[1]}: {syntax[2]}"[:MAX_WHY_CHARS]
    return (text.splitlines() or [type(error).__name__])[0][:MAX_WHY_CHARS]


def _kind(value: object) -> str:
    return "null" if value is None else f"a {type(value).__name__}"
