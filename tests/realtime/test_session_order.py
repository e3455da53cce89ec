"""Any order of server events and wishes: the promises of the session hold against a model of the server.

Demands: issue 2, point 5 (`conversation_already_has_active_response` cannot be caused by us alone) and 6 (truncation).
The model server keeps the rules of reference 1.7: one response at a time writes to the conversation, its own VAD may
create one at any end of speech (also while our create is on its way), it cancels on speech, and it acknowledges items.
What we send reaches it late: frames wait in `wire` until the machine lets it read one.
"""

import json
from collections import deque

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, precondition, rule

from bridge.realtime.events import AudioDelta, ResponseEnded, ResponseReport, SessionError
from bridge.realtime.handlers import HANDLERS, PASSED
from bridge.realtime.responses import ALREADY_ACTIVE, MAX_WISHES
from bridge.realtime.session import RESPONSE_WAIT_S, State
from tests.fakes.realtime_events import audio, created, done, error, function_item, output_done
from tests.fakes.realtime_session import Driver, committed, item_added, speech_started, speech_stopped

PCM_10_MS = bytes(480)


class SessionAndServer(RuleBasedStateMachine):
    """The session machine on one side, a small model of the server on the other."""

    items = Bundle("items")

    @initialize(echoes=st.booleans(), event_ids=st.booleans())
    def connect(self, echoes: bool, event_ids: bool) -> None:
        self.call = Driver().ready()
        self.echoes, self.event_ids = echoes, event_ids
        self.wire: deque[dict] = deque()
        self.unanswered: set[str] = set()
        self.active = ""
        self.number = 0
        self.speaking = False
        self.owed = False
        self.sent_ms: dict[str, int] = {}
        self.cut: list[str] = []
        self.deleted: list[str] = []
        self.calls: list[str] = []
        self.wanted: set[str] = set()
        self.served: set[str] = set()
        self.handed_on: set[str] = set()
        self.last_report: ResponseReport | None = None

    # --- the way between ---

    def pump(self) -> None:
        for frame in self.call.session.to_send(self.call.now):
            event = json.loads(frame)
            self.note(event)
            self.wire.append(event)

    def note(self, event: dict) -> None:
        if event["type"] == "response.create":
            assert not self.unanswered, "two creates of ours at once"
            self.unanswered.add(event["event_id"])
        elif event["type"] == "conversation.item.truncate":
            item_id = event["item_id"]
            assert 0 < event["audio_end_ms"] <= self.sent_ms[item_id]
            assert item_id not in self.cut
            assert item_id not in self.deleted
            self.cut.append(item_id)
        elif event["type"] == "conversation.item.delete":
            assert event["item_id"] not in self.deleted
            self.deleted.append(event["item_id"])

    def feed(self, *frames: str) -> None:
        for event in self.call.feed(*frames):
            match event:
                case SessionError(code=code):
                    assert code in {ALREADY_ACTIVE, "response_cancel_not_active", "invalid_value"}
                    assert not event.wish or self.call.session.retry(event) is (event.wish in self.wanted)
                case AudioDelta():
                    assert event.audio
                    self.handed_on.add(event.item_id)
                case ResponseEnded(report):
                    assert report.ended_s >= report.created_s
                    self.last_report = report
        self.pump()

    # --- what the server does ---

    def begin(self, metadata: dict | None) -> None:
        self.number += 1
        self.active = f"resp_{self.number}"
        tag = (metadata or {}).get("wish", "") if self.echoes else ""
        self.feed(created(self.active, tag))

    @precondition(lambda self: self.wire)
    @rule()
    def server_reads_one_event(self) -> None:
        event = self.wire.popleft()
        match event["type"]:
            case "response.create":
                self.server_is_asked(event)
            case "response.cancel":
                self.server_cancels(event)
            case "conversation.item.create":
                self.feed(item_added(event["item"]["id"]))

    def server_is_asked(self, event: dict) -> None:
        self.unanswered.discard(event["event_id"])
        if self.active:
            event_id = {"event_id": event["event_id"]} if self.event_ids else {}
            self.feed(error(ALREADY_ACTIVE, **event_id))
            return
        metadata = event.get("response", {}).get("metadata")
        self.served.add(metadata["wish"])
        self.begin(metadata)

    @precondition(lambda self: self.event_ids and self.wire and self.wire[0]["type"] == "response.create")
    @rule()
    def server_refuses_our_create(self) -> None:
        """For no good reason, and says which one, so that the call can ask again."""
        event_id = self.wire.popleft()["event_id"]
        self.unanswered.discard(event_id)
        self.feed(error("invalid_value", event_id=event_id))

    def server_cancels(self, event: dict) -> None:
        if self.active and event.get("response_id", self.active) == self.active:
            self.end("cancelled")
        else:
            self.feed(error("response_cancel_not_active"))

    def end(self, status: str) -> None:
        finished, self.active = self.active, ""
        self.feed(done(finished, status))
        item_id = f"item_{finished}"
        if item_id in self.sent_ms and item_id not in self.handed_on:
            assert item_id in {*self.deleted, *self.cut}, "the model remembers what nobody heard"

    @precondition(lambda self: not self.speaking and not self.owed)
    @rule()
    def caller_starts_to_speak(self) -> None:
        self.speaking = True
        self.feed(speech_started())
        if self.active:
            self.end("cancelled")

    @precondition(lambda self: self.speaking)
    @rule()
    def caller_stops(self) -> None:
        self.speaking, self.owed = False, True
        self.stopped_s = self.call.now
        self.feed(speech_stopped(), committed())

    @precondition(lambda self: self.owed and not self.active and (self.tags_known() or self.in_time()))
    @rule()
    def server_answers_the_caller(self) -> None:
        """Within `response_wait_s`, or at any time where tags tell whose response it is."""
        self.owed = False
        self.begin(None)

    @precondition(lambda self: self.tags_known() and self.wire and not self.active)
    @rule()
    def server_begins_unannounced_while_our_frames_are_on_their_way(self) -> None:
        """Only where tags tell responses apart: without them and without a VAD event nobody could know whose it is."""
        self.begin(None)

    @precondition(lambda self: self.owed)
    @rule()
    def server_stays_silent(self) -> None:
        self.owed = False
        self.time_passes(RESPONSE_WAIT_S)

    @precondition(lambda self: self.active)
    @rule(target=items, frames=st.integers(1, 5))
    def server_speaks(self, frames: int) -> str:
        item_id = f"item_{self.active}"
        for _ in range(frames):
            self.sent_ms[item_id] = self.sent_ms.get(item_id, 0) + 10
            self.feed(audio(item_id, PCM_10_MS, self.active))
        return item_id

    @precondition(lambda self: self.active)
    @rule()
    def server_calls_a_function(self) -> None:
        self.number += 1
        self.calls.append(f"call_{self.number}")
        self.feed(output_done(function_item(self.calls[-1]), self.active))

    @precondition(lambda self: self.active)
    @rule(status=st.sampled_from(["completed", "incomplete", "failed"]))
    def server_ends_its_response(self, status: str) -> None:
        self.end(status)

    # --- what we want ---

    @precondition(lambda self: self.call.session._owner.pending < MAX_WISHES - 1)
    @rule()
    def we_say_something(self) -> None:
        self.wanted.add(self.call.session.say("x"))
        self.pump()

    @rule()
    def we_ask_for_a_response(self) -> None:
        self.call.session.request_response()
        self.pump()

    @precondition(lambda self: self.last_report)
    @rule()
    def we_retry_the_last_response(self) -> None:
        self.call.session.retry(self.last_report)
        self.pump()

    @precondition(lambda self: self.calls)
    @rule(respond=st.booleans())
    def we_answer_a_call(self, respond: bool) -> None:
        self.call.session.function_output(self.calls.pop(), "ok", respond=respond)
        self.pump()

    @rule(item_id=items, heard_ms=st.integers(-5, 200))
    def we_truncate(self, item_id: str, heard_ms: int) -> None:
        self.call.session.truncate(item_id, heard_ms)
        self.pump()

    @rule(item_id=items)
    def we_delete(self, item_id: str) -> None:
        self.call.session.delete_item(item_id)
        self.pump()

    @rule()
    def we_interrupt(self) -> None:
        self.call.session.interrupted()
        self.pump()

    @rule(seconds=st.sampled_from([0.02, 0.5, 2.0]))
    def time_passes(self, seconds: float) -> None:
        """The model server answers a create before `create_wait_s`: only an unanswered one may be given up."""
        asked = self.call.session._owner._asked
        latest = asked.sent_s + 9.9 if asked else float("inf")
        self.call.now = min(self.call.now + seconds, latest)
        self.pump()

    def tags_known(self) -> bool:
        return self.call.session._owner._echoes

    def in_time(self) -> bool:
        return self.call.now < self.stopped_s + RESPONSE_WAIT_S

    def outstanding(self) -> bool:
        return self.call.session._owner.outstanding

    # --- what must hold ---

    @invariant()
    def the_session_lives(self) -> None:
        assert self.call.session.state is State.READY
        assert self.call.session.malformed == 0

    def teardown(self) -> None:
        """When the caller is quiet and the server does its part, every wish is served in the end."""
        if not hasattr(self, "call"):
            return
        if self.speaking:
            self.caller_stops()
        self.owed = False
        for _ in range(200):
            if self.active:
                self.end("completed")
            elif self.wire:
                self.server_reads_one_event()
            elif self.call.session._owner.pending or self.outstanding():
                self.call.now += 3.0
                self.pump()
            else:
                break
        assert self.call.session._owner.pending == 0
        assert self.wanted <= self.served


IDS = st.sampled_from(["", "a", "b", "item_1"])
STATUSES = st.sampled_from(["completed", "cancelled", "in_progress", "odd"])
ITEM_TYPES = st.sampled_from(
    ["message", "function_call", "mcp_call", "mcp_approval_request", "mcp_list_tools"]
)
FIELDS = st.sampled_from(
    [
        "id",
        "response_id",
        "item_id",
        "call_id",
        "status",
        "usage",
        "item",
        "output",
        "delta",
        "metadata",
        "error",
        "session",
        "response",
        "audio",
        "input",
        "turn_detection",
        "content_index",
        "seconds",
        "audio_end_ms",
        "tools",
        "status_details",
        "input_token_details",
        "text_tokens",
        "rate_limits",
        "reset_seconds",
        "conversation_id",
        "wish",
    ]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.just(10**400) | IDS | STATUSES | ITEM_TYPES,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(FIELDS, inner, max_size=4),
    max_leaves=12,
)
NAMES = st.sampled_from(sorted({*HANDLERS, *PASSED, "error", "session.created", "session.updated", "ping"}))
ITEMS = st.fixed_dictionaries(
    {"type": ITEM_TYPES, "id": IDS}, optional={"status": STATUSES, "error": VALUES, "tools": VALUES}
)
BODIES = st.fixed_dictionaries(
    {},
    optional={
        "id": IDS,
        "status": STATUSES,
        "output": st.lists(ITEMS | VALUES),
        "usage": VALUES,
        "metadata": VALUES,
    },
)
NEAR_EVENTS = st.fixed_dictionaries(
    {"type": NAMES},
    optional={
        "response_id": IDS,
        "item_id": IDS,
        "item": ITEMS | VALUES,
        "response": BODIES | VALUES,
        "usage": VALUES,
    }
    | {"delta": VALUES | st.just("AAAA"), "error": VALUES, "session": VALUES, "rate_limits": VALUES},
)


@settings(deadline=None)
@given(st.lists(NEAR_EVENTS, max_size=12))
def test_whatever_a_server_puts_into_its_events_the_session_lives(events):
    call = Driver().ready()
    for event in events:
        call.feed(json.dumps(event))
        call.session.to_send(call.now)
    assert call.session.state is State.READY


SessionAndServer.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestAnyOrder = SessionAndServer.TestCase
