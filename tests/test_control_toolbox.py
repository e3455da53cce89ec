import json
import shutil
from pathlib import Path

import pytest

from bridge.control_toolbox import ToolSource
from bridge.settings import load
from bridge.toolbox.mcptools import read, spec
from bridge.toolbox.spec import Options

HERE = Path(__file__).parents[1]


@pytest.fixture
def source(tmp_path):
    shutil.copytree(HERE / "tools", tmp_path / "tools", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "bridge.yaml").write_text(
        "tools: tools\nmcp: {crm: {url: 'https://crm.example/mcp', run_by: provider}, till: {command: [x]}}\n"
    )
    made = ToolSource(load(tmp_path / "bridge.yaml", {}), {})
    made.load()
    return made


def accepted(source, server, tool, origin):
    schema = {"type": "object", "properties": {}}
    made = spec(read(server, tool, "x", schema), Options("x", "write", False, 5, 1000, ""), None, origin)
    source.mcp.specs[made.name] = made


def test_everything_shipped_can_be_offered(source):
    names = [
        entry["name"] for entry in source.offer(["refund", "transfer", "book_appointment", "send_email"])
    ]
    assert names == ["refund", "transfer", "book_appointment", "send_email"]


def test_a_whole_server_is_offered_by_its_name_and_only_what_was_accepted(source):
    accepted(source, "till", "pay", "mcp")
    accepted(source, "till", "look", "mcp")
    assert [entry["name"] for entry in source.offer(["till__*", "till__pay"])] == ["till__pay", "till__look"]
    assert source.offer(["till__steal"]) == []


def test_a_server_of_the_provider_always_asks_and_has_only_accepted_tools(source):
    assert source.offer(["crm__*"]) == []
    accepted(source, "crm", "find", "provider")
    accepted(source, "crm", "wipe", "provider")
    (entry,) = source.offer(["crm__find", "refund"])[:1]
    assert entry == {
        "type": "mcp",
        "server_label": "crm",
        "server_url": "https://crm.example/mcp",
        "allowed_tools": ["find"],
        "require_approval": "always",
    }
    assert json.dumps(source.offer(["crm__*"])[0]["allowed_tools"]) == '["find", "wipe"]'


def test_a_broken_policy_leaves_the_one_in_force(source, tmp_path):
    before = source.policy
    (tmp_path / "tools" / "policy.yaml").write_text("version: 1\nrules: [{name: x}]\n")
    source.load()
    assert source.policy is before


def test_a_tool_file_that_breaks_keeps_its_tools_and_a_mended_one_replaces_them(source, tmp_path):
    path = tmp_path / "tools" / "shop.py"
    text, before = path.read_text(), source.tools["refund"]
    path.write_text("x = (\n")
    source.load()
    assert source.tools["refund"] is before
    path.write_text(text.replace("Give the caller money back.", "Pay back."))
    source.load()
    assert source.tools["refund"].options.description == "Pay back."
    assert source.tools["refund"].definition_hash != before.definition_hash
    path.unlink()
    source.load()
    assert "refund" not in source.tools


def test_without_a_policy_nothing_is_offered(tmp_path):
    (tmp_path / "bridge.yaml").write_text("tools: nothing\n")
    source = ToolSource(load(tmp_path / "bridge.yaml", {}), {})
    source.load()
    assert source.offer(["refund"]) == []
