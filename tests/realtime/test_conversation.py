"""Demands: reference 1.3, 1.7 to 1.10 and 7; issue 2, point 6. Driven through the session, as the call does."""

import json
from decimal import Decimal

import pytest

from bridge.errors import FailureKind
from bridge.realtime.conversation import MAX_RESPONSES
from bridge.realtime.events import (
    AgentTranscript,
    AudioDelta,
    AudioDone,
    FunctionCall,
    IdleTimeout,
    InputCleared,
    InputCommitted,
    McpApprovalRequested,
    McpCallFinished,
    McpToolsListed,
    ResponseEnded,
    ResponseReport,
    ResponseStarted,
    SessionError,
    SpeechStarted,
    SpeechStopped,
    TranscriptionUsage,
    UserTranscript,
)
from bridge.realtime.usage import TranscriptionCount, Usage
from tests.fakes.realtime_events import (
    audio,
    created,
    done,
    function_item,
    output_added,
    output_done,
    server,
    session_body,
)
from tests.fakes.realtime_session import VAD, Driver, committed, item_added, speech_started, speech_stopped

PCM = bytes(range(96))
IDS = {"response_id": "resp_1", "item_id": "item_1", "output_index": 0, "content_index": 0}
AUDIO_DONE = server("response.output_audio.done", **IDS)
MCP_CALL = {"type": "mcp_call", "id": "mcp_1", "server_label": "crm", "name": "find", "arguments": "{}"}
APPROVAL = {**MCP_CALL, "type": "mcp_approval_request", "id": "ask_1"}
USAGE = {
    "total_tokens": 30,
    "input_tokens": 20,
    "output_tokens": 10,
    "input_token_details": {"audio_tokens": 20},
    "output_token_details": {"audio_tokens": 10},
}


def report_of(events: list) -> ResponseReport:
    (report,) = [event.report for event in events if isinstance(event, ResponseEnded)]
    return report


# --- one spoken turn ---


def test_a_spoken_turn_becomes_its_facts_in_order_with_its_times():
    call = Driver().ready()
    call.now = 10.0
    assert call.feed(speech_started()) == [SpeechStarted("user_1", 1000)]
    call.now = 12.0
    assert call.feed(speech_stopped(), committed()) == [
        SpeechStopped("user_1", 3000),
        InputCommitted("user_1"),
    ]
    call.now = 12.1
    assert call.feed(created("resp_1")) == [ResponseStarted("resp_1")]
    call.now = 12.4
    assert call.feed(audio("item_1", PCM)) == [AudioDelta("resp_1", "item_1", 0, PCM)]
    call.now = 12.5
    assert call.feed(audio("item_1", PCM), AUDIO_DONE) == [
        AudioDelta("resp_1", "item_1", 0, PCM),
        AudioDone("resp_1", "item_1"),
    ]
    report = report_of(call.feed(done("resp_1", usage=USAGE)))
    assert (report.asked_s, report.created_s, report.first_audio_s, report.ended_s) == (
        12.0,
        12.1,
        12.4,
        12.5,
    )
    assert report.latency_ms == pytest.approx(400)
    assert report.usage == Usage(audio_in=20, audio_out=10)
    assert report.cost_usd == Decimal(20 * 32 + 10 * 64) / 1_000_000


def test_a_response_of_ours_is_timed_from_its_create():
    call = Driver().ready()
    call.session.say("x")
    call.now = 5.0
    tag = call.tag()
    call.now = 5.5
    events = call.feed(created("resp_1", tag), audio("item_1", PCM), done("resp_1", metadata={"wish": tag}))
    assert report_of(events).asked_s == 5.0
    assert report_of(events).metadata == {"wish": tag}


def test_an_idle_timeout_is_the_callers_turn():
    call = Driver().ready()
    call.session.say("x")
    event = server("input_audio_buffer.timeout_triggered", item_id="user_1", audio_start_ms=0, audio_end_ms=9)
    assert call.feed(event) == [IdleTimeout("user_1")]
    assert call.sent() == []


def test_a_cleared_buffer_ends_the_callers_turn():
    call = Driver().ready()
    call.session.say("x")
    call.feed(speech_started())
    assert call.sent() == []
    assert call.feed(server("input_audio_buffer.cleared")) == [InputCleared()]
    assert call.sent_types() == ["response.create"]


def test_what_both_say_comes_as_fragments_and_whole():
    call = Driver().ready()
    call.feed(created("resp_1"))
    assert call.feed(
        server("response.output_audio_transcript.delta", **IDS, delta="He"),
        server("response.output_text.delta", **{**IDS, "response_id": "other"}, delta="llo"),
        server("response.output_audio_transcript.done", **IDS, transcript="Hello"),
    ) == [
        AgentTranscript("item_1", "He", final=False),
        AgentTranscript("item_1", "llo", final=False),
        AgentTranscript("item_1", "Hello", final=True),
    ]


def transcribed(item_id: str = "user_1", **usage) -> str:
    return server(
        "conversation.item.input_audio_transcription.completed",
        item_id=item_id,
        content_index=0,
        transcript="Hi",
        usage=usage,
    )


def test_the_callers_words_bring_their_price():
    call = Driver(transcription={"model": "gpt-transcribe"}).ready()
    words = UserTranscript("user_1", "Hi", final=True)
    used = TranscriptionUsage("user_1", TranscriptionCount(seconds=60.0), Decimal("0.0045"))
    assert call.feed(transcribed(type="duration", seconds=60.0)) == [words, used]


def test_tokens_of_a_transcription_are_priced_by_the_speech_the_vad_measured():
    call = Driver(transcription={"model": "whisper-1"}).ready()
    call.feed(speech_started(ms=1000), speech_stopped(ms=31_000))
    _, used = call.feed(transcribed(type="tokens", input_tokens=9, output_tokens=3, total_tokens=12))
    assert used.cost_usd == Decimal("0.003")


def test_a_transcript_without_usage_is_still_a_transcript():
    call = Driver().ready()
    event = '{"type":"conversation.item.input_audio_transcription.completed","item_id":"u","transcript":"Hi"}'
    assert call.feed(event) == [UserTranscript("u", "Hi", final=True)]


# --- interruption ---


def test_after_an_interruption_late_audio_is_dropped_and_a_new_response_is_not():
    call = Driver().ready()
    call.feed(created("resp_1"), audio("item_1", PCM), speech_started())
    call.session.interrupted()
    late = [
        audio("item_1", PCM),
        server("response.output_audio_transcript.delta", **IDS, delta="x"),
        AUDIO_DONE,
    ]
    assert call.feed(*late) == []
    call.feed(done("resp_1", "cancelled"), speech_stopped(), created("resp_2"))
    assert call.feed(audio("item_2", PCM, "resp_2")) == [AudioDelta("resp_2", "item_2", 0, PCM)]


def test_the_server_is_not_told_to_stop_when_its_own_vad_does_so():
    call = Driver().ready()
    call.feed(created("resp_1"), speech_started())
    call.session.interrupted()
    assert call.sent() == []


def test_the_server_is_told_to_stop_when_its_vad_heard_nothing():
    call = Driver().ready()
    call.feed(created("resp_1"))
    call.session.interrupted()
    assert call.sent() == [{"type": "response.cancel", "response_id": "resp_1"}]


@pytest.mark.parametrize("turn_detection", [None, {**VAD, "interrupt_response": False}])
def test_the_server_is_told_to_stop_when_it_does_not_interrupt_by_itself(turn_detection):
    call = Driver(turn_detection=turn_detection).ready()
    call.feed(created("resp_1"), speech_started())
    call.session.interrupted()
    assert call.sent_types() == ["response.cancel"]


def test_an_interruption_with_nothing_running_says_nothing():
    call = Driver().ready()
    call.feed(created("resp_1"), done("resp_1"))
    call.session.interrupted()
    assert call.sent() == []


def test_a_response_of_ours_that_starts_after_the_interruption_is_stopped_at_birth():
    call = Driver().ready()
    call.session.say("x")
    tag = call.tag()
    call.feed(speech_started())
    call.session.interrupted()
    call.feed(created("resp_1", tag))
    assert call.sent() == [{"type": "response.cancel", "response_id": "resp_1"}]
    assert call.feed(audio("item_1", PCM)) == []


def test_an_interruption_leaves_out_of_band_responses_alone():
    call = Driver().ready()
    tag = call.session.request_response(conversation="none")
    call.sent()
    call.feed(created("resp_1", tag, conversation_id=None))
    call.session.interrupted()
    assert call.sent() == []
    assert call.feed(audio("item_1", PCM)) == [AudioDelta("resp_1", "item_1", 0, PCM)]


def test_muted_audio_still_counts_for_truncation():
    call = Driver().ready()
    call.feed(created("resp_1"), audio("item_1", bytes(4800)))
    call.session.interrupted()
    call.feed(audio("item_1", bytes(4800)))
    call.sent()
    call.session.truncate("item_1", 9999)
    assert call.sent()[0]["audio_end_ms"] == 200


# --- what the server's VAD does by itself ---


@pytest.mark.parametrize(
    ("turn_detection", "waits"),
    [
        ({"type": "server_vad"}, True),
        ({"type": "semantic_vad", "create_response": True}, True),
        ({"type": "server_vad", "create_response": False}, False),
        (None, False),
    ],
)
def test_whether_a_wish_waits_for_the_servers_answer_follows_its_own_settings(turn_detection, waits):
    call = Driver().ready(audio={"input": {"turn_detection": turn_detection}})
    call.session.say("x")
    call.feed(speech_started(), speech_stopped())
    assert (call.sent() == []) is waits


def test_the_servers_default_is_to_answer_by_itself():
    call = Driver(turn_detection=VAD).ready(audio={"input": {}})
    call.session.say("x")
    call.feed(speech_started())
    assert call.sent() == []


# --- how responses end ---


@pytest.mark.parametrize(
    ("status", "details", "reason", "code"),
    [
        ("cancelled", {"type": "cancelled", "reason": "turn_detected"}, "turn_detected", ""),
        ("incomplete", {"type": "incomplete", "reason": "max_output_tokens"}, "max_output_tokens", ""),
        ("failed", {"type": "failed", "error": {"type": "server_error", "code": "odd"}}, "", "odd"),
        ("failed", {"type": "failed", "error": {"type": "server_error"}}, "", "server_error"),
    ],
)
def test_an_ended_response_says_why(status, details, reason, code):
    call = Driver().ready()
    events = call.feed(created("resp_1"), done("resp_1", status, status_details=details))
    report = report_of(events)
    assert (report.status, report.reason, report.error_code) == (status, reason, code)
    assert not [event for event in events if isinstance(event, SessionError)]


def test_a_response_that_failed_for_good_is_also_an_error():
    call = Driver().ready()
    details = {"type": "failed", "error": {"type": "insufficient_quota", "code": "insufficient_quota"}}
    events = call.feed(created("resp_1"), done("resp_1", "failed", status_details=details))
    assert events[-1] == SessionError(FailureKind.FATAL, "insufficient_quota", "", "", ends_session=True)


def test_a_cancelled_response_is_paid_for_too():
    call = Driver().ready()
    assert report_of(call.feed(created("resp_1"), done("resp_1", "cancelled", usage=USAGE))).cost_usd


def test_a_deployment_name_is_priced_by_the_model_behind_it():
    call = Driver(model="my-deployment").ready(model="gpt-realtime-2.1")
    assert report_of(call.feed(created("resp_1"), done("resp_1", usage=USAGE))).cost_usd


def test_a_model_without_price_costs_an_unknown_sum():
    call = Driver(model="local").ready(model="local-8b")
    assert report_of(call.feed(created("resp_1"), done("resp_1", usage=USAGE))).cost_usd is None


# --- tools ---


def test_a_function_call_is_told_once_however_often_the_server_does():
    call = Driver().ready()
    item = function_item("c1", arguments='{"a":1}')
    events = call.feed(
        created("resp_1"),
        output_added(function_item("c1", status="in_progress", arguments="")),
        arguments_done(arguments='{"a":1}'),
        server("conversation.item.done", item=item, previous_item_id=None),
        output_done(item),
        done("resp_1", output=[item]),
    )
    assert [event for event in events if isinstance(event, FunctionCall)] == [
        FunctionCall("resp_1", "item_c1", "c1", "look_up", '{"a":1}')
    ]


def arguments_done(**fields) -> str:
    return server(
        "response.function_call_arguments.done",
        **{
            "response_id": "resp_1",
            "item_id": "item_c1",
            "output_index": 0,
            "call_id": "c1",
            "name": "look_up",
            "arguments": "{}",
            **fields,
        },
    )


def test_a_function_call_named_only_in_response_done_is_not_lost():
    call = Driver().ready()
    events = call.feed(created("resp_1"), done("resp_1", output=[function_item("c1")]))
    assert FunctionCall("resp_1", "item_c1", "c1", "look_up", "{}") in events
    call.session.function_output("c1", "")
    assert call.sent_types() == ["conversation.item.create", "response.create"]


def test_a_function_call_named_only_by_its_arguments_is_told_when_the_response_completes():
    call = Driver().ready()
    assert call.feed(created("resp_1"), arguments_done()) == [ResponseStarted("resp_1")]
    assert FunctionCall("resp_1", "item_c1", "c1", "look_up", "{}") in call.feed(done("resp_1"))


def test_arguments_of_a_response_nobody_saw_begin_are_no_call():
    call = Driver().ready()
    assert call.feed(arguments_done(response_id="other")) == []


@pytest.mark.parametrize("status", ["incomplete", "in_progress"])
def test_a_function_call_cut_in_the_middle_is_not_run(status):
    call = Driver().ready()
    item = function_item("c1", status=status, arguments='{"amou')
    events = call.feed(
        created("resp_1"),
        arguments_done(arguments='{"amou'),
        output_done(item),
        done("resp_1", "cancelled", output=[item]),
    )
    assert not [event for event in events if isinstance(event, FunctionCall)]


def test_a_whole_call_of_a_cancelled_response_is_run():
    call = Driver().ready()
    events = call.feed(created("resp_1"), done("resp_1", "cancelled", output=[function_item("c1")]))
    assert [event.call_id for event in events if isinstance(event, FunctionCall)] == ["c1"]


def test_a_call_without_a_call_id_goes_by_its_item():
    call = Driver().ready()
    item = {key: value for key, value in function_item("c1").items() if key != "call_id"}
    (event,) = call.feed(created("resp_1"), output_done(item))[1:]
    assert event.call_id == "item_c1"


def test_an_approval_request_is_told_once_and_not_as_a_call():
    call = Driver().ready()
    conversation_done = server("conversation.item.done", item=APPROVAL, previous_item_id=None)
    assert call.feed(created("resp_1"), conversation_done, output_done(APPROVAL))[1:] == [
        McpApprovalRequested("ask_1", "ask_1", "crm", "find", "{}")
    ]


def test_a_hosted_tool_that_ends_after_its_response_lets_the_agent_go_on_once():
    call = Driver().ready()
    call.feed(
        created("resp_1"),
        output_added(MCP_CALL),
        server("response.mcp_call.in_progress", item_id="mcp_1", output_index=0),
        done("resp_1", output=[MCP_CALL]),
    )
    assert call.sent_types() == []
    finished = {**MCP_CALL, "output": "found"}
    assert call.feed(
        server("response.mcp_call.completed", item_id="mcp_1", output_index=0),
        output_done(finished),
        server("conversation.item.done", item=finished, previous_item_id=None),
    ) == [McpCallFinished("mcp_1", True, "crm", "find", "{}", "found", "")]
    assert call.sent_types() == ["response.create"]


def test_a_hosted_tool_that_ends_within_its_response_waits_for_its_end():
    call = Driver().ready()
    call.feed(created("resp_1"), output_added(MCP_CALL))
    failed = {**MCP_CALL, "error": {"type": "tool_execution_error", "message": "no\x00pe"}}
    assert call.feed(output_done(failed)) == [
        McpCallFinished("mcp_1", False, "crm", "find", "{}", "", "no pe")
    ]
    call.feed(server("response.mcp_call.failed", item_id="mcp_1", output_index=0))
    assert call.sent_types() == []
    call.feed(done("resp_1", output=[failed]))
    assert call.sent_types() == ["response.create"]


def test_a_hosted_tool_told_only_at_its_end_still_lets_the_agent_go_on():
    call = Driver().ready()
    finished = {**MCP_CALL, "output": "found"}
    assert call.feed(server("conversation.item.done", item=finished, previous_item_id=None))
    assert call.sent_types() == ["response.create"]


def test_the_tools_of_a_server_are_told_by_name_once():
    call = Driver().ready()
    item = {"type": "mcp_list_tools", "id": "list_1", "server_label": "crm"}
    frame = server(
        "conversation.item.done",
        item={**item, "tools": [{"name": "find", "input_schema": {}}]},
        previous_item_id=None,
    )
    assert call.feed(frame, frame) == [
        McpToolsListed("list_1", True, "crm", ("find",), ({"name": "find", "input_schema": {}},))
    ]


def test_output_items_that_are_messages_say_nothing():
    call = Driver().ready()
    message = {"type": "message", "id": "item_1", "role": "assistant", "content": [], "status": "in_progress"}
    assert call.feed(created("resp_1"), output_added(message), output_done(message))[1:] == []


# --- compatible servers (reference, section 7) ---


def test_audio_of_a_response_that_never_began_begins_it():
    call = Driver().ready()
    assert call.feed(audio("item_1", PCM)) == [
        ResponseStarted("resp_1"),
        AudioDelta("resp_1", "item_1", 0, PCM),
    ]
    assert call.feed(created("resp_1")) == []
    assert report_of(call.feed(done("resp_1"))).first_audio_s == 0.0


def test_the_end_of_a_response_that_never_began_is_still_reported_once():
    call = Driver().ready()
    events = call.feed(done("resp_1"), done("resp_1"))
    assert [type(event) for event in events] == [ResponseStarted, ResponseEnded]


def test_a_server_without_any_ids_or_usage_can_hold_a_conversation():
    call = Driver(model="local").ready()
    for _ in range(2):
        call.session.request_response()
        assert call.sent_types() == ["response.create"]
        events = call.feed(
            '{"type":"response.created"}',
            '{"type":"response.output_audio.delta","delta":"AAA="}',
            '{"type":"response.output_audio.done"}',
            '{"type":"response.output_audio_transcript.delta","delta":"x"}',
            '{"type":"response.done","response":{"usage":{}}}',
        )
        assert AudioDelta("unnamed", "", 0, b"\0\0") in events
        assert report_of(events).status == "completed"
        assert report_of(events).usage == Usage()


@pytest.mark.parametrize("name", ["response.audio.delta", "response.output_audio.delta"])
def test_the_beta_name_of_audio_is_understood(name):
    call = Driver().ready()
    frame = audio("item_1", PCM).replace("response.output_audio.delta", name)
    assert call.feed(created("resp_1"), frame)[1:] == [AudioDelta("resp_1", "item_1", 0, PCM)]


def test_half_a_sample_alone_is_no_audio_yet():
    call = Driver().ready()
    assert call.feed(created("resp_1"), audio("item_1", b"\x01"))[1:] == []
    assert call.feed(audio("item_1", b"\x02")) == [AudioDelta("resp_1", "item_1", 0, b"\x01\x02")]


def test_g711_has_no_half_samples():
    call = Driver(output_format="pcmu").ready()
    assert call.feed(created("resp_1"), audio("item_1", b"\xff"))[1:] == [
        AudioDelta("resp_1", "item_1", 0, b"\xff")
    ]


def test_old_responses_and_turns_are_forgotten():
    call = Driver().ready()
    for index in range(MAX_RESPONSES + 1):
        call.feed(speech_started(f"u{index}"), speech_stopped(f"u{index}"))
        call.feed(created(f"r{index}"), done(f"r{index}"))
    assert len(call.session._conversation._responses) == MAX_RESPONSES
    assert len(call.session._conversation._speech_ms) == MAX_RESPONSES


def test_an_item_of_ours_is_acknowledged_by_its_old_name_too():
    call = Driver().ready()
    item_id = call.session.send_user_text("x")
    call.feed(item_added(item_id).replace("conversation.item.added", "conversation.item.created"))
    assert call.session._outbox.unacknowledged == set()


def test_the_model_a_session_names_last_counts():
    call = Driver().ready()
    call.feed(server("session.updated", session=session_body(model="gpt-realtime-2.1-mini")))
    report = report_of(call.feed(created("resp_1"), done("resp_1", usage=USAGE)))
    assert report.cost_usd == Decimal(20 * 10 + 10 * 20) / 1_000_000


# --- what nobody heard ---

MESSAGE = {"type": "message", "id": "item_2", "role": "assistant", "content": [], "status": "in_progress"}


def deleted(call: Driver) -> list[str]:
    return [event["item_id"] for event in call.sent() if event["type"] == "conversation.item.delete"]


def test_an_item_of_which_nothing_was_heard_is_deleted_when_its_response_ends():
    call = Driver().ready()
    call.feed(created("resp_1"))
    call.session.interrupted()
    call.feed(audio("item_1", PCM))
    assert deleted(call) == []
    call.feed(done("resp_1", "cancelled"))
    assert deleted(call) == ["item_1"]
    assert not call.session.delete_item("item_1")


def test_only_the_unheard_items_of_a_cut_response_are_deleted():
    call = Driver().ready()
    call.feed(created("resp_1"), audio("item_1", PCM), output_added(MESSAGE))
    call.session.interrupted()
    call.feed(done("resp_1", "cancelled"))
    assert deleted(call) == ["item_2"]


def test_an_unheard_item_named_only_at_the_end_is_deleted():
    call = Driver().ready()
    call.feed(created("resp_1"))
    call.session.interrupted()
    output = [{**MESSAGE, "status": "incomplete"}, function_item("c1")]
    call.feed(done("resp_1", "cancelled", output=output))
    assert deleted(call) == ["item_2"]


def test_an_unheard_item_that_was_deleted_before_is_not_deleted_again():
    call = Driver().ready()
    call.feed(created("resp_1"))
    call.session.interrupted()
    call.feed(audio("item_1", PCM))
    call.session.truncate("item_1", 0)
    assert deleted(call) == ["item_1"]
    call.feed(done("resp_1", "cancelled"))
    assert deleted(call) == []


def test_unheard_items_of_a_response_nobody_interrupted_stay():
    call = Driver().ready()
    call.feed(created("resp_1"), output_added(MESSAGE), done("resp_1", output=[MESSAGE]))
    assert deleted(call) == []


def test_an_unheard_item_without_an_id_cannot_be_deleted():
    call = Driver(model="local").ready()
    call.feed('{"type":"response.created"}')
    call.session.interrupted()
    call.feed('{"type":"response.output_audio.delta","delta":"AAA="}', '{"type":"response.done"}')
    assert deleted(call) == []


def test_items_of_a_response_that_never_began_are_nobodys():
    call = Driver().ready()
    assert call.feed(output_added(MESSAGE, "other")) == []


@pytest.mark.parametrize(
    "last",
    [
        server("response.output_audio_transcript.done", **IDS, transcript="Hello"),
        server("response.output_text.done", **IDS, text="Hello"),
    ],
)
def test_words_that_come_after_the_interruption_say_so(last):
    call = Driver().ready()
    call.feed(created("resp_1"))
    assert call.feed(last) == [AgentTranscript("item_1", "Hello", final=True)]
    call.session.interrupted()
    assert call.feed(last) == [AgentTranscript("item_1", "Hello", final=True, muted=True)]


# --- audio that has no end ---


@pytest.mark.parametrize("status", ["completed", "failed", "incomplete"])
def test_audio_the_server_did_not_end_ends_with_its_response(status):
    call = Driver().ready()
    call.feed(created("resp_1"), audio("item_1", PCM), AUDIO_DONE, audio("item_2", PCM))
    first, second, *_ = call.feed(done("resp_1", status))
    assert first == AudioDone("resp_1", "item_2")
    assert isinstance(second, ResponseEnded)
    assert not call.session.truncate("item_2", 2)


def test_audio_is_not_ended_twice():
    call = Driver().ready()
    events = call.feed(created("resp_1"), audio("item_1", PCM), done("resp_1"), AUDIO_DONE)
    assert [event for event in events if isinstance(event, AudioDone)] == [AudioDone("resp_1", "item_1")]


def test_audio_of_an_unknown_response_is_ended_as_the_server_says():
    call = Driver().ready()
    assert call.feed(AUDIO_DONE) == [AudioDone("resp_1", "item_1")]


def test_interrupted_audio_needs_no_end():
    call = Driver().ready()
    call.feed(created("resp_1"), audio("item_1", PCM))
    call.session.interrupted()
    (ended,) = call.feed(done("resp_1", "cancelled"))
    assert isinstance(ended, ResponseEnded)


# --- cost and wish of a response ---


@pytest.mark.parametrize("usage", [{}, None, {"total_tokens": 30, "input_tokens": 20, "output_tokens": 10}])
def test_tokens_nobody_counted_cost_an_unknown_sum(usage):
    call = Driver().ready()
    frame = json.dumps({"type": "response.done", "response": {"id": "resp_1", "usage": usage}})
    assert report_of(call.feed(created("resp_1"), frame)).cost_usd is None


@pytest.mark.parametrize("tags", [True, False])
def test_a_report_names_the_wish_it_answers(tags):
    call = Driver(response_tags=tags).ready()
    tag = call.session.say("x")
    call.sent()
    assert report_of(call.feed(created("resp_1", tag if tags else ""), done("resp_1"))).wish == tag
    assert report_of(call.feed(created("resp_2"), done("resp_2"))).wish == ""


def test_a_wish_named_only_at_the_end_is_named():
    call = Driver().ready()
    assert report_of(call.feed(created("resp_1"), done("resp_1", metadata={"wish": "say-1"}))).wish == "say-1"


def test_audio_out_of_band_is_no_answer_to_a_mere_go_on():
    call = Driver().ready()
    call.feed(created("resp_1"))
    tag = call.session.request_response(conversation="none")
    call.session.request_response()
    call.sent()
    call.feed(created("resp_2", tag, conversation_id=None), audio("item_2", PCM, "resp_2"), done("resp_1"))
    assert call.sent_types() == ["response.create"]
