"""The server side of a connection, without I/O: every rule of bridge/sim/conversation.py."""

import base64
import itertools
import json

import pytest
from openai.types.realtime import RealtimeServerEvent
from pydantic import TypeAdapter

from bridge.sim import scenario
from bridge.sim.actions import Attend, Close, Drop, Hear, Heard, Recognise, Send, SendRaw, Sound, Speak
from bridge.sim.agent import Agent
from bridge.sim.conversation import MAX_PARALLEL_RESPONSES, Conversation
from bridge.sim.script import Faults, Script
from bridge.sim.session import Session

SERVER_EVENT = TypeAdapter(RealtimeServerEvent)
SCENARIO = scenario.load()
TOOL = {"type": "function", "name": "refund", "parameters": {"type": "object"}}
PCMU = {"format": {"type": "audio/pcmu"}}
SECOND = 8000
"""Bytes of one second of PCMU."""


class Desk:
    """A conversation with its actions sorted: events for the client, orders for ears and voice."""

    def __init__(self, script=None, expires_s=3600.0, **session):
        numbers = itertools.count(1)
        self.now = 0.0
        self.events, self.orders = [], []
        self.conversation = Conversation(
            agent=Agent(SCENARIO),
            session=Session("sess_1", "gpt-realtime-2.1", 1_800_000_000),
            ids=lambda prefix: f"{prefix}_{next(numbers)}",
            faults=Faults(Script.model_validate(script or {}), 0.0),
            expires_s=expires_s,
        )
        self.collect()
        self.update(audio={"input": PCMU | session.pop("input", {}), "output": PCMU}, **session)

    def collect(self):
        new = []
        for action in self.conversation.take():
            if isinstance(action, Send):
                SERVER_EVENT.validate_python(action.event)
                new.append(action.event)
            else:
                self.orders.append(action)
        self.events += new
        return new

    def send(self, type_, **fields):
        self.conversation.receive(json.dumps({"type": type_} | fields), self.now)
        return self.collect()

    def update(self, **fields):
        return self.send("session.update", session={"type": "realtime"} | fields)

    def append(self, seconds):
        audio = base64.b64encode(b"\x7f" * int(seconds * SECOND)).decode()
        return self.send("input_audio_buffer.append", audio=audio)

    def hear(self, sound, at_ms):
        self.conversation.heard(Heard(sound, at_ms), self.now)
        return self.collect()

    def order(self, kind):
        """The oldest order of a kind not looked at yet."""
        found = next(order for order in self.orders if isinstance(order, kind))
        self.orders.remove(found)
        return found

    def recognise(self, words):
        self.conversation.recognised(self.order(Recognise).ticket, words, self.now)
        return self.collect()

    def voice(self, seconds=1.0):
        self.conversation.spoken(self.order(Speak).response_id, b"\x00" * int(seconds * SECOND), self.now)
        return self.collect()

    def tick(self, now):
        self.now = now
        self.conversation.tick(now)
        return self.collect()

    def say(self, words, early=True):
        """A whole turn of the caller, of one second."""
        self.append(0.5)
        first = self.hear(Sound.SPEECH_STARTED, 200)
        self.append(1.0)
        events = self.hear(Sound.PAUSED, 1400)
        if early:
            self.recognise(words)
        events += self.hear(Sound.SPEECH_STOPPED, 1500)
        if not early:
            events += self.recognise(words)
        return first + events

    def finish(self):
        """Let the voice speak every sentence and time pass until the response is done."""
        events = []
        for _ in range(500):
            if any(isinstance(order, Speak) for order in self.orders):
                events += self.voice(0.4)
            elif any(event["type"] == "response.done" for event in events):
                return events
            else:
                events += self.tick(self.conversation.wake_at(self.now))
        raise AssertionError("the response never ended")

    def spoken(self, events):
        return "".join(
            event["delta"] for event in events if event["type"] == "response.output_audio_transcript.delta"
        )


def types(events):
    return [event["type"] for event in events]


def only(events, type_):
    (found,) = [event for event in events if event["type"] == type_]
    return found


def error(events):
    return only(events, "error")["error"]


@pytest.fixture
def desk():
    return Desk()


# -- session ----------------------------------------------------------------------------------------------------


def test_session_created_comes_first_and_ears_attend_by_server_vad(desk):
    assert types(desk.events) == ["session.created", "session.updated"]
    assert desk.orders[0].vad.silence_duration_ms == 500
    assert len([order for order in desk.orders if isinstance(order, Attend)]) == 1


def test_an_update_of_turn_detection_reaches_the_ears(desk):
    desk.update(audio={"input": {"turn_detection": {"type": "semantic_vad", "eagerness": "high"}}})
    assert desk.orders[-1].vad.silence_duration_ms == 300
    desk.update(audio={"input": {"turn_detection": None}})
    assert desk.orders[-1] == Attend(None)


def test_a_refused_event_is_told_with_the_clients_event_id(desk):
    found = error(
        desk.send("session.update", event_id="mine", session={"modalities": ["audio"], "type": "realtime"})
    )
    assert (found["code"], found["param"], found["event_id"]) == (
        "unknown_parameter",
        "session.modalities",
        "mine",
    )
    found = error(desk.send("conversation.item.delete", event_id="e2", item_id="nope"))
    assert (found["code"], found["event_id"]) == ("item_not_found", "e2")


def test_output_audio_buffer_clear_is_for_other_transports(desk):
    assert error(desk.send("output_audio_buffer.clear"))["code"] == "invalid_event"


def test_the_session_expires_once_with_an_error_and_a_close():
    desk = Desk(expires_s=10.0)
    assert desk.conversation.wake_at(0.0) == 10.0
    assert error(desk.tick(10.0))["code"] == "session_expired"
    assert desk.orders[-1] == Close(1001, "session expired")
    assert desk.tick(11.0) == []
    assert desk.conversation.wake_at(11.0) is None


# -- the input buffer -------------------------------------------------------------------------------------------


def test_appended_audio_goes_to_the_ears(desk):
    desk.append(0.02)
    assert desk.orders[-1] == Hear(b"\x7f" * 160, "audio/pcmu")


def test_audio_that_is_not_base64_is_refused(desk):
    assert error(desk.send("input_audio_buffer.append", audio="%%%"))["param"] == "audio"


def test_half_a_sample_is_refused():
    desk = Desk()
    desk.update(audio={"input": {"format": {"type": "audio/pcm", "rate": 24000}}})
    assert error(desk.send("input_audio_buffer.append", audio="QQ=="))["code"] == "invalid_value"
    assert desk.send("input_audio_buffer.append", audio="QUE=") == []


def test_a_turn_has_the_event_order_of_the_service(desk):
    desk.update(audio={"input": {"transcription": {"model": "gpt-transcribe"}}})
    events = desk.say("when are you open") + desk.finish()
    order = [key for key, _ in itertools.groupby(types(events))]
    assert order == [
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
        "conversation.item.input_audio_transcription.completed",
        "response.created",
        "rate_limits.updated",
        "response.output_item.added",
        "conversation.item.added",
        "response.content_part.added",
        "response.output_audio_transcript.delta",
        "response.output_audio.delta",
        "response.output_audio.done",
        "response.output_audio_transcript.done",
        "response.content_part.done",
        "response.output_item.done",
        "conversation.item.done",
        "response.done",
    ]
    assert (
        only(events, "conversation.item.input_audio_transcription.completed")["transcript"]
        == "when are you open"
    )
    assert desk.spoken(events).startswith("We are open from nine")


def test_offsets_count_all_audio_and_contain_the_prefix_padding(desk):
    desk.append(2.0)
    started = only(desk.hear(Sound.SPEECH_STARTED, 1700), "input_audio_buffer.speech_started")
    assert started["audio_start_ms"] == 1400
    desk.append(1.0)
    stopped = only(desk.hear(Sound.SPEECH_STOPPED, 2900), "input_audio_buffer.speech_stopped")
    assert stopped["audio_end_ms"] == 2900
    assert desk.order(Recognise).payload == b"\x7f" * (SECOND * 16 // 10)


def test_words_found_late_start_the_answer_then(desk):
    events = desk.say("when are you open", early=False)
    assert types(events)[-1] == "response.content_part.added"
    assert types(events).index("response.created") < types(events).index("response.output_item.added")


def test_words_found_before_speech_went_on_are_void(desk):
    desk.append(0.5)
    desk.hear(Sound.SPEECH_STARTED, 200)
    desk.hear(Sound.PAUSED, 400)
    early = desk.order(Recognise)
    desk.hear(Sound.RESUMED, 450)
    desk.conversation.recognised(early.ticket, "goodbye", 0.0)
    desk.hear(Sound.SPEECH_STOPPED, 500)
    desk.recognise("when are you open")
    assert "We are open" in desk.spoken(desk.finish())


def test_unclear_speech_gets_the_fallback_and_a_mark_in_the_transcript(desk):
    desk.update(audio={"input": {"transcription": {}}})
    events = desk.say("")
    assert only(events, "conversation.item.input_audio_transcription.completed")["transcript"] == "[unclear]"
    assert "did not understand" in desk.spoken(events + desk.finish())


def test_transcription_is_silent_unless_asked_for(desk):
    assert not any("transcription" in type_ for type_ in types(desk.say("goodbye")))


def test_without_create_response_a_turn_only_commits(desk):
    desk.update(audio={"input": {"turn_detection": {"type": "server_vad", "create_response": False}}})
    assert types(desk.say("goodbye"))[-1] == "conversation.item.done"
    desk.send("response.create")
    assert "Goodbye" in desk.spoken(desk.finish())


def test_manual_mode_commits_on_demand():
    desk = Desk(input={"turn_detection": None})
    assert error(desk.send("input_audio_buffer.commit"))["code"] == "input_audio_buffer_commit_empty"
    desk.append(1.0)
    assert not any(isinstance(order, Hear) for order in desk.orders)
    events = desk.send("input_audio_buffer.commit")
    assert types(events) == [
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
    ]
    assert types(desk.send("response.create")) == ["response.created", "rate_limits.updated"]
    desk.recognise("when are you open")
    assert "We are open" in desk.spoken(desk.finish())


def test_sounds_after_detection_was_switched_off_mean_nothing():
    desk = Desk(input={"turn_detection": None})
    assert desk.hear(Sound.SPEECH_STARTED, 100) == []


def test_clear_forgets_the_buffer_and_the_turn(desk):
    desk.append(1.0)
    desk.hear(Sound.SPEECH_STARTED, 200)
    assert types(desk.send("input_audio_buffer.clear")) == ["input_audio_buffer.cleared"]
    assert desk.hear(Sound.SPEECH_STOPPED, 900) == []
    assert error(desk.send("input_audio_buffer.commit"))["code"] == "input_audio_buffer_commit_empty"


def test_words_for_a_forgotten_turn_are_dropped(desk):
    desk.append(1.0)
    desk.hear(Sound.SPEECH_STARTED, 200)
    desk.hear(Sound.PAUSED, 900)
    desk.send("input_audio_buffer.clear")
    assert desk.recognise("goodbye") == []


# -- barge-in ---------------------------------------------------------------------------------------------------


def test_speech_cancels_the_response_and_what_was_heard_stays(desk):
    desk.send("response.create")
    desk.voice(5.0)
    events = desk.say("thank you")
    done = only(events, "response.done")["response"]
    assert done["status"] == "cancelled"
    assert done["status_details"]["reason"] == "turn_detected"
    assert done["output"][0]["status"] == "incomplete"
    assert done["usage"]["output_token_details"]["audio_tokens"] > 0
    item_id = done["output"][0]["id"]
    assert types(
        desk.send("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=300)
    ) == ["conversation.item.truncated"]
    item = only(desk.send("conversation.item.retrieve", item_id=item_id), "conversation.item.retrieved")[
        "item"
    ]
    assert len(base64.b64decode(item["content"][0]["audio"])) == 2400
    assert "transcript" not in item["content"][0]


def test_audio_of_a_cancelled_response_is_dropped(desk):
    desk.send("response.create")
    late = desk.order(Speak)
    desk.say("thank you")
    desk.conversation.spoken(late.response_id, b"\x00" * 8000, 0.0)
    assert desk.collect() == []


def test_without_interrupt_response_the_answer_waits_for_the_running_one(desk):
    desk.update(audio={"input": {"turn_detection": {"type": "server_vad", "interrupt_response": False}}})
    desk.send("response.create")
    assert "response.created" not in types(desk.say("when are you open"))
    greeting = desk.finish()
    assert "front desk" in desk.spoken(greeting)
    assert "response.created" in types(greeting)
    assert "We are open" in desk.spoken(desk.finish())


def test_truncation_refuses_what_it_cannot_do(desk):
    created = desk.send("conversation.item.create", item=user_text("hello"))
    user = created[0]["item"]["id"]
    desk.send("response.create")
    done = only(desk.finish(), "response.done")["response"]
    ours = done["output"][0]["id"]
    for item_id, index, end_ms, param in (
        (user, 0, 0, "item_id"),
        (ours, 1, 0, "content_index"),
        (ours, 0, 999_999, "audio_end_ms"),
    ):
        found = error(
            desk.send("conversation.item.truncate", item_id=item_id, content_index=index, audio_end_ms=end_ms)
        )
        assert found["param"] == param


def test_truncating_what_is_still_being_said_ends_it(desk):
    desk.send("response.create")
    item_id = only(desk.voice(5.0) + desk.events, "response.output_item.added")["item"]["id"]
    events = desk.send("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=100)
    assert only(events, "response.done")["response"]["status_details"]["reason"] == "client_cancelled"
    assert types(events)[-1] == "conversation.item.truncated"


# -- items ------------------------------------------------------------------------------------------------------


def user_text(text, **fields):
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]} | fields


def test_items_have_a_place_an_id_and_can_be_deleted(desk):
    first = desk.send("conversation.item.create", item=user_text("one", id="a"))
    assert types(first) == ["conversation.item.added", "conversation.item.done"]
    assert first[0]["previous_item_id"] is None
    assert desk.send("conversation.item.create", item=user_text("two"))[0]["previous_item_id"] == "a"
    root = desk.send("conversation.item.create", item=user_text("zero"), previous_item_id="root")
    assert root[0]["previous_item_id"] is None
    found = error(desk.send("conversation.item.create", item=user_text("again", id="a")))
    assert found["code"] == "item_create_duplicate_item_id"
    assert types(desk.send("conversation.item.delete", item_id="a")) == ["conversation.item.deleted"]


def test_audio_of_a_client_item_is_understood(desk):
    audio = base64.b64encode(b"\x7f" * SECOND).decode()
    item = {"type": "message", "role": "user", "content": [{"type": "input_audio", "audio": audio}]}
    desk.send("conversation.item.create", item=item)
    desk.send("response.create")
    desk.recognise("where are you located")
    assert "Harbour Street" in desk.spoken(desk.finish())


# -- responses --------------------------------------------------------------------------------------------------


def test_a_second_response_is_refused_while_one_runs(desk):
    desk.send("response.create")
    assert error(desk.send("response.create"))["code"] == "conversation_already_has_active_response"


def test_an_out_of_band_response_runs_beside_and_leaves_no_item(desk):
    desk.send("response.create")
    part = {
        "conversation": "none",
        "input": [],
        "metadata": {"topic": "hold"},
        "instructions": 'Say exactly: "Wait."',
    }
    events = desk.send("response.create", response=part)
    assert "conversation.item.added" not in types(events)
    created = only(events, "response.created")["response"]
    assert (created["conversation_id"], created["metadata"]) == (None, {"topic": "hold"})
    assert [order.text for order in desk.orders if isinstance(order, Speak)] == [
        "Hello, this is the front desk. ",
        "Wait.",
    ]
    cancelled = desk.send("response.cancel", response_id=created["id"])
    assert only(cancelled, "response.done")["response"]["status"] == "cancelled"


def test_parallel_responses_are_bounded(desk):
    for _ in range(MAX_PARALLEL_RESPONSES):
        desk.send("response.create", response={"conversation": "none", "input": []})
    found = error(desk.send("response.create", response={"conversation": "none", "input": []}))
    assert found["code"] == "too_many_responses"


def test_cancel_needs_something_to_cancel(desk):
    assert error(desk.send("response.cancel"))["code"] == "response_cancel_not_active"
    desk.send("response.create")
    done = only(desk.send("response.cancel"), "response.done")["response"]
    assert done["status_details"]["reason"] == "client_cancelled"
    assert error(desk.send("response.cancel", response_id="resp_9"))["code"] == "response_cancel_not_active"


def test_input_replaces_the_context(desk):
    created = desk.send("conversation.item.create", item=user_text("where are you located", id="q"))
    assert created
    entries = [{"type": "item_reference", "id": "q"}]
    desk.send("response.create", response={"input": entries, "conversation": "none"})
    assert "Harbour" in desk.spoken(desk.finish())
    desk.send("response.create", response={"input": [user_text("when are you open")], "conversation": "none"})
    assert "We are open" in desk.spoken(desk.finish())
    assert (
        error(desk.send("response.create", response={"input": [{"type": "nothing"}]}))["code"]
        == "invalid_event"
    )


def test_a_function_call_waits_for_its_output(desk):
    desk.update(tools=[TOOL])
    desk.send("conversation.item.create", item=user_text("I want a refund of 20 dollars"))
    events = desk.send("response.create")
    assert types(events)[-6:] == [
        "conversation.item.added",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "response.output_item.done",
        "conversation.item.done",
        "response.done",
    ]
    called = only(events, "response.function_call_arguments.done")
    assert json.loads(called["arguments"])["amount"] == 20
    item = {"type": "function_call_output", "call_id": called["call_id"], "output": '{"status": "refunded"}'}
    desk.send("conversation.item.create", item=item)
    desk.send("response.create")
    assert desk.spoken(desk.finish()) == "Done. I have refunded 20 dollars to your card."


def test_text_modality_writes(desk):
    desk.update(output_modalities=["text"])
    desk.send("conversation.item.create", item=user_text("goodbye"))
    events = desk.send("response.create")
    assert "response.output_audio.delta" not in types(events)
    assert only(events, "response.output_text.done")["text"] == "Thank you for calling. Goodbye!"


def test_usage_grows_with_the_conversation_and_its_old_part_is_cached(desk):
    desk.update(instructions="x" * 400)
    desk.send("response.create")
    first = only(desk.finish(), "response.done")["response"]["usage"]
    assert first["input_token_details"]["cached_tokens"] == 0
    assert first["input_tokens"] == 100
    desk.say("when are you open")
    second = only(desk.finish(), "response.done")["response"]["usage"]
    assert second["input_token_details"]["cached_tokens"] == 100
    assert second["input_token_details"]["audio_tokens"] > 0
    assert second["input_tokens"] > first["input_tokens"] + first["output_tokens"]
    desk.update(instructions="y")
    desk.send("response.create")
    third = only(desk.finish(), "response.done")["response"]["usage"]
    assert third["input_token_details"]["cached_tokens"] == 0


def test_own_instructions_and_own_input_are_not_cached(desk):
    desk.send("response.create", response={"instructions": 'Say exactly: "hello."'})
    assert only(desk.finish(), "response.done")["response"]["usage"]["input_tokens"] == 6
    desk.send("response.create", response={"input": [user_text("hello")]})
    usage = only(desk.finish(), "response.done")["response"]["usage"]
    assert usage["input_tokens"] > 0
    assert usage["input_token_details"]["cached_tokens"] == 0


def test_audio_leaves_faster_than_real_time_but_not_at_once(desk):
    desk.send("response.create", response={"instructions": 'Say exactly: "one two three"'})
    events = desk.voice(6.0)
    assert types(events).count("response.output_audio.delta") == 4
    assert 0 < desk.conversation.wake_at(0.0) < 0.1
    events = desk.tick(1.0)
    assert types(events)[-1] == "response.done"


# -- idle timeout -----------------------------------------------------------------------------------------------


def idle_desk():
    return Desk(input={"turn_detection": {"type": "server_vad", "idle_timeout_ms": 5000}})


def test_a_silent_caller_is_asked_after_the_assumed_playback():
    desk = idle_desk()
    desk.send("response.create", response={"instructions": 'Say exactly: "hello."'})
    desk.voice(2.0)
    desk.append(0.5)
    ended = desk.now = 1.0
    desk.tick(ended)
    assert desk.conversation.wake_at(ended) == pytest.approx(ended + 7.0)
    events = desk.tick(ended + 7.0)
    assert types(events)[:2] == ["input_audio_buffer.timeout_triggered", "input_audio_buffer.committed"]
    assert "Are you still there" in desk.spoken(desk.finish())


def test_speech_ends_the_wait_for_a_silent_caller():
    desk = idle_desk()
    desk.send("response.create")
    desk.finish()
    desk.append(0.5)
    desk.hear(Sound.SPEECH_STARTED, 300)
    assert desk.conversation.wake_at(desk.now) == 3600.0


# -- faults -----------------------------------------------------------------------------------------------------


def test_scripted_faults_happen_at_events_and_times():
    desk = Desk(
        {
            "faults": [
                {"sending": "session.updated", "do": "send", "text": "{"},
                {"receiving": "response.create", "do": "drop"},
                {"after_ms": 500, "do": "close", "code": 1011},
            ]
        }
    )
    assert desk.orders[-1] == SendRaw("{")
    assert desk.conversation.wake_at(0.0) == 0.5
    desk.send("response.create")
    assert Drop() in desk.orders
    desk.tick(0.5)
    assert desk.orders[-1] == Close(1011, "")


def test_a_scripted_failure_ends_the_response_failed():
    desk = Desk({"responses": [{"nth": 1, "fail": {"code": "inference_rate_limit_exceeded"}}]})
    done = only(desk.send("response.create"), "response.done")["response"]
    assert (done["status"], done["status_details"]["error"]["code"]) == (
        "failed",
        "inference_rate_limit_exceeded",
    )
    assert types(desk.send("response.create"))[-1] == "response.content_part.added"
