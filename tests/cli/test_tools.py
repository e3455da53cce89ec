from pathlib import Path

import pytest
from typer.testing import CliRunner

from bridge.cli.tools import app

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
