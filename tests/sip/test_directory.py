"""Which trunk a request comes from, and who may take over a call."""

from dataclasses import replace

import pytest

from bridge.sip.directory import Directory, Line, may_replace
from bridge.sip.events import EdgeWord, Invite, Party
from bridge.trunk import Trunk

TOKEN = "0123456789abcdef0123456789abcdef"
LINES = [Line("pbx", TOKEN, "1001", "10.0.0.9")]


def invite(source="192.0.2.1:5060", uri="sip:100@us", trunk=""):
    user = uri.split(":", 1)[1].split("@")[0]
    return Invite(
        "1",
        uri,
        Party("a", "b"),
        Party("c", "d"),
        source=source,
        request_party=Party(user, "us"),
        trunk=trunk,
    )


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("198.51.100.7:5060", "one"),
        ("198.51.100.8:5060", "net"),
        ("[2001:db8::7]:5060", "six"),
        ("203.0.113.1:5060", ""),
        ("", ""),
        ("nonsense:1", ""),
    ],
)
def test_the_address_tells_the_trunk_and_the_smallest_network_wins(source, name):
    some = [
        Trunk("net", addresses=("198.51.100.0/24",)),
        Trunk("one", addresses=("198.51.100.7/32",)),
        Trunk("six", addresses=("2001:db8::/32",)),
    ]
    assert Directory(some).find(invite(source)) == name


@pytest.mark.parametrize(
    ("source", "uri", "name"),
    [
        ("192.0.2.1:5060", f"sip:1001@us;ob;line={TOKEN}", "pbx"),
        ("192.0.2.1:5060", f"sip:1001@us;line={TOKEN.upper()}", "pbx"),
        ("192.0.2.1:5060", f"sip:1001@us;line={TOKEN[:-1]}0", ""),
        ("192.0.2.1:5060", "sip:1001@us", ""),
        ("10.0.0.9:5060", "sip:1001@us", "pbx"),
        ("10.0.0.9:5060", "sip:1002@us", ""),
        ("10.0.0.9:5060", f"sip:1001@us;line={'f' * 32}", ""),
    ],
)
def test_a_registered_account_is_known_by_its_line_or_its_registrar(source, uri, name):
    assert Directory(()).find(invite(source, uri), LINES) == name


@pytest.mark.parametrize(
    ("old", "new", "may"),
    [
        (invite(trunk="a"), invite("10.9.9.9:1", trunk="a"), True),
        (invite(trunk="a"), invite(trunk="b"), False),
        (invite(trunk="a"), invite(), False),
        (invite(), invite(trunk="a"), False),
        (invite(), invite("192.0.2.1:9999"), True),
        (invite(), invite("192.0.2.2:5060"), False),
        (invite(source=""), invite(source=""), False),
    ],
)
def test_a_call_is_taken_over_only_from_where_it_came(old, new, may):
    assert may_replace(old, new) is may


@pytest.mark.parametrize(
    ("word", "uri", "name"),
    [
        ("one", "sip:100@us", "one"),
        ("gone", "sip:100@us", ""),
        ("gone", f"sip:1001@us;line={TOKEN}", ""),
        ("", "sip:100@us", ""),
        ("", f"sip:1001@us;line={TOKEN}", "pbx"),
        ("", "sip:1001@us", ""),
        ("one", f"sip:1001@us;line={TOKEN}", "one"),
    ],
)
def test_behind_the_edge_its_word_tells_the_trunk_or_a_line_that_only_the_registrar_knows(word, uri, name):
    known = Directory([Trunk("one", addresses=("10.0.0.9/32",))])
    asked = replace(invite("10.0.0.9:5060", uri), edge_word=EdgeWord("10.0.0.9:5060", word))
    assert known.named(asked, LINES) == name
