"""Fault scripts: the file and the machine that follows it."""

import pytest
from pydantic import ValidationError

from bridge.errors import ScenarioError
from bridge.sim.actions import Close, Drop, HalfOpen, Send, SendRaw
from bridge.sim.script import Fault, Faults, ResponseFault, Script, load


def faults(*entries, **script):
    return Faults(Script.model_validate({"faults": list(entries)} | script), 100.0)


def test_the_empty_script_is_a_healthy_server():
    healthy = faults()
    assert healthy.next_response() == ResponseFault()
    assert healthy.at_event("sending", "response.done") == []
    assert (healthy.due(1e9), healthy.wake_at()) == ([], None)


def test_timed_faults_come_in_order_and_once():
    run = faults({"after_ms": 500, "do": "drop"}, {"after_ms": 100, "do": "half_open", "seconds": 5})
    assert run.wake_at() == pytest.approx(100.1)
    assert run.due(100.05) == []
    assert run.due(100.6) == [HalfOpen(5), Drop()]
    assert run.due(101.0) == []


def test_the_nth_event_counts_by_direction():
    run = faults({"sending": "error", "nth": 2, "do": "close", "code": 1012, "reason": "r"})
    assert run.at_event("receiving", "error") == []
    assert run.at_event("sending", "error") == []
    assert run.at_event("sending", "error") == [Close(1012, "r")]
    assert run.at_event("sending", "error") == []


def test_every_kind_of_fault_has_its_actions():
    expire = Fault.model_validate({"after_ms": 0, "do": "expire"}).actions()
    assert isinstance(expire[0], Send)
    assert expire[0].event["error"]["code"] == "session_expired"
    assert expire[1] == Close(1001, "session expired")
    (error,) = Fault.model_validate({"after_ms": 0, "do": "error"}).actions()
    assert error.event["error"]["code"] == "server_error"
    assert Fault.model_validate({"after_ms": 0, "do": "send", "text": "x"}).actions() == [SendRaw("x")]


def test_responses_are_chosen_by_number_or_all():
    run = faults(responses=[{"nth": 2, "silence": True}, {"first_audio_ms": 7}])
    assert [run.next_response().first_audio_ms for _ in range(3)] == [7, 0, 7]


@pytest.mark.parametrize("moment", [{}, {"after_ms": 1, "sending": "error"}])
def test_a_fault_has_exactly_one_moment(moment):
    with pytest.raises(ValidationError, match="exactly one"):
        Fault.model_validate({"do": "drop"} | moment)


def test_a_file_is_checked_with_its_lines(tmp_path):
    path = tmp_path / "faults.yaml"
    path.write_text("version: 1\nfaults:\n  - {after_ms: 5, do: drop}\n")
    assert load(path).faults[0].do == "drop"
    path.write_text("version: 1\nfaults:\n  - {after_ms: 5, do: explode}\nsession_secs: 4\n")
    with pytest.raises(ScenarioError) as caught:
        load(path)
    assert [(problem.line, problem.key) for problem in caught.value.problems] == [
        (3, "faults[0].do"),
        (4, "session_secs"),
    ]
