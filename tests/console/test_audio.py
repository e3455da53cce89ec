"""What a page with a seat may post, by whom, and what reaches the call. The calls, and the processes, are fakes."""

import json
import re
from pathlib import Path

import pytest

from bridge.console.audio import SAID, AudioDeps
from bridge.console.seats import SeatLimits
from bridge.console.web import csrf_of
from bridge.errors import OrderError
from bridge.seat.order import Dial, Ice, IceServer
from bridge.store.userstore import User
from tests.console.test_seats import PROGRAM
from tests.fakes import console as consoles

OFFER = (
    "v=0\r\nm=audio 9\r\na=candidate:1 1 udp 2113937151 ab-1.local 51000 typ host\r\nm=application 9\r\n ok"
)
CALL = "0123456789abcdef0123456789abcdef"
BRIDGE = Path(__file__).parents[2] / "bridge"
SCRIPT = (BRIDGE / "console" / "static" / "seat.js").read_text()
STATES = (BRIDGE / "seat" / "ends.py").read_text()


class Voice:
    """Calls that do as they are told."""

    def __init__(self):
        self.orders, self.dialled, self.refusal = [], [], None

    async def order(self, call_id, kind, body, by):
        self.orders.append((call_id, kind, dict(body), by))
        if self.refusal:
            raise self.refusal
        return {"call_id": CALL, "address": "10.0.0.1:4000", "rate_hz": 16000}

    def dial(self, seat_id, user, number, caller):
        self.dialled.append((user.name, number, caller))
        return Dial(f"sip:{number}@127.0.0.1", "127.0.0.1", f"<sip:{caller}@127.0.0.1>", {})


@pytest.fixture
async def house(tmp_path):
    voice = Voice()
    ice = Ice(servers=(IceServer("turn:relay:3478", "u", "p"),))
    deps = AudioDeps(voice, ice, SeatLimits(program=PROGRAM))
    async with consoles.running(tmp_path, more={"audio": deps}) as found:
        found.voice = voice
        for name, role in (("olga", "operator"), ("vera", "viewer"), ("anna", "approver")):
            await found.office.users.put(User(name, frozenset({role}), frozenset()))
        yield found


async def post(browser, path, **fields):
    csrf = csrf_of(browser.client.cookies["sipbridge"])
    return await browser.post(f"/console/{path}", **{"csrf": csrf, **fields})


async def seated(house, name="olga"):
    """(browser, seat id, what its process was told)."""
    browser = await house.as_(name)
    answer = await post(browser, f"calls/{CALL}/seat", offer=OFFER, mode="listen")
    assert answer.status_code == 200, answer.text
    return browser, answer.json()["seat"], json.loads(answer.json()["answer"])["order"]


async def test_who_listens_in_becomes_a_party_of_the_call(house):
    _, seat, order = await seated(house)
    ((call_id, kind, body, by),) = house.voice.orders
    assert (call_id, kind, by) == (CALL, "seat", "olga")
    assert (body["target"], body["mode"]) == (f"seat:{seat}", "listen")
    assert order["listen"] == {"address": "10.0.0.1:4000", "key": body["key"], "rate_hz": 16000}
    assert "127.0.0.1 51000" in order["offer"], "the browser's own address, which it hides"
    assert re.fullmatch(r"[0-9a-f]{64}", body["key"])


async def test_mode_take_over_and_hand_back_reach_the_call_of_the_seat(house):
    browser, seat, _ = await seated(house)
    assert (await post(browser, f"seats/{seat}/mode", mode="whisper")).json() == {"mode": "whisper"}
    assert (await post(browser, f"seats/{seat}/take-over")).json() == {"mode": "alone"}
    assert (await post(browser, f"seats/{seat}/hand-back", note=" pay\n back ")).json() == {"mode": "listen"}
    target = {"target": f"seat:{seat}"}
    assert house.voice.orders[1:] == [
        (CALL, "seat", {**target, "mode": "whisper"}, "olga"),
        (CALL, "seat_take_over", target, "olga"),
        (CALL, "hand_back", {"note": "pay back"}, "olga"),
    ]
    assert (await post(browser, f"seats/{seat}/leave")).status_code == 200


async def test_a_seat_that_is_on_no_call_moves_none(house):
    """A browser call whose worker has not said which call it is."""
    browser = await house.as_("olga")
    answer = await post(browser, "phone/call", offer=OFFER, number="100")
    seat = answer.json()["seat"]
    for what, more in (("mode", {"mode": "join"}), ("take-over", {}), ("hand-back", {})):
        assert (await post(browser, f"seats/{seat}/{what}", **more)).status_code == 409
    assert house.voice.orders == []


async def test_nobody_moves_the_seat_of_another(house):
    _, seat, _ = await seated(house)
    await house.office.users.put(User("otto", frozenset({"operator"}), frozenset()))
    other = await house.as_("otto")
    for what in ("mode", "take-over", "leave"):
        assert (await post(other, f"seats/{seat}/{what}", mode="join")).status_code == 404
    assert len(house.voice.orders) == 1


@pytest.mark.parametrize("name", ["vera", "anna"])
@pytest.mark.parametrize("path", [f"calls/{CALL}/seat", "phone/call", "seats/0/mode", "seats/0/take-over"])
async def test_without_the_role_there_is_no_seat(house, name, path):
    browser = await house.as_(name)
    answer = await post(browser, path, offer=OFFER, number="100", mode="join")
    assert answer.status_code == 403
    assert (house.voice.orders, house.voice.dialled) == ([], [])


async def test_without_the_forms_secret_there_is_no_seat(house):
    browser = await house.as_("olga")
    for csrf in ("", "0" * 64):
        answer = await post(browser, f"calls/{CALL}/seat", offer=OFFER, csrf=csrf)
        assert answer.status_code == 403
    assert house.voice.orders == []


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        (f"calls/{CALL}/seat", {"offer": "v=0\r\nm=video 9\r\n"}),
        (f"calls/{CALL}/seat", {"offer": ""}),
        (f"calls/{CALL}/seat", {"offer": OFFER, "mode": "shout"}),
        ("calls/..%2f/seat", {"offer": OFFER}),
        ("phone/call", {"offer": OFFER, "number": ""}),
        ("phone/call", {"offer": OFFER, "number": "100@elsewhere"}),
        ("phone/call", {"offer": OFFER, "number": "100", "caller": 'x" <sip:y>'}),
        ("phone/call", {"offer": OFFER, "number": "1\r\nX: y"}),
    ],
)
async def test_what_makes_no_sense_is_refused_before_anything_is_done(house, path, fields):
    answer = await post(await house.as_("olga"), path, **fields)
    assert answer.status_code in {400, 404}
    assert (house.voice.orders, house.voice.dialled) == ([], [])


async def test_a_call_that_refuses_says_why_and_the_place_is_free_again(house):
    house.voice.refusal = OrderError(422, "the call is not answered yet")
    answer = await post(await house.as_("olga"), f"calls/{CALL}/seat", offer=OFFER)
    assert (answer.status_code, answer.json()) == (422, {"error": "the call is not answered yet"})
    assert house.console.seats.taken == 0


async def test_a_browser_call_goes_to_the_number_as_the_caller_that_was_named(house):
    browser = await house.as_("olga")
    answer = await post(browser, "phone/call", offer=OFFER, number="100", caller="+49301111")
    assert answer.status_code == 200
    assert house.voice.dialled == [("olga", "100", "+49301111")]
    assert json.loads(answer.json()["answer"])["order"]["dial"]["uri"] == "sip:100@127.0.0.1"
    await post(browser, "phone/call", offer=OFFER, number="100")
    assert house.voice.dialled[1] == ("olga", "100", "console")


@pytest.mark.parametrize("path", ["/console/phone", f"/console/calls/{CALL}/listen"])
async def test_only_the_pages_with_a_seat_may_ask_for_the_microphone(house, path):
    browser = await house.as_("olga")
    page = await browser.get(path)
    assert "microphone=(self)" in page.headers["permissions-policy"]
    assert "script-src" not in page.headers["content-security-policy"], "nothing but our own"
    assert "turn:relay:3478" in page.text
    assert "microphone=()" in (await browser.get("/console/")).headers["permissions-policy"]


async def test_the_pages_are_for_those_who_may(house):
    for name in ("vera", "anna"):
        browser = await house.as_(name)
        for path in ("/console/phone", f"/console/calls/{CALL}/listen"):
            assert (await browser.get(path)).status_code == 403
        assert "Browser call" not in (await browser.get("/console/")).text


async def test_an_id_that_is_none_has_no_page(house):
    assert (await (await house.as_("olga")).get("/console/calls/xyz/listen")).status_code == 404


def test_the_script_uses_every_word_that_it_is_given():
    for name in SAID:
        last = name.rpartition(".")[2]
        assert re.search(rf"\b{last}\b", SCRIPT + STATES), name
