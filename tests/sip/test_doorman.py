"""What can be seen without pjsip; its behaviour on the wire is in tests/system/test_call.py and test_dtmf.py."""

from bridge.sip.doorman import ALLOWED


def test_what_design_lets_through_is_allowed_and_nothing_else():
    assert {"SUBSCRIBE", "MESSAGE", "REGISTER", "PUBLISH"}.isdisjoint(ALLOWED)
    assert {"INVITE", "ACK", "BYE", "CANCEL", "OPTIONS", "INFO", "UPDATE"} <= ALLOWED
