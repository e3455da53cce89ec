"""Demands: reference 1.1 to 1.10 and 7; every frame in and out is validated by the SDK's types (tests/fakes)."""

import json

import pytest

from bridge.errors import FailureKind, LocalSessionError
from bridge.realtime.events import (
    ResponseEnded,
    ResponseReport,
    ResponseStarted,
    SessionChanged,
    SessionError,
    SessionReady,
    UnknownEvent,
)
from bridge.realtime.session import MAX_UNKNOWN_NAMES, OTHER_NAMES, State
from tests.fakes.realtime_events import (
    audio,
    created,
    done,
    error,
    function_item,
    output_done,
    server,
    session_body,
)
from tests.fakes.realtime_session import Driver, item_added, speech_started, speech_stopped

CREATED = server("session.created", session=session_body())
UPDATED = server("session.updated", session=session_body())


# --- the way to READY ---


def test_the_handshake_is_created_update_updated():
    call = Driver(instructions="Be brief.")
    assert call.session.state is State.CONNECTING
    assert call.sent() == []
    assert call.feed(CREATED) == []
    assert call.session.state is State.CONFIGURING
    (update,) = call.sent()
    assert update["session"]["instructions"] == "Be brief."
    assert call.sent() == []
    assert call.feed(UPDATED) == [SessionReady("sess_1", "gpt-realtime-2.1", 1_800_000_000)]
    assert call.session.state is State.READY


def test_a_server_that_says_little_about_its_session_is_fine():
    call = Driver(model="local")
    call.feed('{"type":"session.created"}')
    assert call.feed('{"type":"session.updated"}') == [SessionReady("", "local", None)]


def test_session_events_out_of_turn_change_no_state():
    call = Driver()
    assert call.feed(UPDATED) == [SessionChanged("sess_1")]
    assert call.session.state is State.CONNECTING
    call.ready()
    assert call.feed(CREATED) == []
    assert call.session.state is State.READY
    assert call.sent() == []


def test_wishes_made_while_connecting_go_out_when_ready_in_order():
    call = Driver(greeting="Good morning")
    call.session.send_user_text("The caller's name is Ann", role="system")
    call.session.greet()
    call.feed(CREATED)
    assert call.sent_types() == ["session.update"]
    call.feed(UPDATED)
    assert call.sent_types() == ["conversation.item.create", "response.create"]


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("invalid_value", FailureKind.FATAL),
        ("beta_api_shape_disabled", FailureKind.FATAL),
        ("session_expired", FailureKind.RETRY),
    ],
)
def test_an_error_before_ready_ends_the_attempt(code, kind):
    call = Driver()
    call.feed(CREATED)
    assert call.feed(error(code, "no\nsuch voice")) == [
        SessionError(kind, code, "no such voice", "", ends_session=True)
    ]


def test_an_error_when_ready_is_harmless_unless_the_table_says_otherwise():
    call = Driver().ready()
    assert call.feed(error("invalid_value", event_id="sb_9")) == [
        SessionError(FailureKind.IGNORE, "invalid_value", "no", "sb_9")
    ]
    assert call.feed(error("session_expired")) == [
        SessionError(FailureKind.RETRY, "session_expired", "no", "", ends_session=True)
    ]
    assert call.feed(error(None, type_="insufficient_quota")) == [
        SessionError(FailureKind.FATAL, "insufficient_quota", "no", "", ends_session=True)
    ]
    assert call.feed('{"type":"error"}') == [SessionError(FailureKind.IGNORE, "unknown_error", "", "")]


# --- frames that should not be ---


@pytest.mark.parametrize(
    "frame",
    ["nope", b"\x00\x01", "[]", '{"type": 3}', '{"type":"response.output_audio.delta","delta":"%%%"}'],
)
def test_a_malformed_frame_is_counted_and_dropped(frame):
    call = Driver().ready()
    (event,) = call.feed(frame)
    assert (event.kind, event.code) == (FailureKind.IGNORE, "malformed_event")
    assert call.session.malformed == 1
    assert call.session.state is State.READY


def test_unknown_events_are_kept_and_counted():
    call = Driver()
    assert call.feed('{"type":"ping"}', '{"type":"ping"}') == [UnknownEvent("ping")] * 2
    assert call.session.unknown == {"ping": 2}


def test_unknown_names_are_bounded_in_number_and_length():
    call = Driver()
    for index in range(MAX_UNKNOWN_NAMES + 5):
        call.feed(json.dumps({"type": f"{index} {'x' * 200}"}))
    assert len(call.session.unknown) == MAX_UNKNOWN_NAMES + 1
    assert call.session.unknown[OTHER_NAMES] == 5
    assert max(map(len, call.session.unknown)) == 100


def test_events_passed_over_say_nothing():
    call = Driver().ready()
    assert call.feed(server("conversation.created", conversation={"id": "c"})) == []
    assert call.session.unknown == {}


# --- the end ---


def test_a_closed_session_takes_and_gives_nothing():
    call = Driver()
    call.feed(CREATED)
    call.session.closed()
    assert call.session.state is State.CLOSED
    assert call.session.to_send(0.0) == []
    with pytest.raises(LocalSessionError, match="closed"):
        call.feed(UPDATED)


ORDERS = [
    lambda session: session.greet(),
    lambda session: session.say("x"),
    lambda session: session.request_response(),
    lambda session: session.cancel_response(),
    lambda session: session.retry(SessionError(FailureKind.IGNORE, "c", "", "")),
    lambda session: session.interrupted(),
    lambda session: session.send_user_text("x"),
    lambda session: session.function_output("c", ""),
    lambda session: session.approve_mcp("a", approve=True),
    lambda session: session.truncate("i", 1),
    lambda session: session.delete_item("i"),
    lambda session: session.retrieve_item("i"),
    lambda session: session.commit(),
    lambda session: session.clear_input(),
    lambda session: session.update(speed=1.0),
]


@pytest.mark.parametrize("order", ORDERS)
def test_every_order_to_a_closed_session_is_refused(order):
    call = Driver().ready()
    call.session.closed()
    with pytest.raises(LocalSessionError):
        order(call.session)


def test_an_exception_inside_poisons_the_machine():
    call = Driver().ready()
    call.session._conversation.calls = None
    with pytest.raises(AttributeError):
        call.feed(created("r"), output_done(function_item("c"), "r"))
    assert call.session.state is State.ERROR
    assert call.sent() == []
    with pytest.raises(LocalSessionError, match="error"):
        call.feed(UPDATED)
    call.session.closed()
    assert call.session.state is State.ERROR


# --- responses ---


def test_the_greeting_asks_for_its_exact_words_after_the_agents_own_instructions():
    call = Driver(instructions="You are Ann.", greeting="Welcome to Acme!").ready()
    assert call.session.greet() == "greeting-1"
    (event,) = call.sent()
    response = event["response"]
    assert response["instructions"].startswith("You are Ann.\n\n")
    assert response["instructions"].endswith('\n"Welcome to Acme!"')
    assert response["metadata"] == {"wish": "greeting-1"}
    assert "tool_choice" not in response


def test_the_greeting_calls_no_tool():
    call = Driver(greeting="Hi", tools=({"type": "function", "name": "f"},)).ready()
    call.session.greet()
    assert call.sent()[0]["response"]["tool_choice"] == "none"


def test_without_a_greeting_the_agent_opens_by_itself():
    call = Driver().ready()
    call.session.greet()
    assert call.sent() == [{"type": "response.create", "response": {"metadata": {"wish": "greeting-1"}}}]


def test_a_server_that_refuses_metadata_gets_none():
    call = Driver(response_tags=False).ready()
    call.session.request_response()
    assert call.sent() == [{"type": "response.create"}]


def test_a_say_goes_on_top_of_the_instructions_and_after_the_active_response():
    call = Driver(instructions="You are Ann.").ready()
    call.feed(created("resp_1"))
    call.session.say("Say you are still looking.")
    assert call.sent() == []
    call.feed(done("resp_1"))
    assert call.sent()[0]["response"]["instructions"] == "You are Ann.\n\nSay you are still looking."


def test_a_say_without_session_instructions_stands_alone():
    call = Driver().ready()
    call.session.say("Say hello.")
    assert call.sent()[0]["response"]["instructions"] == "Say hello."


def test_plain_requests_merge_and_requests_with_overrides_do_not():
    call = Driver().ready()
    assert call.session.request_response() == ""
    call.session.request_response()
    call.session.request_response(max_output_tokens=50, metadata={"why": "test"})
    call.feed(created("resp_1", call.tag()), done("resp_1"))
    (event,) = call.sent()
    assert event["response"] == {"max_output_tokens": 50, "metadata": {"why": "test", "wish": "request-2"}}
    call.feed(created("resp_2", "request-2"), done("resp_2"))
    assert call.sent() == []


def test_an_out_of_band_response_goes_out_beside_an_active_one():
    call = Driver().ready()
    call.feed(created("resp_1"))
    tag = call.session.request_response(conversation="none", input=[], output_modalities=["text"])
    assert call.tag() == tag
    assert call.feed(created("resp_2", tag, conversation_id=None)) == [
        ResponseStarted("resp_2", out_of_band=True)
    ]
    assert call.session.cancel_response()
    assert call.sent() == [{"type": "response.cancel", "response_id": "resp_1"}]


def test_a_refused_create_comes_again_after_the_response_that_was_in_the_way():
    call = Driver().ready()
    call.session.say("x")
    (frame,) = call.session.to_send(0.0)
    call.feed(created("resp_1", "somebody"))
    call.feed(error("conversation_already_has_active_response", event_id=json.loads(frame)["event_id"]))
    assert call.sent() == []
    call.feed(done("resp_1"))
    assert call.tag() == "say-1"


def test_a_go_on_is_not_asked_when_the_running_response_was_heard_after_it():
    call = Driver().ready()
    call.feed(created("resp_1"))
    call.session.request_response()
    call.feed(audio("item_1", bytes(96)), done("resp_1"))
    assert call.sent() == []


def test_a_go_on_about_a_new_text_is_asked_all_the_same():
    call = Driver().ready()
    call.feed(created("resp_1"))
    item_id = call.session.send_user_text("I pressed 5")
    call.session.request_response()
    call.feed(item_added(item_id), audio("item_1", bytes(96)), done("resp_1"))
    assert call.sent_types() == ["conversation.item.create", "response.create"]


def ended(call: Driver, *frames: str) -> ResponseReport:
    (report,) = [event.report for event in call.feed(*frames) if isinstance(event, ResponseEnded)]
    return report


def test_a_failed_greeting_is_asked_again_with_its_own_words():
    call = Driver(greeting="Welcome to Acme!").ready()
    tag = call.session.greet()
    (first,) = call.sent()
    report = ended(call, created("resp_1", tag), done("resp_1", "failed"))
    assert call.session.retry(report)
    assert call.sent() == [first]


def test_a_failed_response_of_the_server_is_asked_again_without_words():
    call = Driver().ready()
    assert not call.session.retry(ended(call, created("resp_1"), done("resp_1", "failed")))
    assert call.sent() == [{"type": "response.create", "response": {"metadata": {"wish": "reply-1"}}}]


def test_a_failed_response_out_of_band_says_nothing_into_the_conversation():
    call = Driver().ready()
    tag = call.session.request_response(conversation="none")
    call.sent()
    report = ended(call, created("resp_1", tag, conversation_id=None), done("resp_1", "failed"))
    assert not call.session.retry(report)
    assert call.sent() == []


def test_a_refused_request_is_told_by_its_tag_and_can_be_asked_again():
    call = Driver().ready()
    tag = call.session.say("x")
    (frame,) = call.session.to_send(0.0)
    event_id = json.loads(frame)["event_id"]
    (refusal,) = call.feed(error("invalid_value", event_id=event_id))
    assert refusal == SessionError(FailureKind.IGNORE, "invalid_value", "no", event_id, wish=tag)
    assert call.session.retry(refusal)
    assert call.tag() == tag


def test_a_refused_plain_request_goes_out_once_more_before_it_is_lost():
    call = Driver().ready()
    call.session.request_response()
    lost = []
    for _ in range(2):
        (frame,) = call.session.to_send(call.now)
        event_id = json.loads(frame)["event_id"]
        lost += [event.wish for event in call.feed(error("server_error", event_id=event_id))]
        assert call.sent() == []
        call.now += 1.0
    assert lost == ["", "reply-1"]
    assert call.sent() == []


def test_the_call_can_ask_whether_a_response_is_under_way_and_whether_the_caller_speaks():
    call = Driver().ready()
    assert not call.session.response_active
    call.session.request_response()
    assert not call.session.response_active
    tag = call.tag()
    assert call.session.response_active
    call.feed(created("resp_1", tag))
    assert call.session.response_active
    call.feed(done("resp_1"), speech_started())
    assert not call.session.response_active
    assert call.session.speaking
    call.feed(speech_stopped())
    assert not call.session.speaking


def test_speech_whose_end_is_lost_is_over_when_the_shell_is_woken():
    call = Driver().ready()
    call.feed(speech_started())
    call.now = call.session.wake_s
    assert call.now == 30.0
    assert call.sent() == []
    assert not call.session.speaking
    assert call.session.wake_s is None


def test_a_session_that_is_not_ready_wakes_nobody():
    call = Driver()
    call.feed(speech_started())
    assert call.session.wake_s is None


def test_the_shell_is_told_when_to_ask_again():
    call = Driver().ready()
    assert call.session.wake_s is None
    call.session.request_response()
    call.sent()
    assert call.session.wake_s == 10.0


def test_nothing_to_cancel_is_said():
    call = Driver().ready()
    assert not call.session.cancel_response()
    call.session.request_response()
    call.sent()
    assert call.session.cancel_response()
    assert call.sent() == [{"type": "response.cancel"}]


def test_an_interruption_silences_what_is_running_and_stops_it():
    call = Driver().ready()
    call.feed(created("resp_1"))
    call.session.interrupted()
    assert call.feed(audio("item_1", bytes(96))) == []
    assert call.sent() == [{"type": "response.cancel", "response_id": "resp_1"}]


# --- items ---


def test_text_of_a_role_that_may_not_speak_is_refused():
    call = Driver().ready()
    with pytest.raises(LocalSessionError, match="assistant"):
        call.session.send_user_text("x", role="assistant")


def test_all_outputs_of_parallel_calls_go_out_before_one_create():
    call = Driver().ready()
    call.feed(created("resp_1"), output_done(function_item("c1")), output_done(function_item("c2")))
    call.session.function_output("c1", '{"a":1}')
    assert call.sent_types() == ["conversation.item.create"]
    call.feed(done("resp_1"))
    assert call.sent_types() == []
    call.session.function_output("c2", "ok")
    assert call.sent_types() == ["conversation.item.create", "response.create"]


def test_an_output_can_be_given_without_an_answer_of_the_agent():
    call = Driver().ready()
    call.feed(created("resp_1"), output_done(function_item("c1")), done("resp_1"))
    call.session.function_output("c1", "noted", respond=False)
    assert call.sent_types() == ["conversation.item.create"]


def test_an_output_that_came_during_a_response_is_answered_by_the_next():
    call = Driver().ready()
    call.feed(created("resp_1"), output_done(function_item("c1")), done("resp_1"), created("resp_2"))
    call.session.function_output("c1", "late")
    (event,) = call.sent()
    call.feed(item_added(event["item"]["id"]), done("resp_2"))
    assert call.sent_types() == ["response.create"]


def test_an_output_the_server_had_before_its_own_response_asks_for_no_second_one():
    call = Driver().ready()
    call.feed(created("resp_1"), output_done(function_item("c1")), done("resp_1"), speech_started())
    call.session.function_output("c1", "in time")
    (event,) = call.sent()
    call.feed(item_added(event["item"]["id"]), speech_stopped(), created("resp_2"), done("resp_2"))
    assert call.sent_types() == []


def test_an_output_for_a_call_that_does_not_wait_is_refused():
    call = Driver().ready()
    call.feed(created("resp_1"), output_done(function_item("c1")))
    call.session.function_output("c1", "")
    with pytest.raises(LocalSessionError, match="c1"):
        call.session.function_output("c1", "")


APPROVAL = {
    "type": "mcp_approval_request",
    "id": "ask_1",
    "server_label": "crm",
    "name": "wipe",
    "arguments": "{}",
}


def test_a_denied_tool_lets_the_agent_go_on():
    call = Driver().ready()
    call.feed(created("resp_1"), output_done(APPROVAL), done("resp_1"))
    call.session.approve_mcp("ask_1", approve=False, reason="too risky")
    create, respond = call.sent()
    assert (
        create["item"].items()
        >= {"approval_request_id": "ask_1", "approve": False, "reason": "too risky"}.items()
    )
    assert respond["type"] == "response.create"


def test_an_approved_tool_is_waited_for():
    call = Driver().ready()
    call.feed(created("resp_1"), output_done(APPROVAL), done("resp_1"))
    call.session.approve_mcp("ask_1", approve=True)
    assert call.sent_types() == ["conversation.item.create"]
    call.feed(server("response.mcp_call.in_progress", item_id="mcp_1", output_index=0))
    assert call.sent_types() == []
    call.feed(server("response.mcp_call.completed", item_id="mcp_1", output_index=0))
    assert call.sent_types() == ["response.create"]
    with pytest.raises(LocalSessionError, match="ask_1"):
        call.session.approve_mcp("ask_1", approve=True)


def test_truncate_is_capped_by_what_came_and_goes_out_once():
    call = Driver().ready()
    call.feed(created("resp_1"), audio("item_1", bytes(48 * 200)))
    assert call.session.truncate("item_1", 700)
    assert call.sent() == [
        {"type": "conversation.item.truncate", "item_id": "item_1", "content_index": 0, "audio_end_ms": 200}
    ]
    assert not call.session.truncate("item_1", 100)
    assert call.sent() == []


def test_an_item_nobody_heard_is_deleted_instead():
    call = Driver().ready()
    call.feed(created("resp_1"), audio("item_1", bytes(48 * 200)))
    assert call.session.truncate("item_1", 0)
    assert call.sent() == [{"type": "conversation.item.delete", "item_id": "item_1"}]
    assert not call.session.delete_item("item_1")


def test_items_are_deleted_and_retrieved_by_id():
    call = Driver().ready()
    assert call.session.delete_item("item_1")
    call.session.retrieve_item("item_2")
    assert call.sent() == [
        {"type": "conversation.item.delete", "item_id": "item_1"},
        {"type": "conversation.item.retrieve", "item_id": "item_2"},
    ]


# --- input and settings ---


def test_manual_turns_are_commit_and_request():
    call = Driver(turn_detection=None).ready()
    call.session.clear_input()
    call.session.commit()
    call.session.request_response()
    assert call.sent_types() == [
        "input_audio_buffer.clear",
        "input_audio_buffer.commit",
        "response.create",
    ]


def test_settings_change_in_mid_call_field_by_field():
    call = Driver(instructions="a").ready()
    call.session.update(instructions="b", turn_detection=None)
    assert call.sent() == [
        {
            "type": "session.update",
            "session": {
                "type": "realtime",
                "instructions": "b",
                "audio": {"input": {"turn_detection": None}},
            },
        }
    ]
    call.session.say("x")
    assert call.sent()[0]["response"]["instructions"] == "b\n\nx"
    assert call.feed(UPDATED) == [SessionChanged("sess_1")]


def test_what_is_fixed_for_the_session_cannot_change():
    call = Driver().ready()
    with pytest.raises(LocalSessionError, match="input_format, model"):
        call.session.update(model="x", input_format="pcmu")
