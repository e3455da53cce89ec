"""Templates with logic (Jinja), in a box: what may be written, and a rendering that never fails, runs away or explodes.

    text ──templatecheck.mistakes──► [(line, what, hint)]      at load: only listed nodes, names, filters, tests
    text ──render(values, note)──► text                        in a call: what goes wrong becomes nothing, and a note

Two walls. The first is a list of what a template may hold (templatecheck.py): no attribute but of the known names, no
call but range(), no macro, import or include, so there is no way to an object's inside. The second, here, is Jinja's
ImmutableSandboxedEnvironment with every operator, filter and test of ours: each knows its bounds (MAX_RANGE, MAX_LOOPS
over all loops, MAX_TEXT_CHARS a value, MAX_OUTPUT_CHARS the whole). Values from the network are cleaned before, by
variables.py.

Worker-safe; imported when the first template with logic is met (3 MB, 15 ms). Pure but for a cache of compiled
templates. `include` is not known here: promptfile.py puts snippets into the text at load.
"""

import contextlib
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache, reduce
from itertools import islice
from typing import Any

from jinja2 import Template, Undefined, nodes, pass_context
from jinja2.runtime import Context, LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

MAX_OUTPUT_CHARS = 200_000
MAX_TEXT_CHARS = 20_000
"""Of one value that a filter or an operator makes."""
MAX_RANGE = 100
MAX_LOOPS = 1000
"""Rounds of all loops together."""
MAX_NUMBER = 1e15
KEPT = 256
"""Compiled templates."""

Note = Callable[[str], None]

LOOP_NAMES = frozenset({"index", "index0", "first", "last"})
_NOTE, _LEFT = " note", " left"  # names that no template can write
_ORDERS = {"lt": operator.lt, "lteq": operator.le, "gt": operator.gt, "gteq": operator.ge}


# ---- filters, tests and operators that know their bounds ---------------------------------------------------------


def _text(value: Any) -> str:
    """Of a list only what is no list itself: lists of lists of lists would never end."""
    if isinstance(value, (list, tuple, range)):
        return _join([one for one in _list(value) if not isinstance(one, (list, tuple, range))], ", ")
    return str(value)[:MAX_TEXT_CHARS] if isinstance(value, (str, int, float, Undefined)) else ""


def _list(value: Any) -> list[Any]:
    return list(islice(value, MAX_LOOPS)) if isinstance(value, (list, tuple, range, str)) else []


def _number(value: Any, default: float = 0) -> float | int:
    try:
        found = float(str(value)[:40].strip())
    except ValueError:
        return default
    return found if abs(found) <= MAX_NUMBER else default


def _int(value: Any, default: Any = 0) -> int:
    return int(_number(value, _number(default)))


def _default(value: Any, other: Any = "", boolean: Any = True) -> Any:  # Jinja's signature
    empty = isinstance(value, Undefined) or (boolean and not value)
    return other if empty else value


def _replace(value: Any, old: Any, new: Any = "") -> str:
    text, old, new = _text(value), _text(old), _text(new)
    if not old or len(text) * max(len(new), 1) > 50 * MAX_TEXT_CHARS:
        return text
    return text.replace(old, new)[:MAX_TEXT_CHARS]


def _join(value: Any, between: Any = "") -> str:
    parts, room = [], MAX_TEXT_CHARS
    for part in _list(value):
        parts.append(_text(part)[: max(room, 0)])
        room -= len(parts[-1]) + len(_text(between))
    return _text(_text(between)[:100].join(parts))


def _length(value: Any) -> int:
    return len(value) if isinstance(value, (list, tuple, range, str)) else 0


def _first(value: Any) -> Any:
    return next(iter(_list(value)), "")


def _last(value: Any) -> Any:
    found = _list(value)
    return found[-1] if found else ""


def _digits(value: Any) -> str:
    """Each character for itself, so that a number is read digit by digit."""
    return " ".join(_text(value)[: MAX_TEXT_CHARS // 2])


FILTERS: Mapping[str, Callable[..., Any]] = {
    "default": _default, "d": _default, "upper": lambda value: _text(value).upper(),
    "lower": lambda value: _text(value).lower(), "title": lambda value: _text(value).title(),
    "capitalize": lambda value: _text(value).capitalize(), "trim": lambda value: _text(value).strip(),
    "replace": _replace, "join": _join, "length": _length, "first": _first, "last": _last, "int": _int,
    "float": _number, "string": _text, "digits": _digits,
}  # fmt: skip
"""What may follow a `|`. None of them raises, none makes more than MAX_TEXT_CHARS."""
TESTS: Mapping[str, Callable[..., bool]] = {
    "defined": lambda value: not isinstance(value, Undefined),
    "undefined": lambda value: isinstance(value, Undefined),
    "none": lambda value: value is None or isinstance(value, Undefined),
    "number": lambda value: type(value) in {int, float},
    "string": lambda value: type(value) is str,
    "true": lambda value: value is True,
    "false": lambda value: value is False,
}


def _arithmetic(name: str, left: Any, right: Any) -> Any:
    numbers = type(left) in {int, float, bool} and type(right) in {int, float, bool}
    if name == "+" and type(left) is str and type(right) is str:
        return (left + right)[:MAX_TEXT_CHARS]
    if not numbers or name not in _OPERATORS or (name == "/" and not right):
        return None
    found = _OPERATORS[name](left, right)
    return found if abs(found) <= MAX_NUMBER else None


_OPERATORS = {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv}


def _order(name: str) -> Callable[..., bool]:
    def holds(context: Context, left: Any, right: Any) -> bool:
        if isinstance(left, Undefined) or isinstance(right, Undefined):
            return False
        try:
            return bool(_ORDERS[name](left, right))
        except TypeError:
            _tell(context, "two values of different kinds cannot be compared: use | int")
            return False

    return pass_context(holds)


@pass_context
def _contains(context: Context, value: Any, where: Any) -> bool:
    try:
        return value in where
    except TypeError:
        _tell(context, "`in` needs a text or a list")
        return False


@pass_context
def _rounds(context: Context, value: Any) -> Iterator[Any]:
    """What a loop runs over, as long as there are rounds left."""
    left: list[int] = context[_LEFT]
    for one in _list(value):
        if not left[0]:
            _tell(context, f"the loops were ended after {MAX_LOOPS} rounds")
            return
        left[0] -= 1
        yield one


@pass_context
def _shown(context: Context, value: Any) -> str:
    """A value in the text."""
    if isinstance(value, Undefined):
        _tell(context, f"{str(value._undefined_name)[:40]} is missing")  # noqa: SLF001  # Jinja's way to say it
        return ""
    return _text(value)


def _range(*given: Any) -> range:
    numbers = [_int(one) for one in given[:2]]
    start, stop = (numbers[0], numbers[1]) if len(numbers) > 1 else (0, *numbers, 0)[:2]
    return range(start, min(stop, start + MAX_RANGE))


def _tell(context: Context, words: str) -> None:
    context[_NOTE](words)


# ---- the box -----------------------------------------------------------------------------------------------------


class _Box(ImmutableSandboxedEnvironment):
    intercepted_binops = frozenset({"+", "-", "*", "/", "//", "%", "**"})

    def __init__(self) -> None:
        super().__init__(
            finalize=_shown,
            optimized=False,
            cache_size=0,
            keep_trailing_newline=True,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self.globals = {"range": _range}
        self.filters = {**FILTERS, " rounds": _rounds}
        self.tests = {**TESTS, **{f" {name}": _order(name) for name in _ORDERS}, " in": _contains}

    def getattr(self, obj: Any, attribute: str) -> Any:
        """Values of the known names, and a loop's few facts. Nothing else has attributes here."""
        if isinstance(obj, Mapping):
            return obj.get(attribute) or self.undefined(name=attribute)
        if isinstance(obj, LoopContext) and attribute in LOOP_NAMES:
            return getattr(obj, attribute)
        return self.undefined(name=attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """There are no items."""
        del obj
        return self.undefined(name=str(argument)[:40])

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Numbers, and texts that are joined; anything else is nothing."""
        found = _arithmetic(operator, left, right)
        if found is None:
            _tell(context, f"{operator} is not possible with these values")
            return self.undefined(name=operator)
        return found

    def call_unop(self, context: Context, operator: str, arg: Any) -> Any:
        """A number's sign."""
        del context
        return -arg if operator == "-" and type(arg) in {int, float} else self.undefined(name=operator)

    def is_safe_callable(self, obj: Any) -> bool:
        """Only range."""
        return obj is _range

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """None."""
        del obj, attr, value
        return False


class _Total(NodeTransformer):
    """Loops count their rounds, comparisons cannot fail."""

    def visit_For(self, node: nodes.For) -> nodes.Node:  # noqa: N802  # Jinja's name
        self.generic_visit(node)
        node.iter = nodes.Filter(node.iter, " rounds", [], [], None, None, lineno=node.lineno)
        return node

    def visit_Compare(self, node: nodes.Compare) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        left = node.expr
        held: list[nodes.Expr] = []
        for one in node.ops:
            held.append(_compared(left, one.op, one.expr, node.lineno))
            left = one.expr
        return reduce(lambda whole, more: nodes.And(whole, more, lineno=node.lineno), held)


def _compared(left: nodes.Expr, name: str, right: nodes.Expr, lineno: int) -> nodes.Expr:
    if name in {"eq", "ne"}:
        return nodes.Compare(left, [nodes.Operand(name, right)], lineno=lineno)
    test = nodes.Test(left, f" {name.removeprefix('not')}", [right], [], None, None, lineno=lineno)
    return nodes.Not(test, lineno=lineno) if name == "notin" else test


BOX = _Box()
"""The one environment; it holds nothing of a call."""


@lru_cache(maxsize=KEPT)
def compiled(text: str) -> Template:
    """The template, made once. Raises what Jinja and Python raise for a text that is none."""
    tree: nodes.Template = BOX.parse(text)
    return BOX.from_string(_Total().visit(tree).set_environment(BOX))


def warm(texts: Iterable[str]) -> None:
    """Compile what the first calls will need; what cannot be compiled is told when it is rendered."""
    for text in islice(texts, KEPT):
        with contextlib.suppress(Exception):
            compiled(text)


def render(text: str, values: Mapping[str, Any], note: Note) -> str:
    """The text with its logic carried out and its names replaced by `values`; at most MAX_OUTPUT_CHARS.

    Never raises: a text that cannot be used at all is "" and a note.
    """
    parts: list[str] = []
    room = MAX_OUTPUT_CHARS
    try:
        for part in compiled(text).generate({**values, _NOTE: note, _LEFT: [MAX_LOOPS]}):
            parts.append(part[:room])
            room -= len(parts[-1])
            if not room:
                note(f"the text was cut after {MAX_OUTPUT_CHARS} characters")
                break
    except Exception as error:  # noqa: BLE001  # a caller must not feel what a template does; the note says it
        note(f"the template ended early: {type(error).__name__}: {str(error)[:200]}")
    return "".join(parts)
