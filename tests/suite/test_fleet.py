"""The phones tell their own voice from others', whatever a bridge may have done to it; machines are apart."""

import socket

import pytest

from tests.fakes.fleet import PERIOD, PHONES, SILENCE, voice, whose
from tests.fakes.netns import Network, why_not


def test_every_voice_is_known_however_late_it_comes():
    for number in range(PHONES):
        sound = voice(number) * 2
        assert {whose(sound[late : late + 160]) for late in range(PERIOD)} == {number}


def test_a_voice_is_known_when_it_is_quieter_and_when_most_of_it_is_there():
    quieter = bytes(byte + 9 for byte in voice(4))
    assert whose(quieter) == 4
    assert whose(voice(5)[:110] + voice(9)[:50]) == 5


@pytest.mark.parametrize("payload", [SILENCE, SILENCE[:100] + voice(2)[:60], b"", b"\x10" * 160])
def test_silence_and_pieces_are_nobodys_voice(payload):
    assert whose(payload) is None


@pytest.mark.skipif(bool(why_not()), reason=why_not())
def test_a_machine_hears_another_until_its_cable_is_out():
    def heard():
        there.sendto(b"hello", ("10.77.0.1", 5060))
        try:
            return here.recv(100)
        except TimeoutError:
            return None

    with Network({"a": {"in": "10.77.0.1"}, "b": {"in": "10.77.0.2"}}) as network:
        with network.inside("a"):
            here = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with network.inside("b"):
            there = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with here, there:
            here.bind(("10.77.0.1", 5060))
            here.settimeout(5)
            assert heard() == b"hello"
            network.cut("b")
            here.settimeout(0.3)
            assert heard() is None
            network.mend("b")
            here.settimeout(5)
            assert heard() == b"hello"
