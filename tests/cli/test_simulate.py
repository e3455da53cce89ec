"""`dialplan simulate` in parts; the whole of it, with real SIP, is in tests/system/test_simulate.py."""

import json

from bridge.cli import simulate
from bridge.dialplan.plan import Plan
from bridge.settings import load


def test_each_step_waits_for_the_prompt_before_it():
    steps = [one for step in ({"dtmf": "1,2"}, {"say": "hello, you"}) for one in simulate._split(step)]
    assert simulate.script(steps)["steps"] == [
        {"after_agent": True}, {"dtmf": "1"}, {"after_agent": True}, {"dtmf": "2"}, {"after_agent": True},
        {"say": "hello, you"}, {"after_agent": True}, {"wait_ms": 2000},
    ]  # fmt: skip


def test_without_a_step_it_listens():
    assert simulate.script([])["steps"][0] == {"after_agent": True}


def test_the_private_bridge_has_no_tools_and_no_provider_of_the_real_one(tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    monkeypatch.setenv("SIPBRIDGE_STORE", "postgresql://real/one")
    loaded = load(None, {})
    environ = simulate._environ(tmp_path, loaded, tools=False, scenario=None)
    private = load(None, environ)
    assert "OPENAI_API_KEY" not in environ
    assert private.store == f"sqlite:///{tmp_path}/sipbridge.db"
    assert (list(private.providers), private.state_dir) == (["local"], tmp_path)
    assert list(private.tools.iterdir()) == []


def test_its_tools_and_its_scenario_can_be_named(tmp_path):
    loaded = load(None, {})
    scenario = tmp_path / "s.yaml"
    scenario.write_text("")
    private = load(None, simulate._environ(tmp_path, loaded, tools=True, scenario=scenario))
    assert private.tools == loaded.tools
    assert private.providers["local"].scenario == scenario


def test_a_plan_that_is_kept_is_read_as_it_is(tmp_path):
    from bridge.dialplan import load as dialplans

    (tmp_path / "plan.json").write_text(Plan((), ()).to_json())
    assert dialplans.load(tmp_path / "plan.json") == Plan((), ())
    assert json.loads((tmp_path / "plan.json").read_text())["routes"] == []
