"""When a caller begins and stops to speak."""

from bridge.sim.actions import Heard, Sound
from bridge.sim.endpointer import WINDOW_MS, Endpointer


def run(endpointer, *runs):
    """Push (probability, windows) pairs; every event."""
    return [
        event for probability, count in runs for _ in range(count) for event in endpointer.push(probability)
    ]


def test_two_windows_of_voice_begin_a_turn_where_the_first_began():
    assert run(Endpointer(0.5, 500), (0.1, 3), (0.9, 2)) == [Heard(Sound.SPEECH_STARTED, 3 * WINDOW_MS)]


def test_one_window_is_a_click():
    assert run(Endpointer(0.5, 500), (0.9, 1), (0.1, 1), (0.9, 1), (0.1, 9)) == []


def test_silence_pauses_early_and_ends_the_turn_late():
    events = run(Endpointer(0.5, 500), (0.9, 10), (0.0, 30))
    assert [event.sound for event in events] == [Sound.SPEECH_STARTED, Sound.PAUSED, Sound.SPEECH_STOPPED]
    assert events[1].at_ms == (10 + 5) * WINDOW_MS
    assert events[2].at_ms == (10 + 16) * WINDOW_MS


def test_speech_that_goes_on_takes_the_pause_back():
    events = run(Endpointer(0.5, 500), (0.9, 10), (0.0, 10), (0.9, 2), (0.0, 16))
    assert [event.sound for event in events] == [
        Sound.SPEECH_STARTED,
        Sound.PAUSED,
        Sound.RESUMED,
        Sound.PAUSED,
        Sound.SPEECH_STOPPED,
    ]


def test_a_dip_just_below_the_threshold_is_still_speech():
    assert len(run(Endpointer(0.5, 200), (0.9, 4), (0.4, 50))) == 1


def test_a_short_silence_setting_pauses_and_stops_at_once():
    events = run(Endpointer(0.5, 30), (0.9, 4), (0.0, 1))
    assert [event.sound for event in events[1:]] == [Sound.PAUSED, Sound.SPEECH_STOPPED]


def test_the_next_turn_needs_its_own_onset():
    events = run(Endpointer(0.5, 64), (0.9, 2), (0.0, 4), (0.9, 1), (0.0, 4), (0.9, 2))
    assert [event.sound for event in events].count(Sound.SPEECH_STARTED) == 2
