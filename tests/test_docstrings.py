"""Public names say what they are: modules at their head, classes and functions in a line or more."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NAMED_BY_THE_PROTOCOL = {
    "bridge/realtime/conversation.py": "one handler a wire event, named after it",
    "bridge/sim/protocol.py": "one class a wire object, named after it",
}
"""Modules whose public names are explained by the API reference named at their head."""
LONG = {"bridge/call/call.py"}
"""Files still to be split; this set only shrinks."""
MODULES = sorted(path for path in (ROOT / "bridge").rglob("*.py") if path.stat().st_size)


def names(path):
    return path.relative_to(ROOT).as_posix()


def undocumented(body, where=""):
    for node in body:
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        if node.name.startswith("_") or overrides_foreign_name(node):
            continue
        if ast.get_docstring(node) is None and not is_stub(node):
            yield f"{where}{node.name}"
        if isinstance(node, ast.ClassDef):
            yield from undocumented(node.body, f"{where}{node.name}.")


def overrides_foreign_name(node):
    """pjsua2 calls these by its own names; what they mean is in its reference."""
    return node.name.startswith("on") and node.name[2:3].isupper()


def is_stub(node):
    """One line that says it all: `...` in a Protocol, or a property that hands out a field."""
    if isinstance(node, ast.ClassDef) or len(node.body) != 1:
        return False
    only = node.body[0]
    return isinstance(only, ast.Return) or (
        isinstance(only, ast.Expr) and isinstance(only.value, ast.Constant)
    )


@pytest.mark.parametrize("path", MODULES, ids=names)
def test_a_module_says_at_its_head_what_it_is(path):
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    assert text, f"{names(path)} has no docstring"
    assert len(text.splitlines()) <= 40


@pytest.mark.parametrize("path", MODULES, ids=names)
def test_every_public_name_says_what_it_is(path):
    """A method that fulfils a Protocol of its module is documented there, once."""
    if names(path) in NAMED_BY_THE_PROTOCOL:
        return
    tree = ast.parse(path.read_text(encoding="utf-8"))
    said = {
        node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and ast.get_docstring(node)
    }
    missing = [name for name in undocumented(tree.body) if name.rsplit(".")[-1] not in said]
    assert not missing, f"{names(path)}: {', '.join(missing)}"


@pytest.mark.parametrize("path", MODULES, ids=names)
def test_a_file_fits_in_a_head(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400 or names(path) in LONG
