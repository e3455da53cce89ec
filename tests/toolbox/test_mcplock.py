import json

import pytest

from bridge.errors import ToolError
from bridge.toolbox.mcplock import McpLock
from bridge.toolbox.mcptools import read

SCHEMA = {"type": "object", "properties": {}}


def definition(tool="pay", description="Pay."):
    return read("till", tool, description, SCHEMA)


def test_what_was_accepted_is_known_again_and_a_change_is_seen(tmp_path):
    lock = McpLock(tmp_path / "lock.json")
    lock.read()
    assert lock.standing(definition()) == "new"
    lock.accept([definition(), definition("look")], "anna", 5.0)
    other = McpLock(tmp_path / "lock.json")
    other.read()
    assert (other.standing(definition()), other.standing(definition("look"))) == ("accepted", "accepted")
    assert other.standing(definition(description="Pay all.")) == "changed"
    assert other.pins["till", "pay"].accepted_by == "anna"
    assert any("Pay all." in line for line in other.difference(definition(description="Pay all.")))


def test_a_change_that_cannot_be_seen_is_shown_as_one(tmp_path):
    lock = McpLock(tmp_path / "lock.json")
    lock.accept([definition()], "anna", 5.0)
    hidden = definition(description="Pay.\u200b")
    assert lock.standing(hidden) == "changed"
    assert lock.difference(hidden) == ["the change is in characters that cannot be shown"]


def test_what_another_process_accepts_is_read(tmp_path):
    ours, theirs = McpLock(tmp_path / "lock.json"), McpLock(tmp_path / "lock.json")
    ours.read()
    theirs.accept([definition()], "anna", 5.0)
    ours.read()
    assert ours.standing(definition()) == "accepted"
    theirs.remove("till", ["pay"])
    ours.read()
    assert ours.standing(definition()) == "new"


@pytest.mark.parametrize("text", ["{", "[]", '{"till": {"pay": {"hash": 1}}}', '{"till": 7}'])
def test_a_file_that_cannot_be_read_accepts_nothing(tmp_path, text):
    lock = McpLock(tmp_path / "lock.json")
    lock.accept([definition()], "anna", 5.0)
    (tmp_path / "lock.json").write_text(text)
    with pytest.raises(ToolError, match="No MCP tool is accepted"):
        lock.read()
    assert lock.standing(definition()) == "new"


def test_it_is_a_file_for_version_control(tmp_path):
    McpLock(tmp_path / "lock.json").accept([definition("b"), definition("a")], "anna", 5.0)
    assert list(json.loads((tmp_path / "lock.json").read_text())["till"]) == ["a", "b"]
