"""The model buffer below is pjmedia 2.15.1's `jb_framelist`, as read in its source and tried on the wheel."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.media.dejitter import MAX_FRAMES, Dejitter, Pull

NOTHING = Pull(0)


@dataclass
class JitterBuffer:
    """Codec frames by index; holes are None. Counts packets and losses as pjmedia's RTCP session does."""

    origin: int = -9999
    frames: list[int | None] = field(default_factory=list)
    accepted: set[int] = field(default_factory=set)
    packets: int = 0
    lost: int = 0
    newest: int | None = None

    def put(self, packet, per_packet=2):
        self.packets += 1
        if self.newest is not None:
            self.lost += max(packet - self.newest - 1, 0)
        self.newest = packet if self.newest is None else max(packet, self.newest)
        for index in range(packet * per_packet, (packet + 1) * per_packet):
            self._put_frame(index)

    def _put_frame(self, index):
        if index < self.origin:
            return
        if not self.frames:
            self.origin = index
        at = index - self.origin
        self.frames.extend([None] * (at + 1 - len(self.frames)))
        if self.frames[at] is None:
            self.frames[at] = index
            self.accepted.add(index)

    def get(self):
        if not self.frames:
            return None
        self.origin += 1
        return self.frames.pop(0)


class Line:
    """A network, pjmedia's buffer and the media thread: polls every 5 ms and reads what it is told."""

    def __init__(self, per_packet=2, *, tell_losses=True, **options):
        self.buffer, self.dejitter = JitterBuffer(), Dejitter(**options)
        self.per_packet = per_packet
        self.tell_losses = tell_losses
        self.heard, self.concealed, self.filler, self.heard_at = [], 0, 0, {}
        self.now_ms = 0
        self.tick()

    def tick(self):
        lost = self.buffer.lost if self.tell_losses else 0
        pull = self.dejitter.poll(len(self.buffer.frames), self.buffer.packets, self.now_ms / 1000, lost)
        assert pull.frames <= MAX_FRAMES
        if pull.filler:
            assert not self.buffer.frames
            self.filler += pull.frames
            return pull
        for _ in range(pull.frames * 2):
            index = self.buffer.get()
            if index is None:
                self.concealed += 1
            else:
                self.heard.append(index)
                self.heard_at[index] = self.now_ms
        return pull

    def run(self, arrivals, until_ms):
        """`arrivals` is (ms, packet); each is put in the buffer before the poll of its time."""
        todo = sorted(arrivals)
        while self.now_ms < until_ms:
            self.now_ms += 5
            while todo and todo[0][0] <= self.now_ms:
                self.buffer.put(todo.pop(0)[1], self.per_packet)
            self.tick()
        return self


def steady(packets, every_ms=20, start_ms=20):
    return [(start_ms + every_ms * number, number) for number in packets]


def frames_of(*packets, per_packet=2):
    return [index for packet in packets for index in range(packet * per_packet, (packet + 1) * per_packet)]


# ---- a clean line


def test_a_clean_line_is_read_at_once():
    line = Line().run(steady(range(50)), 1020)

    assert line.heard == frames_of(*range(50))
    assert [line.heard_at[2 * n] for n in range(50)] == [20 + 20 * n for n in range(50)]
    assert (line.concealed, line.filler) == (0, 0)


@pytest.mark.parametrize(("per_packet", "waits"), [(1, 10), (2, 0), (3, 10), (4, 0), (6, 0)])
def test_packets_of_any_ptime_are_read_in_whole_frames(per_packet, waits):
    every_ms = 10 * per_packet
    line = Line(per_packet).run(steady(range(20), every_ms), 20 + every_ms * 19 + 20)

    late = [at - (20 + index // per_packet * every_ms) for index, at in line.heard_at.items()]
    assert line.heard == sorted(line.heard)
    assert max(late) <= (every_ms if waits else 0)
    assert len(line.heard) >= 20 * per_packet - 1
    assert line.concealed == 0


def test_a_burst_is_read_at_once_and_within_the_bound():
    line = Line().run([(20, number) for number in range(40)], 30)

    assert line.heard == frames_of(*range(40))
    assert line.heard_at[49] == 20
    assert line.heard_at[50] == 25


def test_a_stream_that_is_found_running_starts_with_what_is_there():
    dejitter = Dejitter()

    assert dejitter.poll(4, 500, 7.0) == Pull(2)
    assert dejitter.poll(2, 501, 7.02) == Pull(1)


def test_the_odd_codec_frame_waits_for_its_other_half():
    dejitter = Dejitter()
    dejitter.poll(0, 0, 0.0)

    assert dejitter.poll(3, 1, 0.02) == Pull(1)
    assert dejitter.poll(1, 1, 0.025) == NOTHING
    assert dejitter.poll(4, 2, 0.05) == Pull(2)


# ---- loss and reordering


def thirty_ms_line():
    """Three packets of 30 ms came, one codec frame is left: an odd ptime shows gaps without a reserve."""
    dejitter = Dejitter(reorder_wait_ms=20)
    sizes = [(0, 0, 0.0), (3, 1, 0.03), (4, 2, 0.06), (3, 3, 0.09)]
    assert [dejitter.poll(*size).frames for size in sizes] == [0, 1, 2, 1]
    return dejitter


def test_a_gap_holds_back_what_is_behind_it_until_it_is_filled():
    dejitter = thirty_ms_line()
    assert dejitter.poll(7, 4, 0.15) == NOTHING

    assert dejitter.poll(7, 5, 0.16) == Pull(3)


def test_a_gap_that_stays_is_concealed_after_the_wait():
    dejitter = thirty_ms_line()
    assert dejitter.poll(7, 4, 0.150) == NOTHING
    assert dejitter.poll(7, 4, 0.165) == NOTHING

    assert dejitter.poll(7, 4, 0.171) == Pull(3)


def test_what_stands_before_the_gap_is_read_meanwhile():
    dejitter = Dejitter()
    dejitter.poll(0, 0, 0.0)
    assert dejitter.poll(2, 1, 0.02) == Pull(1)
    assert dejitter.poll(2, 2, 0.06, rx_lost=1) == NOTHING
    assert dejitter.poll(4, 3, 0.08, rx_lost=1) == Pull(1)

    assert dejitter.poll(2 + 2 + 2, 4, 0.12, rx_lost=2) == Pull(1)
    assert dejitter.poll(4, 4, 0.125, rx_lost=2) == NOTHING
    assert dejitter.poll(4, 5, 0.130, rx_lost=2) == Pull(1)


def test_a_gap_of_two_packets_is_open_until_both_came():
    dejitter = thirty_ms_line()
    assert dejitter.poll(1 + 6 + 3, 4, 0.150) == NOTHING

    assert dejitter.poll(10, 5, 0.155) == NOTHING
    assert dejitter.poll(10, 6, 0.160) == Pull(5)


def test_each_gap_waits_its_own_time():
    dejitter = thirty_ms_line()
    assert dejitter.poll(1 + 3 + 3, 4, 0.150) == NOTHING
    assert dejitter.poll(1 + 3 + 3 + 3 + 3, 5, 0.160) == NOTHING

    assert dejitter.poll(13, 5, 0.171) == Pull(3)
    assert dejitter.poll(7, 5, 0.176) == NOTHING
    assert dejitter.poll(7, 5, 0.181) == Pull(3)


def test_on_a_line_in_trouble_the_newest_frame_stays_so_that_gaps_are_seen():
    line = Line().run([(20, 0), (40, 1), (80, 3), (100, 4), (141, 6), (150, 5), (160, 7), (180, 8)], 200)

    assert frames_of(3, 4, 5, 6, 7) == line.heard[4:14]
    assert line.concealed == 0
    assert all(line.heard_at[index] == 150 for index in frames_of(5))


def test_without_losses_told_nothing_is_kept_back():
    line = Line(tell_losses=False).run([(20, 0), (60, 2), (61, 1), (80, 3)], 85)

    assert line.heard == frames_of(0, 2, 3)
    assert line.heard_at[6] == 80


def test_the_reserve_goes_after_ten_clean_seconds():
    line = Line().run([(20, 0), *((20 + 20 * n, n) for n in range(2, 600))], 12000)

    delay = {index // 2: at - (20 + index // 2 * 20) for index, at in line.heard_at.items()}
    assert delay[400] == 20
    assert delay[590] == 0
    assert line.concealed == 0


def test_duplicates_change_nothing():
    arrivals = steady(range(30))
    line = Line().run([*arrivals, *((at + 5, number) for at, number in arrivals[::3])], 620)

    assert line.heard == frames_of(*range(30))
    assert line.concealed == 0


def test_a_packet_counted_before_its_frames_are_in_the_buffer_is_no_gap():
    dejitter = Dejitter()
    dejitter.poll(0, 0, 0.0)
    assert dejitter.poll(0, 1, 0.02) == NOTHING

    assert dejitter.poll(2, 1, 0.025) == Pull(1)


def test_such_belief_lasts_one_poll():
    dejitter = Dejitter()
    dejitter.poll(0, 0, 0.0)
    dejitter.poll(0, 1, 0.02)
    dejitter.poll(0, 1, 0.025)

    assert dejitter.poll(2, 1, 0.03) == NOTHING


def test_a_longer_ptime_is_learned_from_the_stream():
    dejitter = Dejitter()
    dejitter.poll(0, 0, 0.0)
    assert dejitter.poll(2, 1, 0.02) == Pull(1)
    answers = [dejitter.poll(6, 2 + n, 0.08 + 0.06 * n) for n in range(3)]

    assert answers[0] == NOTHING
    assert answers[2] == Pull(3)


# ---- silence


def test_silence_is_filled_at_real_time_pace_after_60_ms():
    # 59: the limit lies between two polls, so that the count does not hang on the last bit of a float.
    line = Line(silence_after_ms=59).run(steady(range(5)), 100 + 1060)

    # last packet at 100 ms, first filler at 160 ms, then one every 20 ms until 1160 ms
    assert line.filler == 51


def test_a_phone_that_never_sends_is_silence_too():
    assert Line(silence_after_ms=59).run([], 1000).filler == 48


def test_the_half_frame_is_flushed_when_silence_begins():
    line = Line(per_packet=3).run(steady(range(1), 30), 200)

    assert line.heard == [0, 1, 2]
    assert line.concealed == 1


def test_returning_audio_is_read_without_delay():
    line = Line().run([*steady(range(5)), (613, 5), (633, 6)], 640)

    assert line.heard == frames_of(*range(7))
    assert (line.heard_at[10], line.heard_at[12]) == (615, 635)


def test_a_stalled_thread_makes_up_for_half_a_second_at_most():
    dejitter = Dejitter()
    dejitter.poll(0, 0, 0.0)
    assert dejitter.poll(0, 0, 0.1605) == Pull(6, filler=True)

    assert dejitter.poll(0, 0, 30.0) == Pull(MAX_FRAMES, filler=True)
    assert dejitter.poll(0, 0, 30.005) == NOTHING
    assert dejitter.poll(0, 0, 30.02) == Pull(1, filler=True)


def test_telephone_events_carry_no_audio():
    """RFC 4733 packets are counted and never reach the buffer; the model sees silence while a key is held."""
    dejitter = Dejitter(silence_after_ms=59)
    dejitter.poll(0, 0, 0.0)

    pulls = [dejitter.poll(0, 1 + n, 0.02 + 0.02 * n) for n in range(10)]

    assert sum(pull.frames for pull in pulls) == 8
    assert all(pull.filler for pull in pulls if pull.frames)


# ---- a new stream


def test_reset_forgets_the_old_stream():
    dejitter = Dejitter()
    dejitter.poll(0, 0, 0.0)
    dejitter.poll(3, 1, 0.02)
    dejitter.poll(7, 2, 0.03)

    dejitter.reset()

    assert dejitter.poll(0, 0, 9.0) == NOTHING
    assert dejitter.poll(2, 1, 9.02) == Pull(1)


def test_counters_that_go_back_mean_a_new_stream():
    dejitter = Dejitter()
    dejitter.poll(0, 900, 0.0)

    assert dejitter.poll(2, 1, 0.02) == Pull(1)
    assert dejitter.poll(2, 2, 0.04) == Pull(1)


def test_a_buffer_that_pjmedia_restarted_is_read_as_it_is():
    dejitter = Dejitter()
    dejitter.poll(0, 0, 0.0)
    dejitter.poll(3, 1, 0.02)
    assert dejitter.poll(7, 2, 0.03) == NOTHING

    assert dejitter.poll(2, 3, 0.035) == Pull(1)


# ---- any network


@st.composite
def networks(draw):
    """Packets of one ptime: each lost, doubled, late by a pattern; and bursts of loss."""
    fates = draw(
        st.lists(
            st.sampled_from(["ok"] * 8 + ["lost", "late 15", "late 25", "late 45", "twice", "burst"]),
            max_size=80,
        )
    )
    arrivals, burst = [], 0
    for number, fate in enumerate(fates):
        at = 20 + 20 * number
        burst = 10 if fate == "burst" else max(burst - 1, 0)
        if fate == "lost" or burst:
            continue
        late = int(fate.split()[1]) if fate.startswith("late") else draw(st.integers(0, 4))
        arrivals.append((at + late, number))
        if fate == "twice":
            arrivals.append((at + late + 7, number))
    return arrivals


@settings(max_examples=150)
@given(networks(), st.booleans())
def test_all_that_the_buffer_took_is_read_in_order_and_in_time(arrivals, tell_losses):
    end_ms = max((at for at, _ in arrivals), default=0) + 200
    line = Line(tell_losses=tell_losses).run(arrivals, end_ms)

    assert line.heard == sorted(line.buffer.accepted)
    assert line.buffer.frames == []
    arrived = {}
    for at, number in sorted(arrivals):
        arrived.setdefault(number, at)
    # 5 ms poll, and at most the 60 ms after which silence is filled: a reserved frame waits for it when losses follow.
    late = [line.heard_at[index] - arrived[index // 2] for index in line.heard[:-2]]
    assert all(wait <= 65 for wait in late)


@settings(max_examples=60)
@given(st.lists(st.integers(0, 19), max_size=80))
def test_jitter_alone_costs_nothing(delays):
    arrivals = [(20 + 20 * number + delay, number) for number, delay in enumerate(delays)]
    line = Line().run(arrivals, 20 * len(delays) + 60)

    assert line.heard == frames_of(*range(len(delays)))
    assert all(line.heard_at[2 * number] - at < 5 for at, number in arrivals)
    assert line.concealed == 0


class Careful(Dejitter):
    """Without the short way for a packet like all others."""

    def _as_usual(self, rx_packets, now, rx_lost):
        return False


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 6), st.integers(0, 1), st.integers(1, 60)), max_size=80
    ),
    st.sampled_from([10, 20, 30]),
)
def test_the_short_way_for_a_usual_packet_decides_as_the_long_one(steps, frame_ms):
    quick, careful = Dejitter(frame_ms=frame_ms), Careful(frame_ms=frame_ms)
    size, packets, lost, now = 0, 0, 0, 1.0
    unit = frame_ms // 10
    usual = [(1, unit, 0, frame_ms)] * 12
    for arrived, frames, missing, ms in [*usual, *steps, *usual]:
        now += ms / 1000
        packets, lost, size = packets + arrived, lost + missing, size + frames
        pulls = [dejitter.poll(size, packets, now, lost) for dejitter in (quick, careful)]
        assert pulls[0] == pulls[1]
        size = max(size - pulls[0].frames * unit, 0)
