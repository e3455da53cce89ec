from pathlib import Path

import pytest
from typer.testing import CliRunner

from bridge.cli.tools import app
from bridge.errors import ToolError

HERE = Path(__file__).parents[2]


@pytest.fixture
def config(tmp_path):
    (tmp_path / "tools").mkdir()
    for name in ("shop.py", "policy.yaml"):
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


def test_explain_says_which_rule_decides_and_why_not_those_before(config):
    result = run(config, "explain", "refund", '{"amount": 40}')
    assert "risk money is not read" in result.output
    assert '"effect": "confirm"' in result.output
    assert "refund of 40 dollars" in result.output


def test_explain_of_a_tool_that_is_not_there_says_so(config):
    assert isinstance(run(config, "explain", "wipe").exception, ToolError)
