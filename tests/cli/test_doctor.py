import json

import pytest
from typer.testing import CliRunner

from bridge.cli.main import app

PLAN = "version: 1\nroutes:\n  - name: all\n    do:\n      - hang_up: {}\n"


@pytest.fixture
def run(tmp_path, monkeypatch):
    (tmp_path / "plan.yaml").write_text(PLAN)
    path = tmp_path / "bridge.yaml"

    def run(*words, text=""):
        path.write_text(f"dialplans: plan.yaml\nstate_dir: var\nsip: {{port: 34567}}\n{text}")
        return CliRunner().invoke(app, ["doctor", "--offline", "--config", str(path), *words])

    return run


def test_findings_are_shown_by_section_with_what_to_do(run):
    result = run(text="workerz: 1\n")
    assert result.exit_code == 1
    assert "settings and secrets\n  ✗ " in result.output
    assert "      → ops/settings.md lists every key" in result.output
    assert "1 to mend (✗)" in result.output


def test_programs_get_json_and_a_status(run):
    result = run("--json")
    data = json.loads(result.output)
    assert result.exit_code == (data["worst"] == "fail")
    assert {"section", "level", "text", "do"} == set(data["findings"][0])
    strict = run("--json", "--strict")
    assert strict.exit_code == (json.loads(strict.output)["worst"] in {"warn", "fail"})


def test_quiet_shows_only_what_is_not_right(run):
    assert "✓" not in run("--quiet", text="workerz: 1\n").output
