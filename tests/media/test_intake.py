import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.media.intake import Intake


def frame(number):
    return bytes([number]) * 320


def test_frames_come_out_in_order_then_nothing():
    intake = Intake()
    intake.push(frame(1))
    intake.push(frame(2))

    assert intake.queued_ms == 40
    assert [intake.pull(), intake.pull(), intake.pull()] == [frame(1), frame(2), None]
    assert intake.queued_ms == 0


def test_full_drops_the_oldest_and_counts_it():
    intake = Intake(max_ms=60)
    for number in range(5):
        intake.push(frame(number))

    assert intake.dropped_ms == 40
    assert [intake.pull() for _ in range(4)] == [frame(2), frame(3), frame(4), None]


def test_a_piece_longer_than_the_bound_is_dropped_itself():
    intake = Intake(max_ms=10)
    intake.push(frame(1))

    assert intake.pull() is None
    assert intake.dropped_ms == 20


def test_clear_is_not_loss():
    intake = Intake()
    intake.push(frame(1))

    intake.clear()

    assert (intake.pull(), intake.dropped_ms, intake.queued_ms) == (None, 0, 0)


def test_a_bound_of_nothing_is_refused():
    with pytest.raises(ValueError, match="room"):
        Intake(max_ms=0)


@settings(max_examples=60)
@given(st.lists(st.one_of(st.integers(1, 700), st.none()), max_size=60), st.integers(1, 50))
def test_every_byte_is_pulled_queued_or_counted_as_dropped(steps, max_ms):
    intake, pushed, pulled = Intake(max_ms), 0, 0
    for step in steps:
        if step is None:
            pulled += len(intake.pull() or b"")
        else:
            intake.push(bytes(step))
            pushed += step
        assert intake.queued_ms <= max_ms

    assert pushed == pulled + (intake.queued_ms + intake.dropped_ms) * 16


def test_a_wide_intake_counts_milliseconds_too():
    intake = Intake(max_ms=40, rate_hz=16000)
    for number in range(3):
        intake.push(bytes([number]) * 640)
    assert (intake.queued_ms, intake.dropped_ms) == (40, 20)
    assert intake.pull() == b"\1" * 640
