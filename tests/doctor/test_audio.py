"""What keeps browsers from hearing or being heard is told, with something to do about it."""

from dataclasses import replace

import pytest

from bridge.doctor.audio import AudioFacts, audio
from bridge.doctor.finding import Level

GOOD = AudioFacts(
    seats=8,
    ports=(30000, 30099),
    taken=(),
    address="",
    local=("127.0.0.1", "10.0.0.5", "fe80::1"),
    url="https://bridge.example",
    bind="127.0.0.1",
    host_at="10.0.0.5",
)


def test_a_node_that_is_reached_has_nothing_to_mend():
    assert [one.level for one in audio(GOOD)] == [Level.OK]
    assert [one.level for one in audio(replace(GOOD, url="", host_at=""))] == [Level.OK]
    outside = replace(GOOD, host_at="8.8.8.8", address="8.8.8.8")
    assert [one.level for one in audio(outside)] == [Level.OK]


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"url": "http://bridge.example"}, "give no microphone to http://bridge.example"),
        ({"url": "", "bind": "0.0.0.0"}, "at 0.0.0.0 by http have no microphone"),
        ({"taken": ((30001, "nginx"),)}, "used by other programs: 30001 (nginx)"),
        ({"ports": (30000, 30007), "local": ("10.0.0.5", "10.0.1.5")}, "8 free UDP ports are too few"),
        ({"address": "127.0.0.1"}, "no browser on another machine reaches it"),
        ({"address": "8.8.8.8", "ports": (0, 0)}, "forward no port that is not known"),
        ({"local": ("127.0.0.1",)}, "no address besides the loopback's"),
        ({"host_at": "8.8.8.8"}, "are told private addresses only"),
        ({"servers": ("turn:t.example",)}, "without a password"),
    ],
)
def test_each_trouble_is_told_with_what_to_do(changed, words):
    (found,) = [one for one in audio(replace(GOOD, **changed)) if one.level >= Level.WARN]
    assert (found.level, words in found.text, bool(found.do)) == (Level.WARN, True, True), found


def test_what_is_open_to_choice_is_a_note():
    assert [one.level for one in audio(replace(GOOD, seats=0, local=(), url="http://x"))] == [Level.NOTE]
    assert [one.level for one in audio(replace(GOOD, ports=(0, 0)))] == [Level.NOTE, Level.OK]


def test_a_relay_makes_up_for_addresses_that_nobody_reaches():
    relay = replace(GOOD, servers=("turn:t.example",), password=True, host_at="8.8.8.8")
    assert [one.level for one in audio(relay)] == [Level.OK]
    assert [one.level for one in audio(replace(relay, local=("127.0.0.1",)))] == [Level.OK]


def test_localhost_is_secure_by_whatever_name():
    for url in ("http://localhost:8080", "http://127.0.0.1", "http://[::1]:8080"):
        assert [one.level for one in audio(replace(GOOD, url=url))] == [Level.OK]
