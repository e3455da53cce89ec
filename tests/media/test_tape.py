from hypothesis import given
from hypothesis import strategies as st

from bridge.media.frame import FRAME_MS, SILENCE
from bridge.media.tape import DELAY_FRAMES, MAX_FRAMES, MAX_GAP_FRAMES, SURPLUS_FRAMES, Tape


def frame(value):
    return value.to_bytes(2, "little") * 160


class Taped:
    """A tape and what is on it."""

    def __init__(self):
        self.callers = []
        self.agents = []
        self.tape = Tape(self.write)

    def write(self, caller, agent):
        self.callers.append(caller)
        self.agents.append(agent)

    def pass_frames(self, count, first=1):
        """Both sides, in step."""
        for number in range(first, first + count):
            self.tape.hear(frame(number))
            self.tape.speak(frame(number))


def test_both_sides_run_in_step_a_little_late():
    taped = Taped()
    taped.pass_frames(10)
    assert taped.callers == taped.agents == [SILENCE] * DELAY_FRAMES + [frame(n) for n in range(1, 9)]


def test_jitter_up_to_the_delay_leaves_no_hole():
    taped = Taped()
    taped.pass_frames(10)
    for number in range(11, 13):
        taped.tape.speak(frame(number))
    for number in range(11, 13):
        taped.tape.hear(frame(number))
    taped.pass_frames(2, first=13)
    assert taped.callers == taped.agents


def test_after_a_stall_and_its_burst_the_sides_are_in_step_again_within_two_seconds():
    taped = Taped()
    taped.pass_frames(10)
    for number in range(11, 21):
        taped.tape.speak(frame(number))
    for number in range(11, 21):
        taped.tape.hear(frame(number))
    taped.pass_frames(2 * SURPLUS_FRAMES, first=21)
    assert taped.callers[-1] == taped.agents[-1]
    assert taped.tape.dropped_ms == 8 * FRAME_MS
    assert len(taped.agents) == 20 + 2 * SURPLUS_FRAMES


def test_a_short_surplus_is_jitter_and_costs_nothing():
    taped = Taped()
    for round_number in range(10):
        for number in range(5):
            taped.tape.hear(frame(5 * round_number + number + 1))
        for _ in range(5):
            taped.tape.speak(SILENCE)
    assert taped.tape.dropped_ms == 0
    assert [pcm for pcm in taped.callers if any(pcm)] == [frame(n) for n in range(1, 51 - DELAY_FRAMES)]


def test_a_burst_larger_than_the_queue_costs_its_oldest_frames():
    taped = Taped()
    for number in range(1, 31):
        taped.tape.hear(frame(number))
    taped.tape.speak(SILENCE)
    assert taped.callers == [frame(31 - MAX_FRAMES)]
    assert taped.tape.dropped_ms == (30 + DELAY_FRAMES - MAX_FRAMES) * FRAME_MS


def test_a_gap_is_silence_but_what_passed_before_the_first_frame_is_not_recorded():
    taped = Taped()
    taped.tape.speak(frame(1))
    taped.tape.skip(10)
    assert len(taped.agents) == 1
    taped.tape.speak(frame(2))
    taped.tape.skip(10)
    assert taped.agents == [SILENCE] * DELAY_FRAMES + [frame(1), frame(2)] + [SILENCE] * 8
    taped.tape.skip(10**9)
    assert len(taped.agents) == 12 + MAX_GAP_FRAMES


@given(st.lists(st.booleans(), max_size=400))
def test_the_tape_is_as_long_as_the_agents_side_and_loses_no_frame_uncounted(steps):
    taped = Taped()
    heard = 0
    for is_caller in steps:
        if is_caller:
            heard += 1
            taped.tape.hear(frame(heard))
        else:
            taped.tape.speak(SILENCE)
    assert len(taped.agents) == steps.count(False)
    on_tape = [int.from_bytes(pcm[:2], "little") for pcm in taped.callers if any(pcm)]
    assert on_tape == sorted(set(on_tape))
    waiting = sum(any(pcm) for pcm in taped.tape._caller)
    lost = heard - len(on_tape) - waiting
    assert 0 <= taped.tape.dropped_ms // FRAME_MS - lost <= DELAY_FRAMES


def test_silence_of_a_wide_call_is_as_long_as_its_frames():
    written = []
    tape = Tape(lambda caller, agent: written.append((caller, agent)), bytes(640))
    for _ in range(3):
        tape.speak(b"\1" * 640)
    assert written == [(bytes(640), bytes(640))] * 2 + [(bytes(640), b"\1" * 640)]
