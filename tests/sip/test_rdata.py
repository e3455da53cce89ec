"""Where a message and its sender lie; on real messages: tests/system/test_behind_edge.py."""

import ctypes
import socket
import struct

import pytest

from bridge.sip.rdata import MsgInfo, msg_info, packet, sender, sender_text, what


def rx_data(message, info_text):
    """pjsip_rx_data as far as it is read, and what has to live as long."""
    block, info = ctypes.create_string_buffer(6000), ctypes.create_string_buffer(info_text)
    text = ctypes.create_string_buffer(message)
    place = ctypes.addressof(block) + 4424
    found = MsgInfo.from_address(place)
    found.msg_buf, found.len, found.info = ctypes.addressof(text), len(message), ctypes.addressof(info)
    return block, info, text


def test_a_request_is_read_from_where_pjsip_read_it():
    block, info, _text = rx_data(b"INFO sip:x SIP/2.0\r\n\r\n", b"Request msg INFO/cseq=1 (rdata0x7f)")
    found = msg_info(ctypes.addressof(block), ctypes.addressof(info))
    assert packet(found) == "INFO sip:x SIP/2.0\r\n\r\n"


def test_a_peer_cannot_write_where_its_request_is_read_from():
    block, info, _text = rx_data(b"INFO sip:x SIP/2.0\r\n\r\n", b"Request msg INFO/cseq=1 (rdata0x7f)")
    for place in range(320, 4320, 8):  # the packet
        ctypes.memmove(ctypes.addressof(block) + place, ctypes.addressof(info).to_bytes(8, "little"), 8)
    assert packet(msg_info(ctypes.addressof(block), ctypes.addressof(info))).startswith("INFO ")


def test_what_a_message_before_left_behind_is_not_read():
    block, info, _text = rx_data(b"ACK sip:x SIP/2.0\r\n\r\n", b"Request msg ACK/cseq=1 (rdata0x7f)")
    for place in range(4552, 6000, 8):  # other modules' data and the pool
        ctypes.memmove(ctypes.addressof(block) + place, ctypes.addressof(info).to_bytes(8, "little"), 8)
    assert packet(msg_info(ctypes.addressof(block), ctypes.addressof(info))).startswith("ACK ")


def test_another_layout_is_no_message():
    block = ctypes.create_string_buffer(6000)
    with pytest.raises(LookupError):
        msg_info(ctypes.addressof(block), 4242)


@pytest.mark.parametrize(
    ("sockaddr", "found", "text"),
    [
        (
            struct.pack("=H", socket.AF_INET) + b"\x13\xc4\x7f\x00\x00\x01",
            ("127.0.0.1", 5060),
            "127.0.0.1:5060",
        ),
        (
            struct.pack("=H", socket.AF_INET6)
            + b"\x13\xc4"
            + bytes(4)
            + b"\x20\x01\x0d\xb8"
            + bytes(11)
            + b"\x07",
            ("2001:db8::7", 5060),
            "[2001:db8::7]:5060",
        ),
    ],
)
def test_the_sender_is_who_the_kernel_says(sockaddr, found, text):
    block, _info, _text = rx_data(b"ACK sip:x SIP/2.0\r\n\r\n", b"Request msg ACK/cseq=1 (rdata0x7f)")
    ctypes.memmove(ctypes.addressof(block) + 304 + 16 + 4000 + 16, sockaddr, len(sockaddr))
    assert sender(ctypes.addressof(block)) == found
    assert sender_text(ctypes.addressof(block)) == text


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
    assert what(info) == (status, method)
