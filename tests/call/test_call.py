"""Small parts of the call; whole calls are in tests/scenarios/test_call_in_memory.py."""

import wave

import pytest

from bridge.call.call import CallOver, _first, _read_prompt, call_facts
from bridge.errors import BridgeError
from bridge.sip.events import HangUpBy, HungUp
from tests.fakes.line import FakeLine

OVER = CallOver(HungUp(HangUpBy.CALLER, 200, "bye"))


async def test_the_dialplan_sees_numbers_names_hosts_and_headers_in_lower_case():
    facts = call_facts(FakeLine(to="100", caller="200", headers={"X-Customer": "7"}).leg)
    assert (facts.to_number, facts.from_number, facts.from_name) == ("100", "200", "Ann")
    assert (facts.to_host, facts.from_host) == ("bridge", "phone")
    assert facts.value("header:x-customer") == "7"


@pytest.mark.parametrize(("rate_hz", "channels", "width"), [(16000, 1, 2), (8000, 2, 2), (8000, 1, 1)])
def test_a_prompt_of_another_form_is_refused(tmp_path, rate_hz, channels, width):
    path = tmp_path / "p.wav"
    with wave.open(str(path), "wb") as writer:
        writer.setnchannels(channels)
        writer.setsampwidth(width)
        writer.setframerate(rate_hz)
        writer.writeframes(b"\0\0\0\0")
    with pytest.raises(wave.Error):
        _read_prompt(path)


def test_the_first_of_a_kind_is_found_however_deep():
    group = BaseExceptionGroup("a", [ExceptionGroup("b", [OVER])])
    assert _first(group, CallOver) is OVER


def test_a_group_without_the_kind_is_a_bug():
    with pytest.raises(BridgeError):
        _first(ExceptionGroup("a", [ValueError()]), CallOver)
