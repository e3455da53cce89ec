"""`dialplan diff`: files, kept versions, the plan in force, and the calls of the store."""

import asyncio

import pytest
from typer.testing import CliRunner

from bridge.cli.dialplan import app
from bridge.cli.plandiff import user
from bridge.dialplan import load
from bridge.store.store import Store
from tests.fakes.events import Script

OLD = "version: 1\nroutes: [{name: first, when: {to: '100'}, do: [{hang_up: {}}]}, {name: rest, do: [{hang_up: {}}]}]\n"
NEW = OLD.replace("'100'", "['101', '102']")


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "old.yaml").write_text(OLD)
    (tmp_path / "new.yaml").write_text(NEW)
    (tmp_path / "s.yaml").write_text("state_dir: state\ndialplans: new.yaml\n")
    return tmp_path


def run(*words):
    result = CliRunner().invoke(app, ["diff", *words, "--config", "s.yaml"])
    return result.exit_code, result.output


def test_two_files_are_compared(here):
    code, output = run("old.yaml", "new.yaml")
    assert code == 1
    assert "~ route first\n    - when to 100\n    + when to 101 or 102\n" in output
    assert run("old.yaml", "old.yaml")[0] == 0


def test_versions_that_are_kept_and_the_one_in_force_have_names(here):
    plan = load.load(here / "old.yaml")
    for name in (f"plans/{plan.version}.json", "run/plan.json"):
        path = here / "state" / name
        path.parent.mkdir(parents=True)
        path.write_text(plan.to_json())
    expected = run("old.yaml", "new.yaml")
    assert run(plan.version, "new.yaml") == run(plan.version[:6]) == run("running") == run() == expected


def test_a_version_that_nobody_kept_is_told(here):
    code, output = run("0123456789ab")
    assert (code, "0123456789ab" in output, "1 mistake" in output) == (1, True, True)
    (here / "bad.json").write_text("{}")
    code, output = run("bad.json")
    assert (code, "no plan is kept here" in output) == (1, True)


def call(number, to, headers=None):
    data = {"direction": "inbound", "from": "+4930", "to": to, "headers": headers or {}}
    script = Script(call_id=f"call-{number}", boot=f"b{number}", at=1000.0 + number)
    return script.tell("call.started", **data).events


def fill(here, *calls):
    async def write():
        (here / "state").mkdir()
        async with Store(f"sqlite:///{here}/state/sipbridge.db") as store:
            for events in calls:
                await store.write(0, events)

    asyncio.run(write())


def test_the_last_calls_show_who_would_be_routed_differently(here):
    fill(here, call(1, "100"), call(2, "101"), call(3, "100"), call(4, "7"))
    output = run("old.yaml", "new.yaml", "--calls", "100")[1]
    assert "3 of the last 4 calls would be routed differently" in output
    assert "      2  first -> rest\n           +4930 to 100\n" in output
    assert "      1  rest -> first\n           +4930 to 101\n" in output
    assert "0 of the last 2 calls" in run("old.yaml", "old.yaml", "--calls", "2")[1]


def test_routes_that_ask_for_headers_see_those_of_the_call(here):
    (here / "new.yaml").write_text(OLD.replace("to: '100'", "headers: {X-A: gold}"))
    fill(here, call(1, "7", {"X-A": "gold"}), call(2, "7"))
    assert (
        "1 of the last 2 calls would be routed differently" in run("old.yaml", "new.yaml", "--calls", "9")[1]
    )


def test_what_a_caller_sent_does_not_steer_the_terminal(here):
    fill(here, call(1, "100\x1b[2J"))
    (here / "new.yaml").write_text(OLD.replace("'100'", "'100*'"))
    assert "\x1b" not in run("old.yaml", "new.yaml", "--calls", "9")[1]


@pytest.mark.parametrize(
    ("party", "number"), [("+4930", "+4930"), ("sip:100@h;x=1", "100"), ("tel:+49;x", "+49"), (None, "")]
)
def test_the_number_of_a_party(party, number):
    assert user(party) == number
