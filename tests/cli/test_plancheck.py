"""`dialplan check` for a person, a program, and a pull request."""

import json

import pytest
from typer.testing import CliRunner

from bridge.cli.dialplan import app

ODD = """version: 1
agents: {a: {instructions: x, greeting: hi, tools: [order_stats]}}
routes: [{name: r, do: [{agent: a, or_else: [{hang_up: {}}]}]}]
"""
BAD = ODD.replace("order_stats", "refund").replace("{agent: a,", "{agent: b,")


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def run(text, *words):
        (tmp_path / "p.yaml").write_text(text)
        result = CliRunner().invoke(app, ["check", "p.yaml", *words])
        return result.exit_code, result.output

    return run


def test_a_warning_fails_only_when_it_is_asked_to(run):
    code, output = run(ODD)
    assert (code, "1 warning" in output.splitlines()[-1]) == (0, True)
    assert "there is no tool order_stats (did you mean order_status?) [warning]" in output
    assert run(ODD, "--strict")[0] == 1
    assert run(ODD.replace("order_stats", "refund"), "--strict")[0] == 0


def test_a_program_gets_every_problem_with_its_place(run):
    code, output = run(BAD, "--format", "json")
    found = json.loads(output)
    assert (code, found["usable"], found["version"]) == (1, False, None)
    (problem,) = found["problems"]
    assert problem["severity"] == "error"
    assert (problem["file"], problem["line"], problem["column"]) == ("p.yaml", 3, 33)
    code, output = run(ODD, "--format", "json")
    assert (code, [one["severity"] for one in json.loads(output)["problems"]]) == (0, ["warning"])


def test_a_pull_request_shows_them_beside_its_lines(run):
    code, output = run(BAD, "--format", "github")
    assert code == 1
    assert output.splitlines()[0].startswith(
        "::error file=p.yaml,line=3,col=33::routes[0].do[0].agent: no agent is"
    )
    assert run(ODD, "--format", "github")[1].startswith("::warning file=p.yaml,line=2,")


def test_what_a_problem_says_cannot_end_its_line(run):
    route = '{name: "50%", do: [{hang_up: {}}]}'
    named = f"version: 1\nroutes: [{route}, {route}]\n"
    assert "50%25" in run(named, "--format", "github")[1]


def test_the_day_of_the_check_can_be_named(run):
    hours = 'hours: {o: {timezone: UTC, week: {mon: ["09:00-10:00"]}, holidays: ["2026-12-25"]}}\n'
    text = ODD.replace("order_stats", "refund").replace("agents", f"{hours}agents")
    assert "all holidays are over" not in run(text, "--at", "2026-12-01")[1]
    assert "all holidays are over" in run(text, "--at", "2026-12-26")[1]
    assert run(text, "--at", "soon")[0] == 2


def test_tools_that_an_mcp_server_has_are_known(run, tmp_path):
    definition = {"name": "log", "description": "x"}
    pin = {"hash": "0", "definition": definition, "accepted_by": "a", "accepted_at": 1.0}
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools/mcp.lock.json").write_text(json.dumps({"git": {"log": pin}}))
    (tmp_path / "s.yaml").write_text("mcp: {git: {command: [x]}}\n")
    assert run(ODD.replace("order_stats", "git__log"), "--config", "s.yaml", "--strict")[0] == 0
    assert run(ODD.replace("order_stats", "git__diff"), "--config", "s.yaml", "--strict")[0] == 1
