"""What a template may hold: the wall before the sandbox, and where a person learns of a mistake, with its line.

Not worker-safe (fieldhelp). Pure. Called by schema_base.py (texts in a dialplan) and promptfile.py (prompt files).
"""

import re
from collections.abc import Container, Iterator, Mapping
from typing import Any

from jinja2 import nodes
from jinja2.exceptions import TemplateError, TemplateSyntaxError

from bridge.dialplan.sandbox import BOX, FILTERS, LOOP_NAMES, MAX_NUMBER, TESTS, compiled
from bridge.dialplan.variables import NAMES, PLAIN, is_plain
from bridge.fieldhelp import nearest

MAX_TEMPLATE_CHARS = 100_000
MAX_DEPTH = 25
Mistake = tuple[int, str, str]
"""Line, what is wrong, what to do."""
Names = Mapping[str, Container[str] | None]
Found = Iterator[tuple[str, str]]

_NODES: tuple[type[nodes.Node], ...] = (
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.Name, nodes.Const, nodes.List, nodes.Tuple, nodes.If,
    nodes.For, nodes.Assign, nodes.CondExpr, nodes.Filter, nodes.Test, nodes.Compare, nodes.Operand, nodes.And,
    nodes.Or, nodes.Not, nodes.Add, nodes.Sub, nodes.Mul, nodes.Div, nodes.Neg, nodes.Getattr, nodes.Call,
)  # fmt: skip
_WORDS: Mapping[type[nodes.Node], str] = {
    nodes.Include: "include takes the name of a snippet in quotes, in a line of a prompt file",
    nodes.Concat: "~ is not possible: write the values side by side",
    nodes.Mod: "% is not possible",
    nodes.Pow: "** is not possible",
    nodes.Getitem: "[ ] is not possible: write caller.number",
}
_ARGUMENTS = {
    "default": (0, 2), "d": (0, 2), "replace": (1, 2), "join": (0, 1), "int": (0, 1), "float": (0, 1),
}  # fmt: skip


def mistakes(text: str, names: Names = NAMES) -> list[Mistake]:
    """What is wrong with a template, in the order of its lines. `names`: what may be named (variables.NAMES)."""
    if is_plain(text):
        return list(_plain_mistakes(text, names))
    if len(text) > MAX_TEMPLATE_CHARS:
        return [(1, f"the template has more than {MAX_TEMPLATE_CHARS} characters", "make it shorter")]
    try:
        found = sorted(_forbidden(BOX.parse(text), names))
        if not found:
            compiled(text)
    except TemplateSyntaxError as error:
        return [
            (
                _line(error, text),
                _syntax(str(error.message)),
                "a value is {{ caller.number }}, logic {% if … %}",
            )
        ]
    except (TemplateError, SyntaxError, ValueError, MemoryError, RecursionError, OverflowError) as error:
        return [(1, f"the template cannot be read: {str(error)[:100]}", "make it simpler")]
    return found


def names_in(text: str) -> frozenset[str]:
    """Every name a template mentions; all words of a text that cannot be read."""
    try:
        return frozenset(one.name for one in BOX.parse(text).find_all(nodes.Name))
    except (TemplateError, ValueError, RecursionError):
        return frozenset(re.findall(r"\w+", text))


def vars_in(text: str) -> list[str]:
    """Every NAME that a template reads as `vars.NAME`, in order; nothing of one that cannot be read."""
    if "vars." not in text:
        return []
    if is_plain(text):
        names = (found[1].partition(".") for found in PLAIN.finditer(text))
        return [name for root, _, name in names if root == "vars" and name]
    try:
        read = BOX.parse(text).find_all(nodes.Getattr)
        return [one.attr for one in read if isinstance(one.node, nodes.Name) and one.node.name == "vars"]
    except (TemplateError, ValueError, RecursionError):
        return []


def _plain_mistakes(text: str, names: Names) -> Iterator[Mistake]:
    for found in PLAIN.finditer(text):
        root, _, attribute = found[1].partition(".")
        known = names.get(root)
        if (
            root not in names
            or (known is None) == bool(attribute)
            or (known is not None and attribute not in known)
        ):
            line = text.count("\n", 0, found.start()) + 1
            yield line, f"no such variable: {found[1][:40]}", nearest(found[1], _all(names))
    at = PLAIN.sub(lambda found: " " * len(found[0]), text).find("}}")
    if at >= 0:
        yield (
            text.count("\n", 0, at) + 1,
            "braces that belong to no variable: }}",
            "write {{ caller.number }}",
        )


def _line(error: TemplateSyntaxError, text: str) -> int:
    """Of a block that is never closed the line where the last of its kind opens, not the end of the text."""
    unclosed = re.search(r"needs to be closed is '(\w+)'", str(error.message))
    opened = list(re.finditer(r"\{%-?\s*" + unclosed[1] + r"\b", text)) if unclosed else []
    return text.count("\n", 0, opened[-1].start()) + 1 if opened else error.lineno


def _syntax(words: str) -> str:
    if words.startswith(("unexpected '}'", "unexpected char")):
        return f"braces that belong to no variable: {words}"
    return words[:200].rstrip(".").replace("Jinja was looking for the following tags", "it may be one of")


def _forbidden(tree: nodes.Template, names: Names) -> Iterator[Mistake]:
    own = {one.name for one in tree.find_all(nodes.Name) if one.ctx == "store"}
    waiting: list[tuple[nodes.Node, int]] = [(tree, 0)]
    while waiting:
        node, depth = waiting.pop()
        line = getattr(node, "lineno", None) or 1
        if type(node) not in _NODES or depth > MAX_DEPTH:
            what = f"nested deeper than {MAX_DEPTH} levels" if depth > MAX_DEPTH else _unknown(node)
            yield line, what, "" if depth > MAX_DEPTH else "possible: if, for, set, and filters"
            continue
        check = _CHECKS.get(type(node))
        for what, hint in check(node, names, own) if check else ():
            yield line, what, hint
        if type(node) in {nodes.Getattr, nodes.Call}:
            waiting += [(one, depth + 1) for one in getattr(node, "args", ())]
            continue
        waiting += [(one, depth + 1) for one in node.iter_child_nodes()]


def _unknown(node: nodes.Node) -> str:
    return _WORDS.get(type(node), f"{type(node).__name__.lower()} is not possible in a prompt")


def _check_name(node: nodes.Name, names: Names, own: Container[str]) -> Found:
    name = node.name
    if node.ctx == "store":
        if name.startswith("_") or name in {"loop", "range", *names}:
            yield f"the name {name[:40]} is taken", "choose another"
        return
    if name not in own and (name not in names or names[name] is not None):
        yield f"no such variable: {name[:40]}", nearest(name, _all(names))


def _all(names: Names) -> list[str]:
    return [
        f"{name}.{one}" if one else name
        for name, known in names.items()
        for one in (known if isinstance(known, frozenset) else ["NAME"] if known is not None else [""])
    ]


def _check_getattr(node: nodes.Getattr, names: Names, _own: Container[str]) -> Found:
    root = node.node.name if isinstance(node.node, nodes.Name) else ""
    known = LOOP_NAMES if root == "loop" else names.get(root)
    if not root or node.attr.startswith("_") or known is None or node.attr not in known:
        name = f"{root}.{node.attr}" if root else node.attr
        yield f"no such variable: {name[:40]}", nearest(name, _all(names))


def _check_call(node: nodes.Call, _names: Names, _own: Container[str]) -> Found:
    plain = not (node.kwargs or node.dyn_args or node.dyn_kwargs) and 1 <= len(node.args) <= 2
    if not (isinstance(node.node, nodes.Name) and node.node.name == "range" and plain):
        yield "only range(N) can be called", "use a filter"


def _check_filter(node: nodes.Filter, _names: Names, _own: Container[str]) -> Found:
    least, most = _ARGUMENTS.get(node.name, (0, 0))
    if node.name not in FILTERS:
        yield f"no such filter: {node.name[:40]}", nearest(node.name, FILTERS)
    elif node.kwargs or node.dyn_args or node.dyn_kwargs or not least <= len(node.args) <= most:
        yield f"wrong arguments for {node.name}", f"{least} to {most} values"


def _check_test(node: nodes.Test, _names: Names, _own: Container[str]) -> Found:
    if node.name not in TESTS:
        yield f"no such test: {node.name[:40]}", nearest(node.name, TESTS)
    elif node.args or node.kwargs or node.dyn_args or node.dyn_kwargs:
        yield f"{node.name} takes no values", ""


def _check_const(node: nodes.Const, _names: Names, _own: Container[str]) -> Found:
    if type(node.value) not in {str, int, float, bool, type(None)}:
        yield "only texts, whole numbers, numbers, true and false are possible", ""
    elif type(node.value) in {int, float} and abs(node.value) > MAX_NUMBER:
        yield "the number is too large", ""


def _check_list(node: nodes.List | nodes.Tuple, _names: Names, _own: Container[str]) -> Found:
    if not all(isinstance(one, nodes.Const) for one in node.items):
        yield "a list in a template holds plain values only", "['a', 'b']"


def _check_target(node: nodes.For | nodes.Assign, _names: Names, _own: Container[str]) -> Found:
    if not isinstance(node.target, nodes.Name):
        yield "one name is needed here", "{% for one in … %}"
    if isinstance(node, nodes.For) and node.recursive:
        yield "recursive loops are not possible", "remove recursive"


_CHECKS: Mapping[type[nodes.Node], Any] = {
    nodes.Name: _check_name, nodes.Getattr: _check_getattr, nodes.Call: _check_call, nodes.Filter: _check_filter,
    nodes.Test: _check_test, nodes.Const: _check_const, nodes.For: _check_target, nodes.Assign: _check_target,
    nodes.List: _check_list, nodes.Tuple: _check_list,
}  # fmt: skip
