"""X-Forwarded-For is believed as far as our own proxies wrote it, and no further: OWASP, spoofing of addresses."""

import ipaddress

import pytest

from bridge.forwarded import client_of

TRUSTED = [ipaddress.ip_network(one) for one in ("10.0.0.2", "10.1.0.0/16", "fd00::/64")]
PROXY, BROWSER = "10.0.0.2", "198.51.100.7"


@pytest.mark.parametrize(
    ("forwarded", "client"),
    [
        ([], PROXY),
        ([BROWSER], BROWSER),
        ([f"1.2.3.4, {BROWSER}"], BROWSER),
        (["1.2.3.4", BROWSER], BROWSER),
        ([f"10.0.0.2, 10.0.0.2, {BROWSER}"], BROWSER),
        ([f"{BROWSER},10.1.2.3"], BROWSER),
        ([f"6.6.6.6, {BROWSER}, 10.1.2.3, 10.1.9.9"], BROWSER),
        (["10.1.2.3, 10.1.9.9"], "10.1.2.3"),
        ([f"{BROWSER}:4711"], BROWSER),
        (["[2001:db8::7]:443"], "2001:db8::7"),
        (["2001:DB8:0::7"], "2001:db8::7"),
        ([f"::ffff:{BROWSER}"], BROWSER),
        ([f"{BROWSER}, [fd00::1]:80"], BROWSER),
    ],
)
def test_behind_a_proxy_of_ours_it_is_the_rightmost_address_that_is_none_of_them(forwarded, client):
    assert client_of(PROXY, forwarded, TRUSTED) == client


@pytest.mark.parametrize("peer", [BROWSER, "10.0.0.3", "fd00:0:0:1::1", "127.0.0.1"])
def test_from_anybody_else_the_header_is_nothing(peer):
    assert client_of(peer, ["1.2.3.4"], TRUSTED) == peer
    assert client_of(peer, [PROXY, "10.1.2.3"], TRUSTED) == peer


def test_without_trusted_proxies_nobody_is_believed():
    for peer in (PROXY, BROWSER, "127.0.0.1", "::1"):
        assert client_of(peer, ["1.2.3.4"], []) == peer


@pytest.mark.parametrize(
    "word", ["unknown", "_hidden", "", "1.2.3", "1.2.3.4.5", "<b>", "1.2.3.4:x", "[::1", "x" * 9000]
)
def test_a_word_that_is_no_address_counts_for_the_proxy_that_wrote_it(word):
    assert client_of(PROXY, [word], TRUSTED) == PROXY
    assert client_of(PROXY, [f"{BROWSER}, {word}"], TRUSTED) == PROXY
    assert client_of(PROXY, [f"{BROWSER}, {word}, 10.1.2.3"], TRUSTED) == "10.1.2.3"


def test_who_has_no_address_has_none():
    """A Unix socket's peer."""
    assert client_of("", ["1.2.3.4"], TRUSTED) == ""
