"""Everything a page says about one call, and what it keeps back."""

from dataclasses import replace

import pytest

from bridge.console.callview import view
from bridge.console.texts import TEXTS
from bridge.records import lanes
from bridge.records.cdr import fold
from bridge.records.moments import NAMES
from bridge.store.callrows import StoredEvent
from bridge.store.gaterows import StoredRequest
from bridge.store.historystore import OneCall
from tests.fakes.events import Script, conversation

SIP = [
    {
        "mono": 50.0,
        "sent": False,
        "what": "INVITE",
        "cseq": "1",
        "reason": "secret reason",
        "text": "INVITE whole",
    },
    {"mono": 50.1, "sent": True, "what": "200 INVITE", "cseq": "1", "reason": "OK"},
]
USED = {"text_in": 10, "audio_in": 200, "text_cached": 5, "text_out": 3, "audio_out": 100, "total": 313}


def one(events, *requests):
    stored = tuple(
        StoredEvent(event.seq, event.boot, event.call_id, event.type, event.at, event.mono, event.data)
        for event in events
    )
    return OneCall(fold(stored), stored, requests)


def rich():
    script = Script().tell(
        "call.started", direction="inbound", **{"from": "+4930123456", "to": "100"}, remote="1.2.3.4"
    )
    script.tell("call.answered", 2.0, codec="PCMU", ptime_ms=20).tell(
        "sip.messages", leg="caller", messages=SIP
    )
    script.tell("transcript", 1, who="caller", item_id="i", text="my secret")
    script.tell("speech.started", item_id="i").tell("speech.stopped", 1, item_id="i")
    script.tell("function_call", 1, name="refund", function="f1", arguments='{"card": "4111"}')
    script.tell("tool.state", 0.5, function="f1", state="pending", request_id="r1", tool="refund")
    script.tell("function_output", 4, function="f1", output="4111 is fine")
    script.tell(
        "response", status="completed", latency_ms=300.0, duration_ms=900.0, usage=USED, cost_usd=0.02
    )
    script.tell("dtmf", digit="7").tell("underrun", ms=40)
    script.tell(
        "media",
        rx_packets=500,
        rx_lost=5,
        rx_jitter_ms=2.0,
        tx_packets=500,
        rtt_ms=12.0,
        intake_dropped_ms=20,
    )
    return script.tell("call.ended", 9, by="caller", status=200, reason="BYE of Bob").events


REQUEST = StoredRequest(
    "r1", "call-1", "f1", "refund", "+49", "succeeded", 3, {"approved_by": ["anna"]}, 1000.0, 1010.0
)


def everything(seen):
    return repr(replace(seen, record=None))


def test_a_call_is_told_in_words_figures_and_pictures():
    seen = view(one(rich(), REQUEST), None, personal=True)
    assert (seen.ending, seen.why) == ("other side hung up", "")
    assert dict(seen.facts)["Rang for"] == "2.0 s"
    assert dict(seen.quality) == {
        "MOS (estimate)": "4.31", "Packets lost": "0.99 %", "Jitter": "2.0 ms", "Round trip": "12 ms",
        "Packets received": "500", "Packets sent": "500", "Caller audio dropped": "20 ms",
        "Gaps in the agent's speech": "1 (40 ms)",
    }  # fmt: skip
    (tool,) = seen.tools
    assert (tool.name, tool.took_s, tool.state, tool.request_id, tool.people) == (
        "refund", 4.5, "succeeded", "r1", "anna",
    )  # fmt: skip
    (response,) = seen.responses
    assert (response.text_in, response.audio_in, response.cached, response.cost_usd) == (10, 200, 5, 0.02)
    assert dict(seen.cost) == {"Responses": "$0.0200", "Tokens": "313", "Audio tokens in / out": "200 / 100"}
    assert [arrow.line.what for arrow in seen.ladder.arrows] == ["INVITE", "200 INVITE"]
    assert [line.heard for line in seen.lanes.lines] == ["my secret"]


def test_without_the_right_there_is_no_word_number_digit_or_address():
    text = everything(view(one(rich(), REQUEST), None, personal=False))
    for secret in ("secret", "4111", "+4930123456", "1.2.3.4", "Bob", "anna", "whole", "'7'"):
        assert secret not in text, secret
    assert "***56" in text
    assert "refund" in text


def test_who_has_a_link_sees_no_costs_no_sip_and_no_names_of_ours():
    seen = view(one(rich(), REQUEST), None, personal=True, shared=True)
    assert (seen.ladder, seen.responses, seen.cost, seen.hint) == (None, (), (), "")
    assert [line.heard for line in seen.lanes.lines] == ["my secret"]
    for ours in ("anna", "1.2.3.4", "worker-0"):
        assert ours not in everything(seen), ours


@pytest.mark.parametrize(
    ("events", "personal", "words"),
    [
        (rich(), True, "there"),
        (rich(), False, "hidden"),
        ([event for event in rich() if event.type != "transcript"], True, "erased"),
        (Script().tell("call.started").tell("call.ended", by="caller").events, True, "none"),
    ],
)
def test_words_that_are_gone_are_said_to_be(events, personal, words):
    assert view(one(events), None, personal=personal).words == words


def test_why_a_call_ended_is_told_where_it_says_more_than_the_cause():
    script = Script().tell("call.started").tell("call.answered", 1)
    script.tell("call.ended", 5, by="bridge", reason="rtp_timeout", detail="no audio for 20 s")
    seen = view(one(script.events), None, personal=True)
    assert (seen.ending, seen.kind, seen.why) == ("no audio came any more", "bad", "no audio for 20 s")
    assert seen.hint.startswith("NAT, firewall")
    assert view(one(script.events), None, personal=False).why == ""


def test_moments_are_told_by_their_middle_and_their_worst():
    assert dict(view(one(conversation()), None, personal=True).moments) == {
        "Answer to greeting": "200 ms", "Last word to response": "800 ms", "Barge-in to silence": "12 ms",
    }  # fmt: skip


def test_everything_that_can_be_drawn_has_words():
    kinds = {
        "speech", "cut", "silence", "wait", "prompt", "tool", "pending", "confirming", "hold", "pause", "ringing",
        "leg", "people", "supervisor", "queue", "park", "transfer", "barge_in", "dtmf", "error", "hand_off", "answered",
        "ended",
    }  # fmt: skip
    names = {f"history.is.kind.{name}" for name in kinds} | {
        f"history.is.lane.{name}" for name in lanes.LANES
    }
    names |= {f"history.is.moment.{name}" for name in NAMES}
    assert names <= set(TEXTS)
