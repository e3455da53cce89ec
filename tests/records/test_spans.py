"""A call's events as spans."""

import json

from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes

from bridge.records.spans import _HANDLERS, MAX_SPANS, Show, spans, trace_id, trace_id_text
from tests.fakes.events import Script, conversation

BARE = Show()


def named(script, name, show=BARE):
    return [span for span in spans(getattr(script, "events", script), show) if span.name == name]


def one(script, name, show=BARE):
    (span,) = named(script, name, show)
    return span


def tool_call():
    script = Script().tell("call.started", direction="inbound").tell("call.answered", 1.0)
    script.tell("function_call", 1.0, name="refund", function="f1", arguments='{"amount": 40}')
    script.tell("tool.state", 0.1, function="f1", state="confirming")
    script.tell("tool.state", 2.0, function="f1", state="pending")
    script.tell("tool.state", 5.0, function="f1", state="executing")
    script.tell("tool.state", 0.5, function="f1", state="succeeded")
    script.tell("function_output", function="f1", name="refund", output='{"status": "done"}')
    return script.tell("call.ended", 1.0, by="caller", status=200)


def test_the_root_is_the_call_and_says_how_it_ended():
    root = spans(conversation())[0]
    assert (root.name, root.kind, root.parent, root.error) == ("call inbound", "server", None, "")
    assert root.attributes["sipbridge.cause"] == "caller"
    assert root.attributes["sipbridge.route"] == "reception"
    assert root.attributes["gen_ai.conversation.id"] == "call-1"
    assert {span.parent for span in spans(conversation())[1:]} == {0}


def test_a_call_that_we_place_is_a_client_span():
    script = (
        Script().tell("call.started", direction="outbound").tell("call.ended", 1, by="caller", status=486)
    )
    root = spans(script.events)[0]
    assert (root.name, root.kind, root.error) == ("call outbound", "client", "")


def test_ringing_lasts_to_the_answer_or_to_the_end():
    assert round(one(conversation(), "ring").end_s - one(conversation(), "ring").start_s, 2) == 0.1
    gave_up = Script().tell("call.started").tell("call.ended", 7.0, by="caller", status=487)
    assert one(gave_up, "ring").end_s == 1007.0


def test_a_response_has_the_attributes_of_the_genai_conventions():
    script = (
        Script().tell("call.started").tell("session.connecting", provider="azure", model="m", agent="desk")
    )
    usage = {"text_in": 10, "audio_in": 5, "text_cached": 4, "audio_cached": 1, "text_out": 2, "audio_out": 8}
    script.tell(
        "response", 5.0, response_id="r1", status="completed", usage=usage, cost_usd=0.01, first_audio_ms=250.0,
        latency_ms=300.0, duration_ms=2000.0,
    )  # fmt: skip
    span = one(script, "chat m")
    assert (span.kind, span.start_s, span.end_s) == ("client", 1003.0, 1005.0)
    assert span.attributes == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "azure.ai.openai",
        "gen_ai.request.model": "m",
        "gen_ai.agent.name": "desk",
        "gen_ai.output.type": "speech",
        "gen_ai.response.id": "r1",
        "gen_ai.response.finish_reasons": ("completed",),
        "gen_ai.response.time_to_first_chunk": 0.25,
        "gen_ai.usage.input_tokens": 15,
        "gen_ai.usage.output_tokens": 10,
        "gen_ai.usage.cache_read.input_tokens": 5,
        "sipbridge.cost_usd": 0.01,
        "sipbridge.latency_s": 0.3,
    }


def test_every_genai_attribute_is_one_that_the_conventions_know():
    known = {value for name, value in vars(gen_ai_attributes).items() if name.startswith("GEN_AI_")}
    everything = [*conversation(), *tool_call().events]
    found = {name for span in spans(everything, Show(numbers=True, words=True)) for name in span.attributes}
    assert {name for name in found if name.startswith("gen_ai.")} <= known


def test_a_failed_response_and_a_lost_session_are_errors():
    script = Script().tell("call.started").tell("session.connecting", model="m", provider="openai")
    script.tell("session.failed", 1.0, code="http_401", message="no key")
    script.tell("response", status="failed", reason="rate_limit_exceeded", duration_ms=100.0)
    assert one(script, "connect m").error == "http_401: no key"
    assert one(script, "connect m").attributes["error.type"] == "http_401"
    assert one(script, "chat m").attributes["error.type"] == "rate_limit_exceeded"


def test_a_tool_call_has_its_waits_as_children():
    found = spans(tool_call().events)
    (place,) = [index for index, span in enumerate(found) if span.name == "execute_tool refund"]
    waits = [(span.name, round(span.end_s - span.start_s, 2)) for span in found if span.parent == place]
    assert waits == [("caller confirms", 2.0), ("approval wait", 5.0)]
    tool = found[place]
    assert round(tool.end_s - tool.start_s, 2) == 7.6
    assert tool.attributes == {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "refund",
        "gen_ai.tool.call.id": "f1",
        "gen_ai.tool.type": "function",
        "sipbridge.tool.state": "succeeded",
    }


def test_transfers_legs_holds_and_queues_are_spans():
    script = Script().tell("call.started").tell("call.held", 1).tell("call.resumed", 2)
    script.tell("queue.position", queue="support").tell("queue.position", 5, queue="support")
    script.tell("leg.dialled", 1, leg="ann").tell(
        "queue.connected", 3, queue="support", member="ann", waited_s=9
    )
    script.tell("leg.ended", 60, leg="ann", answered=True, status=200)
    script.tell("transfer.started", target="boss").tell(
        "command", 4, kind="transfer", ok=False, error="486 Busy"
    )
    length = {span.name: round(span.end_s - span.start_s) for span in spans(script.events)[2:]}
    assert length == {"hold": 2, "queue support": 9, "leg ann": 63, "transfer boss": 4}
    assert one(script, "transfer boss").error == "486 Busy"
    assert one(script, "leg ann").attributes["sipbridge.answered"] is True


def test_nothing_personal_is_in_a_trace_unless_it_is_asked_for():
    events = [*conversation(), *tool_call().events]
    bare = json.dumps([span.attributes for span in spans(events)], default=str) + repr(spans(events))
    for secret in ("alice", "100@bridge", "127.0.0.1", "Where is my order", "amount", '"5"'):
        assert secret not in bare
    root = spans(conversation(), Show(numbers=True))[0]
    assert root.attributes["sipbridge.from"] == "sip:alice@host"
    said = [
        span.attributes.get("sipbridge.text")
        for span in named(conversation(), "caller speaks", Show(words=True))
    ]
    assert said == ["Where is my order?", None]
    assert (
        "amount"
        in one(tool_call(), "execute_tool refund", Show(words=True)).attributes["gen_ai.tool.call.arguments"]
    )


def test_what_never_ended_lasts_to_the_end_of_the_call():
    script = Script().tell("call.started").tell("call.held", 1.0).tell("call.ended", 9.0, by="caller")
    assert one(script, "hold").end_s == 1010.0


def test_a_call_has_the_same_trace_id_whoever_asks():
    assert trace_id("call-1") == trace_id("call-1") != trace_id("call-2")
    assert trace_id_text("call-1") == f"{trace_id('call-1'):032x}"
    assert 0 < trace_id("") < 2**128


def test_a_call_without_end_makes_a_bounded_trace():
    script = Script().tell("call.started")
    for _ in range(MAX_SPANS):
        script.tell("call.held", 1.0).tell("call.resumed", 1.0).tell("error", where="x", code="y")
    found = spans(script.events)
    assert len(found) == MAX_SPANS
    assert len(found[0].events) == 200


def test_no_events_make_no_trace():
    assert spans([]) == []


VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=6), st.just({"a": [1]})
)
KEYS = st.sampled_from(
    ["status", "duration_ms", "usage", "call_id_", "state", "leg", "kind", "who", "reason", "ms"]
)


@given(
    st.lists(
        st.tuples(st.sampled_from(sorted(_HANDLERS)), st.floats(0, 5), st.dictionaries(KEYS, VALUES)),
        max_size=9,
    )
)
def test_whatever_events_say_spans_are_sane(told):
    script = Script()
    for type_, after_s, data in told:
        script.tell(type_, after_s, **data)
    found = spans(script.events, Show(numbers=True, words=True))
    for index, span in enumerate(found):
        assert span.end_s >= span.start_s
        assert (span.parent is None) == (index == 0)
        assert span.parent is None or span.parent < index
        assert all(isinstance(value, str | bool | int | float | tuple) for value in span.attributes.values())
