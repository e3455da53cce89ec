"""What is told to a seat, and what becomes of SDP on its way between browser and bridge."""

import json

import pytest

from bridge.seat.order import Dial, Ice, IceServer, Listen, Order, announced, located, unusable
from bridge.strictjson import decode, encode

OFFER = (
    "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\n"
    "a=candidate:1 1 udp 2113937151 8c0f-12.local 51000 typ host generation 0\r\n"
    "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n"
)
ANSWER = (
    "v=0\r\nm=audio 42000 UDP/TLS/RTP/SAVPF 111\r\n"
    "a=candidate:aa 1 udp 2130706431 192.0.2.7 42000 typ host\r\n"
    "a=candidate:bb 1 udp 2130706431 fd00::7 42001 typ host\r\n"
    "a=candidate:cc 1 udp 100 203.0.113.9 3478 typ relay raddr 0.0.0.0 rport 0\r\n"
    "a=end-of-candidates\r\n"
)


@pytest.mark.parametrize(
    "order",
    [
        Order("v=0", listen=Listen("127.0.0.1:4000", "00" * 32, 8000)),
        Order(
            "v=0",
            Ice("198.51.100.1", 30000, 30099, (IceServer("turn:a:3478", "u", "p"), IceServer("stun:b"))),
            dial=Dial("sip:100@127.0.0.1", "127.0.0.1", "<sip:1@127.0.0.1>", {"X-Console-Call": "x"}),
        ),
    ],
)
def test_an_order_survives_the_way_to_the_process(order):
    assert decode(Order, json.loads(json.dumps(encode(order)))) == order


def test_an_offer_of_our_page_is_taken():
    assert unusable(OFFER) == ""


@pytest.mark.parametrize(
    "offer",
    [
        "",
        "hello",
        OFFER.replace("m=application", "m=video"),
        OFFER + "m=video 9 UDP/TLS/RTP/SAVPF 96\r\n",
        OFFER + "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n",
        OFFER + "a=x:" + "y" * 40_000,
    ],
)
def test_any_other_is_not(offer):
    assert unusable(offer)


def test_a_browser_that_hides_its_address_is_looked_for_where_its_page_was_asked_from():
    assert "2113937151 10.1.2.3 51000 typ host" in located(OFFER, "10.1.2.3")
    assert ".local" not in located(OFFER, "")


def test_an_address_that_is_not_hidden_stays():
    offer = OFFER.replace("8c0f-12.local", "10.9.9.9")
    assert located(offer, "10.1.2.3") == offer


def test_behind_a_router_the_browser_is_told_the_address_outside():
    told = announced(ANSWER, "198.51.100.1")
    assert "192.0.2.7" not in told
    assert "fd00::7" not in told
    assert "198.51.100.1 42000 typ host" in told
    assert "203.0.113.9 3478 typ relay" in told, "a relay is where it is"
    assert told.endswith("a=end-of-candidates\r\n")


def test_without_one_it_is_told_our_own():
    assert announced(ANSWER, "") == ANSWER
