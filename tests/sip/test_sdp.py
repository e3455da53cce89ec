"""SDP with a trunk's codecs only."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.sip.events import SdpFacts
from bridge.sip.sdp import limit_codecs, offers

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


@given(st.text(max_size=300))
def test_it_never_raises(text):
    limit_codecs("m=audio " + text, ("PCMU",))
