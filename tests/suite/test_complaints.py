"""The table of complaints is whole, and every test that it names is there."""

import ast
import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
ROW = re.compile(r"^\| (\d+) \| (.+?) \| (.+) \|$", re.MULTILINE)
NAME = re.compile(r"`([\w/]+\.py)::(test_\w+)`")
ROWS = ROW.findall((TESTS / "complaints.md").read_text())
COMPLAINTS = 53


def functions(file):
    return {node.name for node in ast.walk(ast.parse(file.read_text())) if hasattr(node, "name")}


def test_every_complaint_has_its_row():
    assert [int(number) for number, _, _ in ROWS] == list(range(1, COMPLAINTS + 1))


def test_every_test_that_is_named_exists():
    named = {pair for _, _, held_by in ROWS for pair in NAME.findall(held_by)}
    found = {file: functions(TESTS / file) for file in {file for file, _ in named}}
    assert [f"{file}::{name}" for file, name in sorted(named) if name not in found[file]] == []


def test_a_complaint_without_a_test_says_why():
    bare = [held_by for _, _, held_by in ROWS if not NAME.search(held_by)]
    assert [words for words in bare if not words.startswith(("Open: ", "Not ours: "))] == []
