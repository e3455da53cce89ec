"""What can be seen without pjsip; its behaviour on the wire is in tests/system/test_call.py and test_dtmf.py."""

import ctypes

import pytest

from bridge.sip.doorman import ALLOWED, _method, _packet


@pytest.mark.parametrize(
    ("info", "method"),
    [
        (b"Request msg INVITE/cseq=1 (rdata0x7f)", "INVITE"),
        (b"Request msg no-such_METHOD!/cseq=1 (rdata0x7f)", "no-such_METHOD!"),
        (b"Response msg 200/INVITE/cseq=1 (rdata0x7f)", ""),
        (b"\xff\xfe", ""),
        (b"", ""),
        (None, ""),
    ],
)
def test_the_method_is_read_from_pjsips_own_words(info, method):
    assert _method(info) == method


def test_what_design_lets_through_is_allowed_and_nothing_else():
    assert {"SUBSCRIBE", "MESSAGE", "REGISTER", "PUBLISH"}.isdisjoint(ALLOWED)
    assert {"INVITE", "ACK", "BYE", "CANCEL", "OPTIONS", "INFO", "UPDATE"} <= ALLOWED


def test_the_packet_is_found_wherever_it_lies_in_the_structure():
    block = ctypes.create_string_buffer(b"\x01" * 200 + b"INVITE sip:x SIP/2.0\r\n\r\n\0rest", 6000)
    assert _packet(ctypes.addressof(block), b"INVITE ") == "INVITE sip:x SIP/2.0\r\n\r\n"


def test_a_packet_that_is_not_there_is_empty():
    block = ctypes.create_string_buffer(6000)
    assert _packet(ctypes.addressof(block), b"INVITE ") == ""
