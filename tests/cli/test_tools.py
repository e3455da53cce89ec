import json
import sqlite3
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bridge.cli.tools import app
from bridge.errors import ToolArgumentsError, ToolError

HERE = Path(__file__).parents[2]


@pytest.fixture
def config(tmp_path):
    (tmp_path / "tools").mkdir()
    for name in ("shop.py", "_business.py", "policy.yaml"):
        (tmp_path / "tools" / name).write_text((HERE / "tools" / name).read_text())
    path = tmp_path / "bridge.yaml"
    path.write_text(f"tools: {tmp_path}/tools\ndialplans: {HERE}/dialplans\nstate_dir: {tmp_path}/var\n")
    return path


def run(config, *arguments):
    return CliRunner().invoke(app, [*arguments, "--config", str(config)])


def test_every_tool_is_listed_with_its_risk(config):
    result = run(config, "list")
    assert result.exit_code == 0
    assert "refund" in result.output
    assert "money" in result.output


def test_a_file_with_a_mistake_is_named_and_the_rest_is_listed(config):
    (config.parent / "tools" / "broken.py").write_text("x = (\n")
    result = run(config, "list")
    assert result.exit_code == 1
    assert "broken.py:1" in result.output
    assert "refund" in result.output


def test_a_tool_is_shown_as_the_model_sees_it(config):
    output = run(config, "show", "refund").output
    assert "risk money, idempotent" in output
    assert '"parameters"' in output
    assert isinstance(run(config, "show", "refnud").exception, ToolError)


def test_a_tool_is_run_by_hand_by_an_admin_and_what_it_does_is_in_the_audit(config):
    found = run(config, "run", "order_status", '{"order": "1234"}')
    assert (found.exit_code, json.loads(found.output)["state"]) == (0, "left the warehouse")
    assert run(config, "run", "refund", '{"amount": 5.0}').exit_code == 1  # nobody said yes
    assert run(config, "run", "refund", '{"amount": 5.0}', "--yes").exit_code == 0
    assert isinstance(run(config, "run", "refund", '{"amount": "5"}', "--yes").exception, ToolArgumentsError)
    with sqlite3.connect(config.parent / "var" / "sipbridge.db") as store:
        entries = store.execute("SELECT type FROM audit_entries ORDER BY seq").fetchall()
    with sqlite3.connect(config.parent / "var" / "tools" / "shop.db") as shop:
        assert shop.execute("SELECT amount FROM refunds").fetchall() == [(5.0,)]
    assert entries == [("run_by_hand",), ("ran_by_hand",)]


def with_server(config, folder):
    command = [sys.executable, "-m", "tests.fakes.mcp_server", str(folder)]
    server = {"command": command, "folder": str(HERE)}
    config.write_text(config.read_text() + f"mcp: {json.dumps({'till': server})}\n")


def test_what_a_server_offers_is_read_and_accepted(config, tmp_path):
    with_server(config, tmp_path)
    result = run(config, "mcp")
    assert (result.exit_code, "new       till__pay" in result.output) == (1, True)
    refused = CliRunner().invoke(app, ["accept", "till", "pay", "--config", str(config)], input="n\n")
    assert refused.exit_code == 1
    assert "accepted 1" in run(config, "accept", "till", "pay", "--yes").output
    assert "till__pay" in run(config, "list").output
    (tmp_path / "pay.txt").write_text("Pay everybody.")
    assert "changed   till__pay" in run(config, "mcp").output
    shown = run(config, "accept", "till", "--yes").output
    assert '-  "description": "Pay."' in shown.replace("- ", "-  ", 1) or "Pay everybody." in shown
    assert run(config, "mcp").exit_code == 0
    assert run(config, "forget", "till", "pay").exit_code == 0
    assert "new       till__pay" in run(config, "mcp").output
    with sqlite3.connect(config.parent / "var" / "sipbridge.db") as store:
        kept = store.execute("SELECT type, facts FROM audit_entries ORDER BY seq").fetchall()
    told = [(kind, json.loads(facts)) for kind, facts in kept]
    pay = [(kind, facts["via"], facts.pop("hash", "")) for kind, facts in told if facts["tool"] == "pay"]
    first, then, taken = pay
    assert (first[:2], taken) == (("definition_accepted", "cli"), ("definition_forgotten", "cli", ""))
    assert first[2] != then[2]
    assert isinstance(run(config, "accept", "till", "nothing").exception, ToolError)
    assert isinstance(run(config, "accept", "nobody").exception, ToolError)
