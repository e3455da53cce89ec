import ipaddress

from hypothesis import given
from hypothesis import strategies as st

from bridge.sip.hep import MAX_PAYLOAD, encode
from tests.fakes.homer import decode

SOCKETS = st.tuples(st.ip_addresses().map(str), st.integers(0, 65535))


def test_a_message_is_told_with_where_from_where_to_and_when():
    packet = encode(b"OPTIONS sip:a", ("192.0.2.1", 5060), ("198.51.100.2", 5080), 1_700_000_000.25, 2001)
    assert decode(packet) == {
        "family": 2,
        "protocol": 17,
        "source": "192.0.2.1",
        "target": "198.51.100.2",
        "source_port": 5060,
        "target_port": 5080,
        "seconds": 1_700_000_000,
        "microseconds": 250_000,
        "type": 1,
        "agent": 2001,
        "payload": b"OPTIONS sip:a",
    }


@given(st.binary(max_size=200), SOCKETS, SOCKETS, st.floats(0, 4e9), st.integers(0, 2**32 - 1))
def test_whatever_is_sent_can_be_read_by_the_specification(payload, source, target, at_s, agent):
    found = decode(encode(payload, source, target, at_s, agent))
    assert found["payload"] == payload
    assert (found["source_port"], found["target_port"], found["agent"]) == (source[1], target[1], agent)
    version6 = ":" in source[0] + target[0]
    assert found["family"] == (10 if version6 else 2)
    for address, told in ((source[0], found["source"]), (target[0], found["target"])):
        mapped = f"::ffff:{address}" if version6 and ":" not in address else address
        assert ipaddress.ip_address(told) == ipaddress.ip_address(mapped)
    assert 0 <= found["microseconds"] < 1_000_000


def test_what_no_datagram_could_hold_is_cut():
    packet = encode(b"x" * 70_000, ("::1", 1), ("::1", 2), 0.0, 1)
    assert len(packet) < 65_507
    assert len(decode(packet)["payload"]) == MAX_PAYLOAD
