from decimal import Decimal

from bridge.call.journal import MAX_RECORDED_HEADERS, Journal
from bridge.realtime.events import ResponseReport
from bridge.realtime.usage import Usage
from bridge.sip.events import HangUpBy, HungUp, Invite, MediaStarted, MediaStats, Party


def written(write):
    kept = []
    write(Journal("c1", lambda *event: kept.append(event)))
    assert [call_id for call_id, _, _ in kept] == ["c1"]
    return kept[0][1:]


def report(**changes):
    fields = {
        "response_id": "r1", "status": "completed", "reason": "", "error_code": "", "error_message": "",
        "usage": Usage(text_in=10, audio_out=5), "cost_usd": Decimal("0.00125"), "asked_s": 10.0, "created_s": 10.1,
        "first_audio_s": 10.35, "ended_s": 12.0,
    }  # fmt: skip
    return ResponseReport(**fields | changes)


def test_the_start_names_the_parties_and_the_route():
    invite = Invite(
        "sip-1", "sip:100@b", Party("200", "p", "Ann"), Party("100", "b"), asserted=Party("+49", "t"),
        source="1.2.3.4:5",
        headers={f"X-{n}": "v" for n in range(100)},
    )  # fmt: skip
    kind, data = written(lambda j: j.started(invite, route="desk", plan_version="abc", worker="w0"))
    assert kind == "call.started"
    assert (data["from"], data["to"], data["remote"], data["route"]) == ("+49", "100", "1.2.3.4:5", "desk")
    assert len(data["headers"]) == MAX_RECORDED_HEADERS


def test_a_response_tells_cost_and_times_in_numbers_json_knows():
    kind, data = written(lambda j: j.response(report()))
    assert kind == "response"
    assert data["cost_usd"] == 0.00125
    assert (data["latency_ms"], data["first_audio_ms"], data["duration_ms"]) == (350.0, 250.0, 1900.0)
    assert data["usage"]["total"] == 15


def test_what_is_unknown_of_a_response_is_none():
    _, data = written(
        lambda j: j.response(report(asked_s=None, first_audio_s=None, cost_usd=None, error_code="e"))
    )
    assert (data["latency_ms"], data["first_audio_ms"], data["cost_usd"], data["reason"]) == (
        None,
        None,
        None,
        "e",
    )


def test_media_counters_are_told_with_what_the_call_adds():
    kind, data = written(lambda j: j.media(MediaStats(rx_packets=5), lost_digits=2))
    assert (kind, data["rx_packets"], data["lost_digits"]) == ("media", 5, 2)


def test_the_codec_is_told_when_a_stream_starts():
    kind, data = written(lambda j: j.media_started(MediaStarted("PCMA", 30, "1.2.3.4:5", direct=True)))
    assert (kind, data) == ("media.started", {"codec": "PCMA", "ptime_ms": 30, "remote_rtp": "1.2.3.4:5"})


def test_the_end_says_who_and_why():
    kind, data = written(lambda j: j.ended(HungUp(HangUpBy.AGENT, 200, "bye"), "said goodbye"))
    assert (kind, data) == (
        "call.ended",
        {"by": "agent", "status": 200, "reason": "bye", "detail": "said goodbye"},
    )


def test_the_closing_is_told_once_and_the_end_says_how_long_it_took():
    events = []
    journal = Journal("c1", lambda *event: events.append(event))
    journal.closing(HangUpBy.CALLER)
    journal.closing(HangUpBy.BRIDGE)
    journal.ended(HungUp(HangUpBy.CALLER, 200, "bye"))
    assert [(kind, data["by"]) for _, kind, data in events] == [
        ("call.closing", "caller"),
        ("call.ended", "caller"),
    ]
    assert 0 <= events[1][2]["closing_ms"] < 1000


def test_sip_messages_are_told_at_turns_of_the_call_and_none_after_its_end():
    kept, waiting = [], [{"what": "INVITE"}]

    def messages():
        told, waiting[:] = list(waiting), []
        return told

    journal = Journal("c1", lambda *event: kept.append(event[1:]), messages)
    journal.note("dtmf", digit="1")
    journal.note("agent.started", item_id="i")
    journal.note("agent.started", item_id="j")
    waiting.append({"what": "BYE"})
    journal.ended(HungUp(HangUpBy.CALLER, 200, "BYE"))
    assert [kind for kind, _ in kept] == [
        "dtmf", "sip.messages", "agent.started", "agent.started", "sip.messages", "call.ended",
    ]  # fmt: skip
    assert kept[1][1] == {"leg": "caller", "messages": [{"what": "INVITE"}]}
    assert kept[4][1] == {"leg": "caller", "messages": [{"what": "BYE"}]}


def test_many_sip_messages_are_told_in_pieces():
    kept = []
    Journal("c1", lambda *event: kept.append(event[2])).sip("sales", [{"n": n} for n in range(45)])
    assert [(data["leg"], len(data["messages"])) for data in kept] == [
        ("sales", 20),
        ("sales", 20),
        ("sales", 5),
    ]
