"""What can be seen without pjsip; its behaviour on the wire is in tests/system/test_call.py and test_dtmf.py."""

import pytest

from bridge.sip.doorman import ALLOWED, _what


@pytest.mark.parametrize(
    ("info", "status", "method"),
    [
        (b"Request msg INVITE/cseq=1 (rdata0x7f)", 0, "INVITE"),
        (b"Request msg no-such_method!/cseq=1 (rdata0x7f)", 0, "NO-SUCH_METHOD!"),
        (b"Request msg info/cseq=1 (rdata0x7f)", 0, "INFO"),
        (b"Response msg 401/BYE/cseq=1 (rdata0x7f)", 401, "BYE"),
        (b"Response msg", 0, ""),
        (b"\xff\xfe", 0, ""),
        (b"", 0, ""),
    ],
)
def test_status_and_method_are_read_from_pjsips_own_words(info, status, method):
    assert _what(info) == (status, method)


def test_what_design_lets_through_is_allowed_and_nothing_else():
    assert {"SUBSCRIBE", "MESSAGE", "REGISTER", "PUBLISH"}.isdisjoint(ALLOWED)
    assert {"INVITE", "ACK", "BYE", "CANCEL", "OPTIONS", "INFO", "UPDATE"} <= ALLOWED
