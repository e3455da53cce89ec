"""What can be seen without pjsip; its behaviour on the wire is in tests/system/test_call.py and test_dtmf.py."""

import ctypes

import pytest

from bridge.sip.doorman import ALLOWED, _msg_info, _MsgInfo, _packet, _what


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


def rx_data(packet, info_text):
    """pjsip_rx_data as far as it is read, and what has to live as long."""
    block, info = ctypes.create_string_buffer(6000), ctypes.create_string_buffer(info_text)
    text = ctypes.create_string_buffer(packet)
    place = ctypes.addressof(block) + 4424
    found = _MsgInfo.from_address(place)
    found.msg_buf, found.len, found.info = ctypes.addressof(text), len(packet), ctypes.addressof(info)
    return block, info, text


def test_a_request_is_read_from_where_pjsip_read_it():
    block, info, _text = rx_data(b"INFO sip:x SIP/2.0\r\n\r\n", b"Request msg INFO/cseq=1 (rdata0x7f)")
    found = _msg_info(ctypes.addressof(block), ctypes.addressof(info))
    assert _packet(found) == "INFO sip:x SIP/2.0\r\n\r\n"


def test_a_peer_cannot_write_where_its_request_is_read_from():
    block, info, _text = rx_data(b"INFO sip:x SIP/2.0\r\n\r\n", b"Request msg INFO/cseq=1 (rdata0x7f)")
    for place in range(320, 4320, 8):  # the packet
        ctypes.memmove(ctypes.addressof(block) + place, ctypes.addressof(info).to_bytes(8, "little"), 8)
    assert _packet(_msg_info(ctypes.addressof(block), ctypes.addressof(info))).startswith("INFO ")


def test_what_a_message_before_left_behind_is_not_read():
    block, info, _text = rx_data(b"ACK sip:x SIP/2.0\r\n\r\n", b"Request msg ACK/cseq=1 (rdata0x7f)")
    for place in range(4552, 6000, 8):  # other modules' data and the pool
        ctypes.memmove(ctypes.addressof(block) + place, ctypes.addressof(info).to_bytes(8, "little"), 8)
    assert _packet(_msg_info(ctypes.addressof(block), ctypes.addressof(info))).startswith("ACK ")


def test_another_layout_is_no_message():
    block = ctypes.create_string_buffer(6000)
    with pytest.raises(LookupError):
        _msg_info(ctypes.addressof(block), 4242)
