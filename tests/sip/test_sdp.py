"""SDP with a trunk's codecs only."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.sip.events import SdpFacts
from bridge.sip.sdp import MAX_PTIME_MS, best_alone, limit_codecs, literal, offers, sure

SDP = (
    "v=0\r\nm=audio 4000 RTP/AVP 0 8 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n"
    "a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=sendrecv\r\n"
)


def test_only_the_named_codecs_stay_with_their_lines_and_the_digits():
    assert limit_codecs(SDP, ("PCMA",)) == (
        "v=0\r\nm=audio 4000 RTP/AVP 8 101\r\na=rtpmap:8 PCMA/8000\r\n"
        "a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=sendrecv\r\n"
    )


def test_the_order_is_that_of_the_trunk():
    assert "RTP/AVP 8 0 101" in limit_codecs(SDP, ("PCMA", "PCMU"))


def test_static_payloads_need_no_rtpmap():
    assert limit_codecs("m=audio 1 RTP/AVP 0 8\n", ("pcma",)) == "m=audio 1 RTP/AVP 8\n"


def test_sdp_with_none_of_them_stays_as_it_is():
    assert limit_codecs(SDP, ("G722",)) == SDP


@pytest.mark.parametrize(
    ("sdp", "codecs", "yes"),
    [
        (SdpFacts(("PCMU", "GSM")), ("PCMU",), True),
        (SdpFacts(("GSM",)), ("PCMU",), False),
        (SdpFacts(("GSM",)), (), True),
        (None, ("PCMU",), True),
    ],
)
def test_an_offer_must_have_one_of_them(sdp, codecs, yes):
    assert offers(sdp, codecs) is yes


WIDE = SDP.replace("AVP 0 8 101", "AVP 9 0 8 101").replace("a=rtpmap:0", "a=rtpmap:9 G722/8000\r\na=rtpmap:0")


@pytest.mark.parametrize(
    ("codecs", "offer", "answer"),
    [
        (("G722", "PCMU"), "m=audio 1 RTP/AVP 0 8 9 101\r\n", "9 101"),  # named last by the phone
        (("PCMA", "G722"), "m=audio 1 RTP/AVP 0 8 9\r\n", "9 0 8 101"),  # we would rather have PCMA
        (("G722", "PCMU"), "m=audio 1 RTP/AVP 0 8\r\n", "9 0 8 101"),
        (("G722", "PCMU"), "", "9 0 8 101"),  # it is we who offer
    ],
)
def test_wideband_is_answered_when_we_would_rather_have_it_wherever_it_stands_in_the_offer(
    codecs, offer, answer
):
    made = best_alone(WIDE, codecs, offer)
    assert f"RTP/AVP {answer}\r\n" in made
    assert "telephone-event" in made


@given(st.text(max_size=300))
def test_it_never_raises(text):
    limit_codecs("m=audio " + text, ("PCMU",))


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("c=IN IP4 192.0.2.1", True),
        ("c=IN IP4 0.0.0.0 ", True),
        ("c=IN IP4 224.2.1.1/127/3", True),
        ("c=IN IP6 2001:db8::1", True),
        ("a=rtcp:4001", True),
        ("a=rtcp:4001 IN IP4 192.0.2.1", True),
        ("x=c=IN IP4 ::1", True),
        ("c=IN IP4 ::1", False),
        ("c=IN IP6 192.0.2.1", False),
        ("c=IN IP4 999.1.1.1", False),
        ("c=IN IP4 pbx.example", False),
        ("c=IN IP4", False),
        ("c=", False),
        ("c=XX IP4 192.0.2.1", False),
        ("a=rtcp:4001 IN IP4 ::1", False),
    ],
)
def test_only_addresses_are_taken_where_audio_is_to_go(line, found):
    for end in ("\r\n", "\n", "\r"):
        assert literal(f"v=0{end}c=IN IP4 192.0.2.1{end}{line}{end}t=0 0{end}") is found


@pytest.mark.parametrize(
    ("sdp", "line", "found"),
    [
        (None, "", True),
        (SdpFacts(("PCMU",)), "c=IN IP4 192.0.2.1", True),
        (SdpFacts(("PCMU",), ptime_ms=MAX_PTIME_MS + 1), "c=IN IP4 192.0.2.1", False),
        (SdpFacts(()), "c=IN IP4 192.0.2.1", False),
        (SdpFacts(("PCMU",)), "c=IN IP6 2001:db8::1", False),
    ],
)
def test_a_call_is_taken_over_only_with_an_offer_that_is_sure_to_work(sdp, line, found):
    assert sure(sdp, f"v=0\r\n{line}\r\n") is found
