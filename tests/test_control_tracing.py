"""Traces as a real collector gets them: over HTTP, decoded from OTLP's own protobuf."""

import asyncio
import sys
import time

import pytest
import structlog

from bridge.control_metrics import Counts
from bridge.control_tracing import MAX_WAITING, Tracer, traced
from bridge.errors import SettingsError, StoreError
from bridge.records.course import Course
from bridge.records.spans import trace_id
from bridge.settings_observe import Tracing
from bridge.store.store import Store
from tests.fakes.events import Script, conversation
from tests.fakes.otlp import collecting, values

GUARD_S = 10.0


def settings(collector, **more):
    return Tracing(enabled=True, endpoint=collector.url, timeout_s=2, **more)


async def send(events, tracing, environ=None):
    """Store these events in a new store with tracing on, and close it all."""
    counts = Counts()
    async with Store("sqlite://") as store, traced(tracing, environ or {}, store, counts) as tracer:
        await store.write(0, events)
    return tracer, counts


async def test_a_call_is_one_trace_with_everything_in_its_place():
    with collecting() as collector:
        await send(conversation(), settings(collector))
    assert {span.trace_id for span in collector.spans} == {trace_id("call-1").to_bytes(16, "big")}
    (root,) = [span for span in collector.spans if not span.parent_span_id]
    assert root.name == "call inbound"
    assert {span.parent_span_id for span in collector.spans if span is not root} == {root.span_id}
    names = [span.name for span in sorted(collector.spans, key=lambda span: span.start_time_unix_nano)]
    assert names[:4] == ["call inbound", "ring", "connect gpt-realtime-2.1", "agent speaks"]
    assert len(collector.named("chat gpt-realtime-2.1")) == 2
    assert root.start_time_unix_nano == 1000 * 10**9
    assert (root.end_time_unix_nano - root.start_time_unix_nano) / 1e9 == pytest.approx(7.7, abs=0.01)
    assert [event.name for event in root.events] == ["barge_in", "dtmf"]
    assert values(root.attributes)["sipbridge.cause"] == "caller"
    assert collector.resources[0]["service.name"] == "sipbridge"


async def test_secrets_go_along_as_headers_and_nothing_personal_goes_along_at_all():
    with collecting() as collector:
        tracing = settings(collector, headers_env={"authorization": "COLLECTOR_TOKEN"})
        await send(conversation(), tracing, {"COLLECTOR_TOKEN": "Bearer abc"})
    assert collector.headers[0]["authorization"] == "Bearer abc"
    everything = " ".join(str(span) for span in collector.spans)
    for secret in ("alice", "Where is my order", "Hello, how", "127.0.0.1:5080"):
        assert secret not in everything


async def test_a_collector_that_is_away_costs_a_call_nothing_and_is_told_once():
    tracing = Tracing(enabled=True, endpoint="http://127.0.0.1:1/v1/traces", timeout_s=0.2)
    with structlog.testing.capture_logs() as lines:
        began_s = time.monotonic()
        tracer, counts = await send(conversation(), tracing)
    assert time.monotonic() - began_s < 8.0
    assert [line["event"] for line in lines if line["event"].startswith("tracing")] == ["tracing.fails"]
    assert tracer.outcomes["failed"] > 0
    assert 'sipbridge_calls_ended_total{direction="inbound",kind="success"} 1.0' in counts.render(())[1]


async def test_a_collector_that_refuses_counts_as_failed():
    with collecting(status=400) as collector:
        tracer, _ = await send(conversation(), settings(collector))
    assert tracer.outcomes["exported"] == 0
    assert tracer.outcomes["failed"] > 5


async def test_a_sample_leaves_calls_out_but_never_one_that_failed():
    failed = (
        Script("bad")
        .tell("call.started")
        .tell("call.ended", by="bridge", status=500, reason="internal error")
    )
    with collecting() as collector:
        await send(conversation(), settings(collector, sample=0))
        await send(failed.events, settings(collector, sample=0))
    assert {span.trace_id for span in collector.spans} == {trace_id("bad").to_bytes(16, "big")}
    (root,) = [span for span in collector.spans if not span.parent_span_id]
    assert root.status.code == root.status.STATUS_CODE_ERROR
    assert "a fault of the bridge" in root.status.message


async def test_metrics_and_traces_meet_in_the_exemplars():
    with collecting() as collector:
        _, counts = await send(conversation(), settings(collector))
    text = counts.render((), "application/openmetrics-text")[1]
    assert f'trace_id="{trace_id("call-1"):032x}"' in text


async def test_more_ended_calls_than_can_wait_are_dropped_and_counted():
    async def never(_call_id):
        await asyncio.Event().wait()

    async with Tracer(Tracing(enabled=True, endpoint="http://127.0.0.1:1/"), {}, never) as tracer:
        for number in range(MAX_WAITING + 3):
            tracer.ended(Course(call_id=f"c{number}", by="caller", answered_s=1.0))
        assert tracer.outcomes["dropped"] == 3
        assert {metric.name: metric.samples[-1][1] for metric in tracer.metrics()} == {
            "sipbridge_traces_total": 3.0,
            "sipbridge_traces_waiting": float(MAX_WAITING),
        }


async def test_a_store_that_gives_no_events_costs_one_trace_only():
    asked = []

    async def broken(call_id):
        asked.append(call_id)
        if call_id == "c1":
            raise StoreError("locked")
        return conversation(call_id=call_id)

    with collecting() as collector:
        async with Tracer(settings(collector), {}, broken) as tracer, asyncio.TaskGroup() as tasks:
            running = tasks.create_task(tracer.run())
            for call_id in ("c1", "c2"):
                tracer.ended(Course(call_id=call_id, by="caller", answered_s=1.0))
            await tracer.idle(GUARD_S)
            running.cancel()
    assert asked == ["c1", "c2"]
    assert tracer.outcomes["dropped"] == 1
    assert {span.trace_id for span in collector.spans} == {trace_id("c2").to_bytes(16, "big")}


async def test_without_tracing_nothing_of_it_is_there():
    async with Store("sqlite://") as store, traced(Tracing(), {}, store, Counts()) as tracer:
        assert tracer is None


async def test_who_wants_traces_and_has_no_opentelemetry_is_told_what_to_install(monkeypatch):
    """The extra is optional: a module that is None in sys.modules is one that cannot be imported."""
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(SettingsError, match=r"pip install sipbridge\[otel\]"):
        async with Store("sqlite://") as store, traced(Tracing(enabled=True), {}, store, Counts()):
            pass
