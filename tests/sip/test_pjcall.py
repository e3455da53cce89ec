"""The parts that need no endpoint; the calls themselves are in test_agent.py."""

from types import SimpleNamespace

import pjsua2 as pj
import pytest

from bridge.sip.events import HangUpBy
from bridge.sip.pjcall import _ended_by, _reason_header, call_parameters


def with_message(text):
    source = SimpleNamespace(rdata=SimpleNamespace(wholeMsg=text))
    return SimpleNamespace(e=SimpleNamespace(body=SimpleNamespace(tsxState=SimpleNamespace(src=source))))


def test_parameters_ask_for_one_audio_stream_and_carry_status_phrase_and_headers():
    prm = call_parameters(503, "Full", {"Retry-After": "5"})
    assert (prm.statusCode, prm.reason, prm.opt.audioCount, prm.opt.videoCount) == (503, "Full", 1, 0)
    assert [(header.hName, header.hValue) for header in prm.txOption.headers] == [("Retry-After", "5")]


def test_parameters_without_status_leave_it_to_pjsip():
    prm = call_parameters()
    assert prm.reason == ""
    assert len(prm.txOption.headers) == 0


def test_the_reason_is_read_from_the_head_only():
    text = 'BYE sip:x SIP/2.0\r\nreason:  SIP;cause=486;text="Busy\x07"\r\n\r\nReason: body'
    assert _reason_header(with_message(text)) == "Busy"
    assert _reason_header(with_message("BYE sip:x SIP/2.0\r\n\r\nReason: body")) == ""


def test_an_end_without_a_message_has_no_reason():
    assert _reason_header(SimpleNamespace()) == ""


@pytest.mark.parametrize(
    ("kind", "by"),
    [
        (pj.PJSIP_EVENT_RX_MSG, HangUpBy.CALLER),
        (pj.PJSIP_EVENT_TX_MSG, HangUpBy.CALLER),  # our 487, which answers the caller's CANCEL
        (pj.PJSIP_EVENT_TIMER, HangUpBy.NETWORK),
        (pj.PJSIP_EVENT_TRANSPORT_ERROR, HangUpBy.NETWORK),
    ],
)
def test_a_stack_that_gave_up_is_not_the_caller(kind, by):
    event = SimpleNamespace(body=SimpleNamespace(tsxState=SimpleNamespace(type=kind)))
    assert _ended_by(SimpleNamespace(e=event)) is by
