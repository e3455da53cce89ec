"""`sipbridge capacity`, and the page of 10,000 calls, whose figures it made."""

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bridge.cli.main import app
from bridge.errors import BridgeError

PAGE = Path(__file__).parents[2] / "ops" / "capacity.md"


def said(*arguments):
    result = CliRunner().invoke(app, ["capacity", *map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_every_table_of_the_page_is_what_its_command_prints():
    text = PAGE.read_text(encoding="utf-8")
    found = re.findall(r"<!-- sipbridge capacity (.*?) -->\n(.*?)\n<!-- end -->", text, re.DOTALL)
    assert len(found) >= 2
    for arguments, table in found:
        assert table == said(*arguments.split()).rstrip("\n"), f"run: sipbridge capacity {arguments}"


def test_a_busy_hour_becomes_lines_by_erlang():
    text = said("--per-hour", 1200, "--mean-s", 180, "--blocking", 0.01)
    assert "60.0 Erlang: 75 lines at 1.00% blocking" in text


def test_the_answer_as_json_has_what_it_was_worked_out_from():
    answer = json.loads(said("--calls", 1000, "--format", "pcm24", "--json"))
    assert answer["measured"]["format"] == "pcm24"
    assert answer["need"]["workers"] == 250
    assert answer["need"]["model_up_mbit"] > 500
    assert answer["usd_per_call"] > 0


def test_a_file_of_make_load_replaces_the_shipped_figures(tmp_path):
    path = tmp_path / "load.json"
    used = {"worker": {"cores": 0.4, "mb": 400.0}, "control": {"cores": 0.0, "mb": 100.0}}
    levels = [{"calls": 40, "right": True, "used": used}]
    path.write_text(json.dumps({"facts": {"format": "pcmu"}, "levels": levels, "rates": []}))
    answer = json.loads(said("--calls", 100, "--measured", path, "--json"))
    assert answer["need"]["cores"] == pytest.approx(1.0)


@pytest.mark.parametrize("arguments", [[], ["--calls", "5", "--per-hour", "10"]])
def test_one_of_calls_and_per_hour_is_needed(arguments):
    with pytest.raises(BridgeError, match="either --calls"):
        said(*arguments)


def test_a_file_that_is_no_json_is_refused_by_its_name(tmp_path):
    path = tmp_path / "load.json"
    path.write_text("calls: 4")
    with pytest.raises(BridgeError, match=r"load\.json is no JSON"):
        said("--calls", 5, "--measured", path)
