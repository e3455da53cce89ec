"""Demands: brief of the record: latency from the end of the caller's speech to the first audio."""

import dataclasses

import pytest

from bridge.realtime import events
from bridge.realtime.usage import Usage


def report(asked_s: float | None, first_audio_s: float | None) -> events.ResponseReport:
    return events.ResponseReport(
        "r", "completed", "", "", "", Usage(), None, asked_s, 1.0, first_audio_s, 2.0
    )


def test_latency_is_from_the_end_of_speech_to_the_first_audio():
    assert report(1.0, 1.25).latency_ms == 250


@pytest.mark.parametrize(("asked_s", "first_audio_s"), [(None, 1.0), (1.0, None), (None, None)])
def test_latency_is_unknown_when_either_end_is(asked_s, first_audio_s):
    assert report(asked_s, first_audio_s).latency_ms is None


def test_facts_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        events.ItemDeleted("i").item_id = "j"
