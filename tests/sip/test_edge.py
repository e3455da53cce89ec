"""Whose packets count behind the edge, and what is believed of its word."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import SipError
from bridge.sip.edge import TRANSPORTS, believed, sockets
from bridge.sip.headers import parse_invite

HEAD = "INVITE sip:100@us SIP/2.0\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:100@us>\r\nCall-ID: c\r\n"


def asked(headers, source="127.0.0.1:5090"):
    return parse_invite(f"{HEAD}{headers}\r\n", source)


def test_sockets_are_compared_in_one_form():
    assert sockets(["127.0.0.1:5090", "[2001:DB8:0::7]:5091"]) == {("127.0.0.1", 5090), ("2001:db8::7", 5091)}


@pytest.mark.parametrize("text", ["", "127.0.0.1", "edge.example:5060", "127.0.0.1:x"])
def test_what_is_no_socket_is_refused_with_what_it_should_be(text):
    with pytest.raises(SipError, match="IP:PORT"):
        sockets([text])


@pytest.mark.parametrize(
    ("word", "source", "transport", "worker", "remote"),
    [
        ("203.0.113.9:5060;transport=udp", "203.0.113.9:5060", "udp", False, "203.0.113.9:5060"),
        (
            "203.0.113.9:41000;transport=tls",
            "203.0.113.9:41000",
            "tls",
            False,
            "203.0.113.9:41000;transport=tls",
        ),
        (
            "[2001:db8::9]:5060;transport=ws",
            "[2001:db8::9]:5060",
            "ws",
            False,
            "[2001:db8::9]:5060;transport=ws",
        ),
        ("127.0.0.1:15061;transport=udp;worker", "127.0.0.1:15061", "udp", True, "127.0.0.1:15061"),
        ("203.0.113.9:5060", "203.0.113.9:5060", "", False, "203.0.113.9:5060"),
        ("203.0.113.9:5060;transport=smoke", "203.0.113.9:5060", "", False, "203.0.113.9:5060"),
        ("999.0.113.9:5060;transport=udp", "", "", False, ""),
        ("localhost:5060;worker", "", "", False, ""),
        ("", "", "", False, ""),
    ],
)
def test_behind_the_edge_a_request_comes_from_where_the_edge_says(word, source, transport, worker, remote):
    found = believed(asked(f"X-Sipbridge-Source: {word}\r\n" if word else ""), behind_edge=True)
    assert (found.source, found.transport, found.from_worker, found.remote) == (
        source,
        transport,
        worker,
        remote,
    )


def test_without_an_edge_nobodys_word_counts():
    said = asked("X-Sipbridge-Source: 203.0.113.9:5060;transport=tls;worker\r\nX-Sipbridge-Trunk: pbx\r\n")
    found = believed(said, behind_edge=False)
    assert (found.source, found.transport, found.from_worker) == ("127.0.0.1:5090", "", False)
    assert found.edge_word.trunk == found.edge_word.source == ""


@pytest.mark.parametrize(
    "headers",
    [
        "X-Sipbridge-Source: 203.0.113.9:1\r\nX-Sipbridge-Source: 127.0.0.1:2;worker\r\n",
        "X-Sipbridge-Source: 127.0.0.1:2;worker\r\nx-sipbridge-SOURCE: 203.0.113.9:1\r\n",
        "X-Sip\x01bridge-Source: 203.0.113.9:1\r\n",
    ],
)
def test_a_word_that_somebody_got_past_the_edge_is_not_believed(headers):
    found = believed(asked(headers), behind_edge=True)
    assert (found.source, found.from_worker) == ("", False)


@given(st.text(max_size=80))
def test_whatever_the_word_is_the_source_is_an_address_or_nothing(word):
    found = believed(asked(f"X-Sipbridge-Source: {word}\r\n"), behind_edge=True)
    assert found.source != "127.0.0.1:5090" or "127.0.0.1:5090" in word
    assert found.transport in {"", *TRANSPORTS}


@pytest.mark.parametrize(
    "name", ["X-Sipbridge-Source", "x-sipbridge-trunk", "X-SIPBRIDGE-Anything", "X-Sip\x01bridge-Trunk"]
)
def test_no_header_of_the_edge_is_among_those_that_a_plan_sees(name):
    found = asked(f"{name}: pbx\r\nX-Customer: 7\r\n")
    assert not any("sipbridge" in one.lower() for one in found.headers)
    assert found.headers["X-Customer"] == "7"


def test_the_edges_word_is_read_behind_a_hundred_headers_of_a_stranger():
    many = "".join(f"X-H{n}: 1\r\n" for n in range(120))
    found = believed(asked(f"{many}X-Sipbridge-Source: 203.0.113.9:5060\r\n"), behind_edge=True)
    assert found.source == "203.0.113.9:5060"
