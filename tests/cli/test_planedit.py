"""`dialplan set|unset|add-holiday`: checked before it is written, shown, and written in one step."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from bridge.cli import planedit
from bridge.cli.dialplan import app
from bridge.dialplan import load

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "dialplans/examples/after-hours/after-hours.yaml"


@pytest.fixture
def plan(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "plans/main.yaml"
    file.parent.mkdir()
    file.write_text(EXAMPLE.read_text())
    return file


def run(*words):
    result = CliRunner().invoke(app, [*words, "--plan", "plans"])
    return result.exit_code, result.output


def test_a_holiday_is_added_shown_and_in_force_in_the_file(plan):
    code, output = run("add-holiday", "office", "2027-04-02")
    assert code == 0
    assert '+      - "2027-04-02"' in output
    assert "~ hours office\n    closed_on: +2027-04-02" in output
    assert "2027-04-02" in load.load(plan).hours[0].closed_on
    assert [one.name for one in plan.parent.iterdir()] == ["main.yaml"]
    assert [one.name for one in plan.parent.parent.iterdir()] == ["plans"]


def test_a_change_that_the_plan_cannot_have_is_not_written(plan):
    before = plan.read_text()
    code, output = run("set", "routes[after hours].when.outside", "offce")
    assert code == 1
    assert f"{plan.parent.name}/main.yaml:" in output
    assert "there are no opening hours offce (did you mean office?)" in output
    assert plan.read_text() == before


def test_a_dry_run_writes_nothing(plan):
    before = plan.read_text()
    code, output = run("set", "agents.night.voice", "cedar", "--dry-run")
    assert (code, "-    voice: marin" in output, "voice: marin -> cedar" in output) == (0, True, True)
    assert plan.read_text() == before


def test_what_is_there_already_is_no_change(plan):
    assert "nothing to change" in run("add-holiday", "office", "2026-12-24")[1]


def test_the_file_is_found_in_which_the_key_is(plan):
    (plan.parent / "more.yaml").write_text("version: 1\ntransfers: {x: 'sip:x@h'}\n")
    assert run("set", "transfers.x", "sip:y@h")[0] == 0
    assert "sip:y@h" in (plan.parent / "more.yaml").read_text()
    code, output = run("set", "agents.nobody.voice", "cedar")
    assert (code, "no file has agents.nobody.voice" in output) == (1, True)


def test_a_date_is_a_date(plan):
    code, output = run("add-holiday", "office", "tomorrow")
    assert (code, "tomorrow" in output) == (1, True)


def test_a_key_is_taken_out(plan):
    assert run("unset", "agents.night.voice")[0] == 0
    assert load.load(plan).agent("night").voice is None


def test_a_link_and_the_mode_of_a_file_stay(tmp_path):
    real, link = tmp_path / "real.yaml", tmp_path / "link.yaml"
    real.write_text("old")
    real.chmod(0o640)
    link.symlink_to(real)
    planedit.write(link, "new\r\n")
    assert (real.read_bytes(), real.stat().st_mode & 0o777, link.is_symlink()) == (b"new\r\n", 0o640, True)
