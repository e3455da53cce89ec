"""`dialplan new`: what it writes can be used at once."""

import pytest
from typer.testing import CliRunner

from bridge.cli.dialplan import app

TEMPLATES = ["after-hours", "clinic", "help-desk", "shop"]


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def run(*words):
        result = CliRunner().invoke(app, list(words))
        return result.exit_code, result.output

    return run


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_new_plan_passes_its_check_and_its_tests(run, tmp_path, name):
    code, output = run("new", name, "my/plan.yaml")
    assert (code, "sipbridge dialplan test my/plan.yaml" in output) == (0, True)
    assert run("check", "my", "--strict", "--at", "2026-11-21")[0] == 0
    assert run("test", "my/plan.yaml", "-q")[1].endswith(" 0 failed\n")
    plan, tests = (tmp_path / "my" / one for one in ("plan.yaml", "plan.test.yaml"))
    assert plan.read_text().startswith("# yaml-language-server: $schema=schema.json\n")
    assert tests.read_text().startswith("# yaml-language-server: $schema=test.schema.json\n")
    assert "sipbridge dialplan check plan.yaml" in plan.read_text()
    assert (plan.with_name("schema.json").read_text(), plan.with_name("test.schema.json").read_text()) == (
        run("schema")[1],
        run("schema", "--tests")[1],
    )


def test_the_templates_are_listed(run):
    code, output = run("new")
    assert (code, [line.split()[0] for line in output.splitlines()]) == (0, TEMPLATES)


def test_nothing_is_overwritten(run, tmp_path):
    (tmp_path / "shop.test.yaml").write_text("mine")
    code, output = run("new", "shop")
    assert (code, "shop.test.yaml is there already" in output) == (1, True)
    assert not (tmp_path / "shop.yaml").exists()


def test_a_template_that_is_none_is_told(run):
    assert "did you mean clinic?" in run("new", "klinic")[1]
    assert run("new", "shop", "plan.txt")[0] == 2
