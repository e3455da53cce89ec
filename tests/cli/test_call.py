"""The command `sipbridge call`: options in their order, and what its exit status and report say."""

import json
from dataclasses import replace

import pytest
import typer
from typer.testing import CliRunner

from bridge.cli import call as module
from bridge.cli.call import as_dict, describe, exit_code, polite, sip_uri
from bridge.cli.main import app
from bridge.sim.phone import PhoneReport
from bridge.sim.phonescript import Outcome
from bridge.sim.phonetimes import Times, Turn
from bridge.sip.events import MediaStats

REPORT = PhoneReport(
    uri="sip:100@127.0.0.1", answered=True, ring_ms=2.0, answer_ms=51.0, duration_s=12.5, ended_by="phone", status=200,
    reason="done", codec="PCMU", script=Outcome.DONE, steps=3, steps_done=3, problem="",
    times=Times(80, (Turn(3000, 4000, 540, None), Turn(6000, 6500, None, 120)), 540, 4000, 1500),
    rtp=MediaStats(rx_packets=600), recording="/tmp/a.wav",
)  # fmt: skip


def steps_of(*words: str) -> list[dict]:
    """The steps a command line means."""
    context = typer.main.get_command(module.call).make_context("call", ["sip:1@h", *words])
    given = context.params | {
        "after_agent": [True] * context.params["after_agent"],
        "until_hang_up": [True] * context.params["until_hang_up"],
    }
    return list(
        module.in_order(
            context.meta[module.ORDER], {name: iter(given[name] or ()) for name in module._KEYS}, module._KEYS
        )
    )


def test_steps_are_carried_out_in_the_order_they_are_written() -> None:
    steps = steps_of(
        "--after-agent", "--say", "one", "--wait", "0.5", "--dtmf", "5", "--say", "two", "--after-agent", "--at", "9",
        "--during-agent", "1.25", "--until-hang-up",
    )  # fmt: skip

    assert steps == [
        {"after_agent": True}, {"say": "one"}, {"wait_ms": 500}, {"dtmf": "5"}, {"say": "two"}, {"after_agent": True},
        {"at_ms": 9000}, {"during_agent_ms": 1250}, {"until_hung_up": True},
    ]  # fmt: skip


def test_an_option_that_is_no_step_has_no_place_in_the_order() -> None:
    assert steps_of("--from", "1", "--say", "a", "--json") == [{"say": "a"}]


def test_lines_without_a_when_wait_for_the_agent() -> None:
    listen = {"after_agent": True}

    assert polite([{"say": "a"}, {"dtmf": "5"}]) == [listen, {"say": "a"}, listen, {"dtmf": "5"}, listen]
    assert polite([]) == [listen]


def test_who_says_when_gets_exactly_that() -> None:
    steps = [{"wait_ms": 500}, {"say": "a"}]

    assert polite(steps) == steps


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--dtmf", "12x"], "12x"),
        (["--header", "nonsense"], "Name: value"),
        (["--header", "X-A: b\nVia: c"], "Name: value"),
        (["--say", "a", "--script", "b.yaml"], "not both"),
        (["--from", "a\nb"], "control characters"),
    ],
)
def test_wrong_usage_is_status_2_and_says_why(words: list[str], complaint: str) -> None:
    result = CliRunner().invoke(app, ["call", "sip:100@127.0.0.1", *words])

    assert result.exit_code == 2
    assert complaint in result.output


@pytest.mark.parametrize(
    ("uri", "words", "complaint"),
    [
        ("100@", [], "not a SIP URI"),
        ("sip:1@127.0.0.1", ["--script", "/nowhere.yaml"], "/nowhere.yaml"),
        ("sip:1@127.0.0.1", ["--play", "/nowhere.wav"], "/nowhere.wav"),
        ("sip:1@127.0.0.1", ["--say", "a", "--voice", "nobody"], "nobody"),
    ],
)
def test_what_cannot_start_is_status_1_and_says_why(uri: str, words: list[str], complaint: str) -> None:
    result = CliRunner().invoke(app, ["call", uri, *words])

    assert result.exit_code == 1
    assert complaint in result.output


def test_the_status_tells_how_far_a_call_came() -> None:
    assert exit_code(REPORT, None) == 0
    assert exit_code(REPORT, 540) == 0
    assert exit_code(REPORT, 500) == 5
    assert exit_code(replace(REPORT, script=Outcome.FAILED), 500) == 4
    assert exit_code(replace(REPORT, answered=False, script=Outcome.FAILED), None) == 3


def test_the_report_is_json() -> None:
    report = json.loads(json.dumps(as_dict(REPORT)))

    assert report["script"] == "done"
    assert report["times"]["turns"][1] == {
        "said_from_ms": 6000, "said_to_ms": 6500, "response_ms": None, "stop_ms": 120
    }  # fmt: skip
    assert report["rtp"]["rx_packets"] == 600


def test_the_report_reads_well() -> None:
    lines = list(describe(replace(REPORT, script=Outcome.FAILED, problem="no word from the agent")))

    assert lines[0] == "answered     after 51 ms (ringing after 2 ms), PCMU"
    assert lines[2] == "said         3.00 to 4.00 s, answer after 540 ms"
    assert (
        lines[3]
        == "said         6.00 to 6.50 s, answer after -, interrupted: the agent fell silent in 120 ms"
    )
    assert "script       failed: no word from the agent" in lines
    assert lines[-1] == "recording    /tmp/a.wav"


def test_a_refused_call_is_one_line() -> None:
    assert list(describe(replace(REPORT, answered=False, status=486, reason="Busy Here"))) == [
        "not answered: 486 Busy Here"
    ]


def test_the_scheme_may_be_left_out() -> None:
    assert sip_uri("100@127.0.0.1:5070") == "sip:100@127.0.0.1:5070"
    assert sip_uri("sips:100@h") == "sips:100@h"
