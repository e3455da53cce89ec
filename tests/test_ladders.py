"""The table of what a real SIP test shows (tests/data/ladders/README.md) is whole and true."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from bridge.dialplan.schema_steps import VERBS
from bridge.trunk import Trunk
from tests.fakes.ladder import same

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "tests" / "data" / "ladders"
TEXT = (FOLDER / "README.md").read_text()
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in TEXT.splitlines()
    if line.startswith("| ") and "::" in line
]
KEPT = {path.stem for path in FOLDER.glob("*.txt")}
TESTS = sorted({name for row in ROWS for name in row[1].split(", ")})


def named(row):
    return {name for name in row[3].split(", ") if name}


def test_every_action_has_a_test_and_a_ladder():
    shown = {row[0].strip("`"): named(row) for row in ROWS}
    assert [verb for verb in VERBS if not shown.get(verb)] == []


def test_every_field_of_a_trunk_has_a_test():
    shown = {row[0].strip("`") for row in ROWS}
    assert [one.name for one in fields(Trunk) if one.name not in shown | {"name"}] == []


def test_the_table_and_the_folder_have_the_same_ladders():
    assert {name for row in ROWS for name in named(row)} == KEPT


@pytest.mark.parametrize("name", TESTS)
def test_every_test_of_the_table_exists(name):
    path, _, function = name.partition("::")
    assert re.search(rf"^async def {function}\(", (ROOT / path).read_text(), re.MULTILINE)


def moved(name, line, places):
    """A kept ladder with one of its lines so many places further down."""
    lines = (FOLDER / f"{name}.txt").read_text().splitlines()
    lines.insert(line + places, lines.pop(line))
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("line", "places", "true"),
    [
        (2, 2, True),  # the 180, read late
        (1, 1, False),  # 100 and 180 of one phone
        (5, 2, True),  # the ACK to the busy one, read after the INVITE to the next
        (6, -2, False),  # the INVITE to the next, before the first was busy
        (10, -2, False),  # the caller's 200, before the callee's
    ],
)
def test_a_ladder_is_the_same_when_a_message_of_the_bridge_was_read_late(line, places, true):
    name = "dial-busy-then-next"
    assert same((FOLDER / f"{name}.txt").read_text(), moved(name, line, places)) is true


@pytest.mark.parametrize("name", sorted(KEPT))
def test_a_ladder_without_a_line_is_another(name):
    text = (FOLDER / f"{name}.txt").read_text()
    assert same(text, text)
    assert not same(text, text.rpartition("\n")[0].rpartition("\n")[0])
