"""`sipbridge dialplan`: what an operator sees."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from bridge.cli.dialplan import app
from bridge.cli.planschema import json_schema
from bridge.dialplan import load as loading

ROOT = Path(__file__).parents[2]


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        result = CliRunner().invoke(app, list(arguments))
        return result.exit_code, result.output

    return run


PLAN = "version: 1\nroutes:\n- {name: r, when: {to: '1', headers: {X-A: b}}, do: [{hang_up: {}}]}\n"


def test_check_sums_up_a_good_plan(run):
    code, output = run("check", str(ROOT / "dialplans"), "--at", "2026-11-21")
    assert code == 0
    assert "2 routes, 1 agents" in output
    assert "front desk: every call" in output
    assert "warning" not in output


def test_check_names_file_line_and_key_of_a_mistake(run, tmp_path):
    (tmp_path / "p.yaml").write_text(PLAN.replace("hang_up", "hangup"))
    code, output = run("check", "p.yaml")
    assert code == 1
    assert "p.yaml:3:55: routes[0].do[0].hangup: unknown key (did you mean hang_up?)" in output
    assert "1 mistake\n" in output


def test_check_warns_without_failing(run, tmp_path):
    (tmp_path / "p.yaml").write_text(PLAN)
    code, output = run("check", "p.yaml")
    assert code == 0
    assert "does not fit every call" in output


def test_check_uses_the_settings_providers(run, tmp_path):
    (tmp_path / "s.yaml").write_text("dialplans: p.yaml")
    text = "version: 1\nagents: {a: {instructions: x, provider: main}}\nroutes: [{name: r, do: [{agent: a}]}]"
    (tmp_path / "p.yaml").write_text(text)
    code, output = run("check", "--config", "s.yaml")
    assert code == 1
    assert "no provider main in the settings (allowed: local)" in output


def test_wrong_settings_are_told_too(run, tmp_path):
    (tmp_path / "s.yaml").write_text("dialplan: p.yaml")
    code, output = run("check", "--config", "s.yaml")
    assert code == 1
    assert "did you mean dialplans?" in output


def test_a_long_plan_is_shortened(run, tmp_path):
    routes = "".join(f"- {{name: r{i}, when: {{to: '{i}'}}, do: [{{hang_up: {{}}}}]}}\n" for i in range(60))
    (tmp_path / "p.yaml").write_text(f"version: 1\nroutes:\n{routes}")
    assert "… and 10 more" in run("check", "p.yaml")[1]


def test_explain_shows_the_way_to_the_route(run, tmp_path):
    (tmp_path / "p.yaml").write_text(PLAN)
    code, output = run("explain", "--to", "1", "--header", "x-a: b", "p.yaml")
    assert code == 0
    assert "-> r (p.yaml:3): fits" in output


def test_explain_says_when_nothing_fits(run, tmp_path):
    (tmp_path / "p.yaml").write_text(PLAN)
    code, output = run("explain", "--to", "1", "--from", "2", "p.yaml")
    assert code == 1
    assert " x r (p.yaml:3): header x-a is missing, needed b" in output
    assert "gets 404" in output


def test_a_header_needs_a_colon(run, tmp_path):
    (tmp_path / "p.yaml").write_text(PLAN)
    code, output = run("explain", "--to", "1", "--header", "x", "p.yaml")
    assert code == 2
    assert "Name: value" in output


def test_the_schema_for_editors_is_current(run):
    """dialplans/schema.json is generated: sipbridge dialplan schema > dialplans/schema.json."""
    assert (ROOT / "dialplans/schema.json").read_text() == json_schema() == run("schema")[1]


@pytest.mark.parametrize("path", sorted((ROOT / "dialplans").glob("*.yaml")), ids=lambda path: path.name)
def test_every_shipped_dialplan_loads_and_names_its_schema(path):
    assert path.read_text().startswith("# yaml-language-server: $schema=")
    assert loading.load(path).routes


HOURS = """version: 1
hours: {office: {timezone: Europe/Berlin, week: {mon: ["09:00-18:00"]}}}
routes:
- {name: day, when: {hours: office}, do: [{hang_up: {}}]}
- {name: night, do: [{reject: {status: 480}}]}
"""


def test_explain_says_what_happens_at_another_time(run, tmp_path):
    (tmp_path / "p.yaml").write_text(HOURS)
    code, output = run("explain", "p.yaml", "--to", "1", "--at", "2026-11-23T10:00+01:00")
    assert (code, "open then: office" in output, "-> day" in output) == (0, True, True)
    code, output = run("explain", "p.yaml", "--to", "1", "--at", "2026-11-23T20:00+01:00")
    assert " x day" in output
    assert "nothing is open now, needed office" in output
    assert run("explain", "p.yaml", "--to", "1", "--at", "noon")[0] == 2


EVERYTHING = """version: 1
country: DE
numbers: {"030 1234567": front-office}
routes:
- {name: full, when: {number: front-office, capacity: {max_calls: 2}}, do: [{hang_up: {}}]}
- {name: trunk, when: {trunk: carrier}, do: [{hang_up: {}}]}
- {name: rest, do: [{hang_up: {}}]}
trunks: {carrier: {addresses: 198.51.100.1}}
"""


def test_explain_takes_a_load_and_a_trunk(run, tmp_path):
    (tmp_path / "p.yaml").write_text(EVERYTHING)
    asked = ("explain", "p.yaml", "--to", "030/1234567", "--trunk", "carrier")
    code, output = run(*asked, "--load", "full=2")
    assert code == 0
    assert "to: 030/1234567 is +49301234567" in output
    assert " x full (p.yaml:5): 2 on it now, room for 2" in output
    assert "-> trunk (p.yaml:6): fits (trunk carrier)" in output
    assert "-> full" in run(*asked, "--load", "full=1")[1]
    assert run(*asked, "--load", "full")[0] == run(*asked, "--load", "full=many")[0] == 2


def test_check_and_explain_look_at_an_environment(run, tmp_path):
    (tmp_path / "p.yaml").write_text(PLAN)
    (tmp_path / "overlays").mkdir()
    (tmp_path / "overlays" / "production.yaml").write_text("version: 1\nroutes: [{name: nobody, do: []}]\n")
    assert run("check", "p.yaml")[0] == 0
    code, output = run("check", "p.yaml", "--environment", "production")
    assert code == 1
    assert "overlays/production.yaml:2:17: routes[0].name: the plan has no route nobody" in output
