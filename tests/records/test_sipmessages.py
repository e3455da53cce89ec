"""The SIP messages of a call out of its events."""

from bridge.records.sipmessages import SipLine, messages
from tests.fakes.events import Script


def kept(*lines, leg="caller"):
    return Script().tell("sip.messages", leg=leg, messages=list(lines)).events


def test_messages_of_all_legs_are_in_the_order_of_time():
    first = kept({"mono": 52.0, "sent": False, "what": "BYE", "cseq": "2"}, {"mono": 50.0, "what": "INVITE"})
    second = kept(
        {"mono": 51.0, "sent": True, "what": "INVITE", "reason": "x", "text": "INVITE …"}, leg="sales"
    )
    assert messages([*first, *second], 50.0) == (
        SipLine("caller", 0.0, False, "INVITE"),
        SipLine("sales", 1.0, True, "INVITE", "", "x", "INVITE …"),
        SipLine("caller", 2.0, False, "BYE", "2"),
    )


def test_what_is_no_message_is_left_out():
    assert messages(kept("x", None, {}, {"mono": "1"}, {"mono": True}), 0.0) == ()
    assert messages(Script().tell("sip.messages", messages="x").tell("dtmf").events, 0.0) == ()


def test_a_final_answer_that_is_no_success_has_failed():
    assert [SipLine("a", 0, True, what).failed for what in ("486 INVITE", "200 INVITE", "INVITE", "180 INVITE")] == [
        True, False, False, False,
    ]  # fmt: skip
