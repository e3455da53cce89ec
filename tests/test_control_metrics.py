"""Events that were committed, as Prometheus sees them."""

import os
import time

import pytest
import structlog
from prometheus_client.parser import text_string_to_metric_families

from bridge.control_health import Metric
from bridge.control_metrics import Counts, process_gauges
from bridge.records.metrics import Sample
from tests.fakes.events import Script, conversation

MAX_SERIES = 900


def values(counts, name, accept=""):
    _, text = counts.render((), accept)
    return {
        tuple(sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name
    }


def value(counts, name, **labels):
    return values(counts, name)[tuple(sorted(labels.items()))]


def test_a_call_is_in_the_metrics_as_soon_as_it_is_stored():
    counts = Counts()
    counts.stored(conversation())
    assert value(counts, "sipbridge_calls_ended_total", direction="inbound", kind="success") == 1
    assert value(counts, "sipbridge_barge_in_seconds_sum") == pytest.approx(0.012)
    assert value(counts, "sipbridge_cost_usd_total") == pytest.approx(0.03)


def test_counters_are_there_before_anything_happens():
    counts = Counts()
    assert value(counts, "sipbridge_calls_ended_total", direction="outbound", kind="server_error") == 0
    assert value(counts, "sipbridge_calls_not_ended_total") == 0
    assert value(counts, "sipbridge_tool_wait_seconds_count", waited_for="approver") == 0


def test_two_controls_count_apart():
    one, other = Counts(), Counts()
    one.stored(conversation())
    assert value(other, "sipbridge_calls_ended_total", direction="inbound", kind="success") == 0


def test_whatever_happens_there_are_not_more_series():
    counts = Counts()
    for number in range(300):
        script = Script(f"c{number}")
        script.tell("call.started", direction=f"d{number}", worker=f"w{number}", route=f"r{number}")
        script.tell("session.failed", code=f"code-{number}").tell(
            "error", where=f"w{number}", code="dead_air"
        )
        script.tell("response", status=f"s{number}", usage={f"k{number}": 5, "text_in": 1}, cost_usd=0.1)
        script.tell("function_call", name=f"f{number}", function="f").tell(
            "tool.state", function="f", state=f"{number}"
        )
        script.tell("function_output", function="f").tell(f"type.{number}")
        script.tell("call.ended", by=f"b{number}", status=number, reason=f"r{number}")
        counts.stored(script.events)
    _, text = counts.render((), "")
    assert sum(not line.startswith("#") for line in text.splitlines()) < MAX_SERIES


def test_gauges_of_others_stand_beside_the_counters_in_both_formats():
    gauge = Metric("sipbridge_x", "gauge", "X.", (({"node": "a"}, 2.0),))
    counter = Metric("sipbridge_y_total", "counter", "Y.", (({}, 3.0),))
    for accept, end in (("", ""), ("application/openmetrics-text", "# EOF\n")):
        _, text = Counts().render((gauge, counter), accept)
        assert 'sipbridge_x{node="a"} 2.0\n' in text
        assert "sipbridge_y_total 3.0\n" in text
        assert text.endswith(end)


def test_an_exemplar_names_the_trace_for_who_reads_openmetrics():
    counts = Counts()
    counts.exemplar = lambda call_id: f"trace-of-{call_id}"
    counts.stored(conversation())
    assert 'trace_id="trace-of-call-1"' in counts.render((), "application/openmetrics-text")[1]
    assert "trace-of" not in counts.render((), "")[1]


def test_a_strange_accept_header_gets_plain_text():
    for accept in ("application/openmetrics-text; version=evil", "\x00", "text/plain; version=9.x"):
        content_type, text = Counts().render((), accept)
        assert "sipbridge_calls_started_total" in text
        assert "evil" not in content_type


@pytest.mark.parametrize(
    ("states", "outcome"),
    [
        (["pending", "approved", "executing"], "approved"),
        (["confirming", "pending", "denied"], "denied"),
        (["pending", "expired"], "expired"),
        (["pending", "cancelled"], "cancelled"),
        (["pending", "executing", "succeeded"], "approved"),
    ],
)
def test_a_request_that_waited_for_a_person_counts_once_by_what_became_of_it(states, outcome):
    counts, before = Counts(), None
    for state in states:
        counts.gate("r1", before, state)
        before = state
    found = values(counts, "sipbridge_approvals_total")
    assert {dict(labels)["outcome"]: number for labels, number in found.items() if number} == {outcome: 1}
    assert value(counts, "sipbridge_approval_seconds_count", outcome=outcome) == 1


def test_a_request_that_nobody_was_asked_about_is_no_approval():
    counts = Counts()
    for before, state in ((None, "approved"), ("approved", "executing"), ("executing", "succeeded")):
        counts.gate("r1", before, state)
    assert not any(values(counts, "sipbridge_approvals_total").values())


def test_a_call_that_failed_leaves_one_line_that_says_why():
    counts = Counts()
    script = Script().tell(
        "call.started", direction="inbound", worker="worker-3", route="desk", trunk="carrier"
    )
    script.tell("session.failed", 1.0, code="http_401", message="no such key")
    script.tell("call.ended", 1.0, by="bridge", status=503, reason="the agent is not available")
    with structlog.testing.capture_logs() as lines:
        counts.stored(script.events)
    (line,) = lines
    assert (line["event"], line["log_level"], line["call_id"]) == ("call.failed", "warning", "call-1")
    assert (line["cause"], line["session_error"]) == ("model_lost", "http_401: no such key")
    assert (line["worker"], line["trunk"], line["route"]) == ("worker-3", "carrier", "desk")
    assert line["hint"]


@pytest.mark.parametrize(
    ("end", "level"),
    [
        ({"by": "caller", "status": 487}, "info"),
        ({"by": "bridge", "status": 503, "reason": "All Lines Busy"}, "warning"),
        ({"by": "bridge", "reason": "worker_died"}, "error"),
    ],
)
def test_the_line_is_as_loud_as_the_failure(end, level):
    with structlog.testing.capture_logs() as lines:
        Counts().stored(Script().tell("call.started").tell("call.ended", **end).events)
    assert [line["log_level"] for line in lines] == [level]


def test_a_call_that_went_well_is_told_to_whoever_wants_to_know_and_not_logged():
    counts, over = Counts(), []
    counts.ended = over.append
    with structlog.testing.capture_logs() as lines:
        counts.stored(conversation())
    assert [course.call_id for course in over] == ["call-1"]
    assert not lines


def test_a_call_that_does_not_end_after_its_bye_is_an_alarm_once():
    counts = Counts()
    counts.stored(Script(mono=0.0).tell("call.started").tell("call.answered").tell("call.closing").events)
    with structlog.testing.capture_logs() as lines:
        for now in (200.0, 301.0, 400.0):
            counts.look(now)
    assert [line["event"] for line in lines] == ["call.not_ended"]
    assert value(counts, "sipbridge_calls_not_ended_total") == 1


def test_the_memory_and_time_of_processes_come_from_proc():
    memory, cpu = process_gauges({"0": os.getpid(), "1": 2**30})
    ((labels, resident),) = memory.samples
    assert labels == {"worker": "0"}
    assert 5e6 < resident < 2e9
    assert cpu.samples[0][1] == pytest.approx(time.process_time(), abs=1.0)


def test_a_quantile_is_told_about_as_the_buckets_have_it():
    counts = Counts()
    assert counts.quantile("response_seconds", 0.5) is None
    for seconds in (0.3, 0.4, 0.45, 2.0):
        counts._count(Sample("response_seconds", (), seconds))  # as a stored event would
    middle, most = counts.quantile("response_seconds", 0.5), counts.quantile("response_seconds", 0.99)
    assert middle < 0.6 < most <= 3.0
