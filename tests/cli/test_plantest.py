"""`dialplan test`: one line a case, and a status that a CI understands."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from bridge.cli.dialplan import app

ROOT = Path(__file__).parents[2]
PLAN = "version: 1\nroutes: [{name: r, do: [{reject: {status: 486}}]}]\n"


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "p.yaml").write_text(PLAN)

    def run(*words, cases=""):
        if cases:
            (tmp_path / "p.test.yaml").write_text(cases)
        result = CliRunner().invoke(app, ["test", *words])
        return result.exit_code, result.output

    return run


GOOD = 'version: 1\ntests:\n- {name: busy, call: {to: "1"}, expect: {route: r, status: 486}}\n'


def test_a_passing_case_is_one_line(run):
    assert run("p.yaml", cases=GOOD) == (0, "ok    busy: r\n1 test, 0 failed\n")
    assert run("p.test.yaml") == run(".") == run("p.yaml")
    assert run("p.yaml", "--quiet") == (0, "1 test, 0 failed\n")


def test_a_failing_case_says_what_was_expected_what_came_and_where(run):
    code, output = run("p.yaml", cases=GOOD.replace("486", "603"))
    assert code == 1
    assert output.splitlines() == [
        "FAIL  busy (p.test.yaml:3)",
        "      p.test.yaml:3: status: expected 603, came 486",
        "1 test, 1 failed",
    ]


def test_nothing_to_test_fails(run):
    code, output = run("p.yaml")
    assert (code, "no *.test.yaml beside it" in output) == (1, True)


def test_a_wrong_test_file_and_a_wrong_plan_are_told(run, tmp_path):
    code, output = run("p.yaml", cases=GOOD.replace("route: r", "route: s"))
    assert (code, "p.test.yaml:3:" in output, "no route is called s" in output) == (1, True, True)
    (tmp_path / "p.yaml").write_text(PLAN.replace("reject", "rejekt"))
    code, output = run("p.yaml")
    assert (code, "p.yaml:2:" in output, "1 mistake" in output) == (1, True, True)


@pytest.mark.parametrize("name", ["clinic", "shop", "help-desk", "after-hours"])
def test_every_template_passes_its_tests_and_the_strictest_check(run, name):
    folder = str(ROOT / "dialplans/examples" / name)
    assert run(folder, "-q")[1].endswith(" 0 failed\n")
    result = CliRunner().invoke(app, ["check", folder, "--strict", "--at", "2026-11-21"])
    assert (result.exit_code, "warning" in result.output) == (0, False)
