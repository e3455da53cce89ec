from dataclasses import replace

import pytest

from bridge.doctor.finding import Level
from bridge.doctor.network import (
    DAY_S,
    AddressFacts,
    CallFacts,
    CertificateFacts,
    PortFacts,
    addresses,
    call,
    certificates,
    foreign_rtp,
    ports,
)

NOW = 1_790_000_000.0
PORT = PortFacts("worker 0", "udp", "10.0.0.5", 5060, "free")
ADDRESS = AddressFacts("10.0.0.5", None, ("127.0.0.1", "10.0.0.5"))
CERTIFICATE = CertificateFacts(
    "/c.pem", "", NOW - DAY_S, NOW + 60 * DAY_S, ("sip.example.com", "*.example.org")
)
CALL = CallFacts(
    "sip:199@10.0.0.5:5060", 200, "OK", 12.0, "199", "10.0.0.5", 20000, ("PCMU",), 140, 120, "10.0.0.5"
)  # fmt: skip


def red(found):
    return [(one.level, one.text) for one in found if one.level >= Level.WARN]


def judged(found, level, words):
    bad = red(found)
    assert [one for one in bad if one[0] is level and words in one[1]], bad
    return True


def test_a_healthy_network_has_nothing_red():
    assert red(ports([PORT], running=False)) == []
    assert red(ports([replace(PORT, state="ours")], running=True)) == []
    assert red(addresses(ADDRESS)) == []
    assert red(certificates([CERTIFICATE], now=NOW, names=("SIP.example.com", "a.example.org"))) == []
    assert red(call(CALL, edge=False, expected="10.0.0.5")) == []
    assert red(call(replace(CALL, number=""), edge=False, expected="")) == []
    assert list(foreign_rtp([], 20000, 20999)) == []


@pytest.mark.parametrize(
    ("state", "running", "words"),
    [
        ("taken", False, "is taken by asterisk (process 7)"),
        ("taken", True, "is taken by asterisk"),
        ("ours", False, "is taken by"),
        ("free", True, "nobody listens, although the bridge runs"),
        ("cannot be bound: no such address", False, "cannot be bound"),
    ],
)
def test_a_port_that_is_not_as_it_should_be_is_told(state, running, words):
    facts = replace(PORT, state=state, who="asterisk (process 7)" if state == "taken" else "")
    assert judged(ports([facts], running=running), Level.FAIL, words)


def test_other_programs_in_the_rtp_range_are_named():
    assert judged(foreign_rtp([(20004, "dnsmasq")], 20000, 20999), Level.WARN, "20004 (dnsmasq)")


@pytest.mark.parametrize(
    ("changes", "level", "words"),
    [
        ({"bind": "10.9.9.9"}, Level.FAIL, "is not an address of this machine"),
        ({"bind": "127.0.0.1", "peers": (("trunk c", "10.1.1.1"),)}, Level.FAIL, "trunk c is at 10.1.1.1"),
        ({"peers": (("trunk c", "8.8.8.8"),)}, Level.FAIL, "a private address, to trunk c on the internet"),
        ({"public": "192.168.7.7"}, Level.WARN, "neither ours nor public"),
        ({"bind": "8.8.4.4", "local": ("8.8.4.4",)}, Level.FAIL, "no edge is in front"),
    ],
)
def test_an_address_at_which_nobody_reaches_us_is_told(changes, level, words):
    assert judged(addresses(replace(ADDRESS, **changes)), level, words)


def test_nat_with_its_address_named_is_right():
    behind = replace(ADDRESS, public="8.8.4.4", peers=(("trunk c", "8.8.8.8"), ("target b", "pbx.invalid")))
    assert red(addresses(behind)) == []
    public = replace(ADDRESS, bind="8.8.4.4", local=("8.8.4.4",), edge=True)
    assert red(addresses(public)) == []


@pytest.mark.parametrize(
    ("changes", "level", "words"),
    [
        ({"error": "cannot be read"}, Level.FAIL, "cannot be read"),
        ({"not_after": NOW - 3 * DAY_S}, Level.FAIL, "expired 3 days ago"),
        ({"not_after": NOW + 3 * DAY_S}, Level.WARN, "expires in 3 days"),
        ({"not_before": NOW + 9}, Level.FAIL, "not valid yet"),
        ({"key_error": "its key is no key"}, Level.FAIL, "its key is no key"),
        ({"key_matches": False}, Level.FAIL, "belongs to another certificate"),
        ({"key_mode": 0o644}, Level.WARN, "read by every account"),
        ({"chain_broken": "no chain"}, Level.FAIL, "no chain"),
        ({"alone": True, "issuer": "CN=R3"}, Level.WARN, "its issuer (CN=R3) is not in the file"),
        ({"alone": True, "self_signed": True}, Level.WARN, "signed by itself"),
        ({"names": ("*.other.com",)}, Level.WARN, "is not for sip.example.com"),
    ],
)
def test_a_certificate_that_peers_would_refuse_is_told(changes, level, words):
    found = list(certificates([replace(CERTIFICATE, **changes)], now=NOW, names=("sip.example.com",)))
    assert judged(found, level, words)
    assert not any(one.level is Level.OK for one in found)


@pytest.mark.parametrize(
    ("changes", "level", "words"),
    [
        ({"error": "no socket"}, Level.FAIL, "no socket"),
        ({"status": 0}, Level.FAIL, "does not answer"),
        ({"status": 404, "reason": "Not Found"}, Level.FAIL, "got 404 Not Found"),
        ({"status": 503}, Level.FAIL, "got 503"),
        ({"sdp_address": "10.7.7.7", "from_address": "10.7.7.7"}, Level.WARN, "SDP says 10.7.7.7"),
        ({"codecs": ()}, Level.FAIL, "no codec we offered"),
        ({"packets": 0}, Level.FAIL, "no audio came from 10.0.0.5:20000"),
        ({"from_address": "10.8.8.8"}, Level.WARN, "audio came from 10.8.8.8"),
        ({"loud_packets": 0}, Level.WARN, "all silent"),
    ],
)
def test_a_call_to_ourselves_that_fails_is_told_with_what_was_seen(changes, level, words):
    facts = replace(CALL, **changes)
    if changes.get("codecs") == ():
        facts = replace(facts, packets=0)
    assert judged(call(facts, edge=False, expected="10.0.0.5"), level, words)


def test_an_edge_that_drops_strangers_does_as_it_should():
    (found,) = call(replace(CALL, status=0), edge=True, expected="")
    assert found.level is Level.NOTE
