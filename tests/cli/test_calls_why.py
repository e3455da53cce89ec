"""`sipbridge calls why`, and the moments of `calls show`."""

import json

from bridge.cli.calls_why import explanation, moment_lines
from tests.cli.test_calls import config, fill, run
from tests.fakes.events import Script, conversation

__all__ = ["config"]


def lost_model():
    script = Script("lost").tell("call.started", direction="inbound", worker="worker-2", route="desk")
    script.tell("session.connecting", provider="openai").tell("call.answered", 1.0)
    script.tell("session.failed", 4.0, code="http_401", message="invalid_api_key")
    script.tell("step.failed", step="agent", reason="http_401: invalid_api_key")
    return script.tell("call.ended", 1.0, by="bridge", status=503, reason="the agent is not available").events


def test_the_sentence_comes_first_then_the_facts(config):
    fill(config, lost_model())
    lines = run(config, "why", "lost").output.splitlines()
    assert lines[0] == "lost: the speech model of provider openai was lost: http_401: invalid_api_key"
    facts = {line[2:12].strip(): line[13:] for line in lines[1:]}
    assert (facts["cause"], facts["class"], facts["ended by"]) == ("model_lost", "provider_error", "bridge")
    assert (facts["worker"], facts["talked"], facts["rang"]) == ("worker-2", "5.0 s", "1.0 s")
    assert facts["step"] == "agent: http_401: invalid_api_key"
    assert "providers.openai" in facts["look at"]


def test_for_programs_it_is_the_log_lines_facts(config):
    fill(config, lost_model())
    found = json.loads(run(config, "why", "last", "--json").output)
    assert (found["call_id"], found["cause"], found["kind"]) == ("lost", "model_lost", "provider_error")


def test_a_call_whose_worker_died_says_how(config):
    script = Script("dead", boot="b9").tell("call.started", worker="worker-0").tell("call.answered", 1)
    fill(config, script.events, deaths=["b9"])
    assert "signal 9 (SIGKILL)" in run(config, "why", "dead").output.splitlines()[0]


def test_a_call_that_runs_is_not_explained_yet(config):
    fill(config, Script("on").tell("call.started").events)
    assert run(config, "why", "on").output.splitlines()[0] == "on: the call is not over"


def test_what_a_stranger_sent_does_not_steer_the_terminal(config):
    fill(
        config,
        Script("x")
        .tell("call.started")
        .tell("call.ended", by="bridge", status=500, reason="\x1b[31m")
        .events,
    )
    assert "\x1b" not in run(config, "why", "x").output


def test_the_moments_of_a_call_are_shown_in_milliseconds():
    lines = moment_lines(conversation())
    assert [" ".join(line.split()) for line in lines] == [
        "answer to greeting 200 ms",
        "last word to response 800 ms",
        "barge-in to silence 12 ms",
    ]


def test_show_has_the_moments(config):
    fill(config, conversation())
    assert "answer to greeting" in run(config, "show", "call-1").output


def test_an_explanation_of_nothing_is_that_nothing_is_over():
    assert explanation([])["cause"] == "running"
