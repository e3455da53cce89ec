import asyncio
import json

import pytest
from typer.testing import CliRunner

from bridge.cli.calls import app
from bridge.errors import StoreError
from bridge.records.cdr import CallRecord
from bridge.store.callrows import Death
from bridge.store.store import Store
from tests.fakes.events import Script, conversation


@pytest.fixture
def config(tmp_path):
    file = tmp_path / "settings.yaml"
    file.write_text("state_dir: state\ndialplans: plans\n")
    (tmp_path / "state").mkdir()
    return file


def fill(config, *scripts, deaths=()):
    async def write():
        async with Store(f"sqlite:///{config.parent}/state/sipbridge.db") as store:
            for events in scripts:
                await store.write(0, events)
            for boot in deaths:
                await store.adopt(0, boot, [], Death(1030.0, "the worker process ended: signal 9 (SIGKILL)"))

    asyncio.run(write())


def run(config, *words):
    return CliRunner().invoke(app, [*words, "--config", str(config)], catch_exceptions=False)


def test_the_list_shows_the_newest_calls_first(config):
    fill(config, conversation(), Script(call_id="later", boot="b2", at=2000.0).tell("call.started").events)
    lines = run(config, "list").output.splitlines()
    assert lines[0].split()[:4] == ["id", "started", "from", "to"]
    assert lines[1].startswith("later")
    assert "ringing" in lines[1]
    assert "sip:alice@host" in lines[2]
    assert "0.0300" in lines[2]
    assert len(run(config, "list", "--limit", "1").output.splitlines()) == 2


def test_the_list_for_programs_holds_every_field(config):
    fill(config, conversation())
    (row,) = json.loads(run(config, "list", "--json").output)
    assert set(row) == {"state", *CallRecord.__slots__}
    assert (row["state"], row["ended_by"]) == ("ended", "caller")


def test_an_empty_store_says_so(config):
    fill(config)
    assert run(config, "list").output == "no calls yet\n"


@pytest.mark.parametrize("name", ["last", "call", "call-1"])
def test_one_call_is_told_whole(config, name):
    fill(config, conversation())
    text = run(config, "show", name).output
    for words in (
        "Alice sip:alice@host",
        "reception (plan v1), agent default",
        "after 7.6 s, by caller: 200 normal BYE",
        "local gpt-realtime-2.1, ready after 40 ms",
        "PCMU 20 ms, loss 0.00 %, jitter 1.0 ms, round trip 2 ms, MOS 4.",
        "2 responses, 1 barge-ins, 1 DTMF digits",
        "$0.0300",
        "worst 420 ms",
        "/rec/call-1.wav (8.2 s)",
        "caller    ·····",
        "barge-in  heard 1000 ms, dropped 2500 ms, stopped in 12 ms",
        "  agent   Hello, how can I help?",
        "  caller  Where is my order?",
        "r1        completed",
    ):
        assert words in text


def test_one_call_for_programs_holds_record_and_events(config):
    fill(config, conversation())
    body = json.loads(run(config, "show", "last", "--json").output)
    assert body["record"]["responses"] == 2
    assert [event["type"] for event in body["events"]] == [event.type for event in conversation()]


def test_a_call_whose_worker_died_says_so(config):
    fill(config, Script().tell("call.started").tell("call.answered", 1).events, deaths=["b1"])
    text = run(config, "show", "last").output
    assert "by bridge: worker_died the worker process ended: signal 9 (SIGKILL)" in text


def test_a_call_in_progress_and_one_with_little_known_can_be_shown(config):
    script = Script().tell("call.started", **{"from": "1"}).tell("session.failed", code="close_1006")
    script.tell("session.connecting", provider="p").tell("response", usage="odd")
    fill(config, script.events)
    text = run(config, "show", "last").output
    assert "ringing (unknown direction)" in text
    assert "p , close_1006" in text
    fill(config, Script(call_id="n", boot="b2", at=1e300).tell("session.connecting", provider="q").events)
    assert "q , not connected" in run(config, "show", "n").output


def test_what_strangers_sent_does_not_steer_the_terminal(config):
    script = Script().tell("call.started", from_display="\x1b[2J[red]boo", **{"from": "a\nb"})
    script.tell("transcript", who="caller", item_id="i", text="\x1b]0;x\x07").tell(
        "error", message="\x1b[31m"
    )
    fill(config, script.events)
    text = run(config, "show", "last").output + run(config, "list").output
    assert "\x1b" not in text
    assert "\x07" not in text
    assert "[red]boo" in text


def test_a_beginning_that_fits_several_calls_or_none_is_an_error(config):
    fill(config, conversation(), Script(call_id="call-2", boot="b2").tell("call.started").events)
    with pytest.raises(StoreError, match="more than one call: call-"):
        run(config, "show", "call")
    with pytest.raises(StoreError, match="no call's id begins with 'x'"):
        run(config, "show", "x")
    with pytest.raises(StoreError, match="which call"):
        run(config, "show", "")


def test_before_the_first_call_the_error_says_what_is_missing(config):
    with pytest.raises(StoreError, match="there is no store at"):
        run(config, "list")
    fill(config)
    with pytest.raises(StoreError, match="no calls yet"):
        run(config, "show", "last")
