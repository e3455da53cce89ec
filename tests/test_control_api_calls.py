"""Live calls over the API: who sees and does what; nothing strange gets to a worker. Real sockets, real store."""

import asyncio
import json
from dataclasses import replace

import pytest
import structlog

from bridge import control_hands
from bridge.control_api_calls import MAX_COMMAND_BYTES
from bridge.control_hands import KINDS, MAX_AT_ONCE
from tests.fakes.api import running_api
from tests.fakes.events import Script, conversation

LIVE, OLDER, OVER = "aaaa1111" * 4, "aaaa2222" * 4, "bbbb0000" * 4
NUMBER = "sip:+4930123456@trunk"
GOOD = {
    "hang_up": {"reason": "fraud"},
    "transfer": {"target": "sales"},
    "warm_transfer": {"target": "sales", "summary": "Wants a refund."},
    "supervise": {"target": "boss", "mode": "whisper"},
    "take_over": {"target": "boss"},
    "hand_back": {"note": "the invoice is settled"},
    "whisper": {"text": "Offer ten percent.", "now": True},
    "recording": {"action": "pause"},
    "hand_off": {"agent": "billing", "note": "an invoice"},
}
BASE = "/api/v1/calls"


def started(call_id, at, boot="b1"):
    script = Script(call_id=call_id, boot=boot, at=at)
    facts = {
        "direction": "in",
        "from": NUMBER,
        "to": "sip:100@bridge",
        "route": "front",
        "worker": "worker-0",
    }
    return script.tell("call.started", agent="default", **facts, remote="192.0.2.7:5060").events


@pytest.fixture
async def api(tmp_path):
    async with running_api(tmp_path) as found:
        await found.store.write(0, conversation(call_id=OVER, boot="b0"))
        await found.store.write(0, started(LIVE, 2000.0))
        await found.store.write(1, started(OLDER, 1000.0, "b2"))
        yield found


async def test_live_calls_are_listed_and_say_whether_their_worker_is_there(api):
    status, data = await api.ask("GET", BASE)
    assert (status, data["complete"]) == (200, True)
    assert [(one["id"], one["connected"]) for one in data["calls"]] == [(LIVE, True), (OLDER, False)]
    assert data["calls"][0] == {
        "id": LIVE,
        "from": NUMBER,
        "to": "sip:100@bridge",
        "since": 2000.0,
        "connected": True,
        "direction": "in",
        "route": "front",
        "agent": "default",
        "node": "",
        "worker": "worker-0",
        "state": "ringing",
        "answered_at": None,
    }


async def test_one_call_is_its_record_with_the_timeline_and_the_events(api):
    status, data = await api.ask("GET", f"{BASE}/bbbb")
    assert (status, data["record"]["call_id"], data["record"]["state"]) == (200, OVER, "ended")
    assert "Where is my order?" in [span["text"] for span in data["timeline"]["spans"]]
    assert data["events"][-1]["type"] == "call.ended"


async def test_who_may_only_look_sees_no_number_no_word_and_no_digit(api):
    for path in (BASE, f"{BASE}/bbbb", f"{BASE}/aaaa1111"):
        status, data = await api.ask("GET", path, role="viewer")
        text = json.dumps(data)
        assert status == 200
        for secret in (
            "+4930123456",
            "alice",
            "Alice",
            "order",
            "192.0.2.7",
            "abc@host",
            '"sign"',
            "rec/call",
        ):
            assert secret not in text
    _, data = await api.ask("GET", f"{BASE}/bbbb", role="viewer")
    assert "events" not in data
    assert data["record"]["from_uri"] == "***ce"
    assert "dtmf" in [mark["name"] for mark in data["timeline"]["marks"]]
    assert "+4930123456" in json.dumps(await api.ask("GET", BASE, role="approver"))


@pytest.mark.parametrize("kind", KINDS)
async def test_a_command_gets_to_the_call_with_the_name_of_who_wants_it(api, kind):
    with structlog.testing.capture_logs() as lines:
        status, data = await api.ask("POST", f"{BASE}/{LIVE}/{kind}", GOOD[kind])
    assert (status, data) == (200, {"call_id": LIVE, "done": kind})
    assert api.worker.asked == [(LIVE, kind, {**GOOD[kind], "by": "a-operator"})]
    (line,) = [line for line in lines if line["event"] == "call.command"]
    assert (line["call_id"], line["kind"], line["by"], line["how"]) == (LIVE, kind, "a-operator", "API")
    assert "fraud" not in str(line)


async def test_the_answer_of_a_recording_says_its_state(api):
    api.worker.answers["recording"] = {
        "ok": True,
        "recording": True,
        "paused": True,
        "changed": False,
        "x": 1,
    }
    status, data = await api.ask("POST", f"{BASE}/aaaa1111/recording", GOOD["recording"], role="")
    assert (status, data["paused"], data["changed"], "x" in data) == (200, True, False, False)


@pytest.mark.parametrize(
    ("call", "status", "words"),
    [
        ("cccc", 404, "no call's id begins with cccc"),
        ("aaaa", 409, "more than one call"),
        ("bbbb", 409, "is over"),
        ("aaaa2222", 503, "not connected"),
        ("aaa", 400, "no call's id"),
        ("AAAA1111", 200, ""),
    ],
)
async def test_which_call_is_told_in_clear_words(api, call, status, words):
    got, data = await api.ask("POST", f"{BASE}/{call}/hang_up", {})
    assert got == status
    assert words in data.get("error", "")
    assert len(api.worker.asked) == (status == 200)


async def test_the_calls_own_reason_is_the_answer(api):
    error = "there is no transfer target 'x'; there are: sales"
    api.worker.answers["transfer"] = {"ok": False, "error": error}
    with structlog.testing.capture_logs() as lines:
        assert await api.ask("POST", f"{BASE}/{LIVE}/transfer", {"target": "x"}) == (422, {"error": error})
    assert [(line["ok"], line["reason"]) for line in lines if line["event"] == "call.command"] == [
        (False, error)
    ]


async def test_a_call_that_ends_meanwhile_is_over(api):
    api.worker.answers["transfer"] = None
    asking = asyncio.create_task(api.ask("POST", f"{BASE}/{LIVE}/transfer", GOOD["transfer"]))
    await until(lambda: api.worker.asked)
    api.worker.commands.calls_ended([LIVE])
    assert await asking == (409, {"error": "the call is over"})


async def test_a_worker_that_says_nothing_is_not_waited_for_longer_than_its_deadline(api, monkeypatch):
    api.worker.answers["hang_up"] = None
    monkeypatch.setitem(control_hands._ALL, "hang_up", replace(KINDS["hang_up"], deadline_s=0.1))
    status, data = await api.ask("POST", f"{BASE}/{LIVE}/hang_up", {})
    assert (status, "may still do it" in data["error"]) == (504, True)
    end = Script(call_id=LIVE, boot="b9", at=2001.0).tell("call.ended", by="caller").events
    asking = asyncio.create_task(api.ask("POST", f"{BASE}/{LIVE}/hang_up", {}))
    await until(lambda: len(api.worker.asked) == 2)
    await api.store.write(0, end)
    assert (await asking)[0] == 409


async def test_too_many_transfers_at_once_are_refused_and_hanging_up_still_works(api):
    api.worker.answers["transfer"] = None
    waiting = [
        asyncio.create_task(api.ask("POST", f"{BASE}/{LIVE}/transfer", GOOD["transfer"]))
        for _ in range(MAX_AT_ONCE)
    ]
    await until(lambda: len(api.worker.asked) == MAX_AT_ONCE)
    assert (await api.ask("POST", f"{BASE}/{LIVE}/transfer", GOOD["transfer"]))[0] == 429
    assert (await api.ask("POST", f"{BASE}/{LIVE}/hang_up", {}))[0] == 200
    api.worker.commands.calls_ended([LIVE])
    assert {status for status, _ in await asyncio.gather(*waiting)} == {409}
    api.worker.answers.clear()
    assert (await api.ask("POST", f"{BASE}/{LIVE}/transfer", GOOD["transfer"]))[0] == 200


async def until(condition):
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110  # the other end of a socket
            await asyncio.sleep(0.005)


async def test_queues_are_there_for_whoever_may_look(api):
    assert await api.ask("GET", "/api/v1/queues", role="viewer") == (200, {"queues": [], "parked": []})
    assert (await api.ask("GET", "/api/v1/queues", role=None))[0] == 401


# ---- attacks: each gets its status, and no worker hears of it -------------------------------------------------

JSON = {"content-type": "application/json"}


@pytest.mark.parametrize(
    ("role", "status"), [(None, 401), ("wrong", 401), ("viewer", 403), ("approver", 403)]
)
async def test_nobody_acts_without_the_right(api, role, status):
    got = {kind: (await api.ask("POST", f"{BASE}/{LIVE}/{kind}", GOOD[kind], role=role))[0] for kind in KINDS}
    assert got == dict.fromkeys(KINDS, status)
    assert api.worker.asked == []


@pytest.mark.parametrize("path", [BASE, f"{BASE}/{LIVE}"])
async def test_nobody_looks_without_a_token(api, path):
    assert (await api.ask("GET", path, role=None))[0] == 401
    assert (await api.ask("GET", path, role="wrong"))[0] == 401


BAD_BODIES = (
    ("transfer", {}),
    ("transfer", {"target": None}),
    ("transfer", {"target": ""}),
    ("transfer", {"target": 1}),
    ("transfer", {"target": ["sales"]}),
    ("transfer", {"target": {"uri": "sip:x"}}),
    ("transfer", {"target": "sip:evil@example.com"}),
    ("transfer", {"target": "+49900123456"}),
    ("transfer", {"target": "sales\r\nRefer-To: sip:x"}),
    ("transfer", {"target": "sales\n"}),
    ("transfer", {"target": "s" * 65}),
    ("transfer", {"target": "sales", "uri": "sip:x@y"}),
    ("transfer", {"target": "sales", "headers": {"X": "y"}}),
    ("transfer", {"target": "sales", "by": "somebody else"}),
    ("warm_transfer", {"target": "sales", "summary": "x" * 1001}),
    ("warm_transfer", {"target": "sales", "summary": ["x"]}),
    ("hang_up", {"reason": "bye\r\nX-Injected: 1"}),
    ("hang_up", {"reason": "bye\x00"}),
    ("hang_up", {"reason": "\x1b[2J"}),
    ("hang_up", {"reason": "\u202eeyb"}),
    ("hang_up", {"reason": "\ud800"}),
    ("hang_up", {"reason": "x" * 81}),
    ("hang_up", {"reason": {"a": 1}}),
    ("hang_up", {"status": 200}),
    ("supervise", {"target": "boss", "mode": "record"}),
    ("supervise", {"target": "boss", "mode": ["listen"]}),
    ("supervise", {"target": "boss", "stop": "yes"}),
    ("supervise", {"mode": "listen"}),
    ("recording", {}),
    ("recording", {"action": "delete"}),
    ("recording", {"action": True}),
    ("hand_off", {"agent": "../billing"}),
    ("hand_off", {"agent": "billing", "note": 5}),
    ("take_over", {"target": "boss", "__proto__": {}}),
)


async def test_a_body_that_does_not_fit_is_refused_and_says_what_fits(api):
    for kind, body in BAD_BODIES:
        content = json.dumps(body).encode()
        status, data = await api.ask("POST", f"{BASE}/{LIVE}/{kind}", content=content, headers=JSON)
        assert (status, api.worker.asked) == (400, []), body
        assert data["error"].isprintable(), body


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (b"{", JSON, 400),
        (b"[]", JSON, 400),
        (b'"sales"', JSON, 400),
        (b"\xff\xfe", JSON, 400),
        (b"[" * 8000, JSON, 400),
        (b'{"reason": ' + b"9" * 5000 + b"}", JSON, 400),
        (b'{"reason": "' + b"x" * MAX_COMMAND_BYTES + b'"}', JSON, 413),
        (b"reason=x", {"content-type": "application/x-www-form-urlencoded"}, 415),
        (b'{"reason": "x"}', {"content-type": "text/plain"}, 415),
        (b"{}", JSON | {"origin": "https://evil.example"}, 403),
        (b"{}", JSON | {"sec-fetch-site": "cross-site"}, 403),
    ],
)
async def test_what_is_no_request_of_ours_does_nothing(api, content, headers, status):
    got, data = await api.ask("POST", f"{BASE}/{LIVE}/hang_up", content=content, headers=headers)
    assert (got, api.worker.asked, "error" in data) == (status, [], True)


@pytest.mark.parametrize(
    "path",
    [
        f"{BASE}/%2e%2e/hang_up",
        f"{BASE}/..%2f..%2fetc%2fpasswd/hang_up",
        f"{BASE}/{LIVE}%00/hang_up",
        f"{BASE}/{LIVE}%0d%0aX:%20y/hang_up",
        f"{BASE}/{LIVE}%25/hang_up",
        f"{BASE}/%25%25%25%25/hang_up",
        f"{BASE}/____/hang_up",
        f"{BASE}/{'a' * 33}/hang_up",
        f"{BASE}/{LIVE}/collect",
        f"{BASE}/{LIVE}/_other",
        f"{BASE}/{LIVE}/hang_up/",
        f"{BASE}/{LIVE}/HANG_UP",
        f"{BASE}//hang_up",
        f"{BASE}/\N{FULLWIDTH DIGIT ONE}aaa/hang_up",
    ],
)
async def test_a_trick_with_the_path_finds_no_call(api, path):
    status, data = await api.ask("POST", path, {})
    assert status in {400, 404, 405}
    assert api.worker.asked == []
    assert "etc" not in data["error"]


async def test_other_methods_do_nothing(api):
    for method in ("GET", "PUT", "DELETE", "PATCH"):
        assert (await api.ask(method, f"{BASE}/{LIVE}/hang_up"))[0] == 405
    assert api.worker.asked == []
