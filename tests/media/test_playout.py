import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.media.frame import FRAME_BYTES, SILENCE
from bridge.media.playout import Cleared, ItemFinished, ItemStarted, Playout, Underrun


def audio(ms, value=0x11):
    return bytes([value]) * (16 * ms)


def pull_ms(playout, ms):
    return b"".join(playout.pull() for _ in range(ms // 20))


def test_nothing_to_play_is_silence():
    playout = Playout()

    assert playout.pull() == SILENCE
    assert (playout.playing, playout.queued_ms, playout.has_events, playout.events()) == (None, 0, False, [])


def test_a_burst_is_played_frame_by_frame_and_its_end_is_told():
    playout = Playout()
    assert playout.push("a", audio(50)) == 0
    playout.finish("a")

    frames = [playout.pull() for _ in range(4)]

    assert frames == [audio(20), audio(20), audio(10) + bytes(160), SILENCE]
    assert playout.events() == [ItemStarted("a"), ItemFinished("a", 50)]
    assert playout.playing is None


def test_pieces_of_any_size_make_whole_frames():
    playout = Playout()
    for _ in range(40):
        playout.push("a", b"\x22\x22")

    assert playout.pull() == b"\x22" * 80 + bytes(240)


def test_the_next_item_follows_in_the_same_frame():
    playout = Playout()
    playout.push("a", audio(30, 1))
    playout.push("b", audio(30, 2))
    playout.finish("b")

    assert pull_ms(playout, 60) == audio(30, 1) + audio(30, 2)
    assert playout.events() == [
        ItemStarted("a"),
        ItemFinished("a", 30),
        ItemStarted("b"),
        ItemFinished("b", 30),
    ]


def test_audio_of_the_next_item_ends_one_that_ran_dry():
    playout = Playout()
    playout.push("a", audio(20))
    playout.pull()

    playout.push("b", audio(20))

    assert playout.events() == [ItemStarted("a"), ItemFinished("a", 20)]


def test_playing_is_the_item_the_caller_hears_also_when_it_ran_dry():
    playout = Playout()
    playout.push("a", audio(20))
    assert playout.playing is None

    playout.pull()
    assert playout.playing == "a"
    playout.finish("a")
    assert playout.playing is None
    assert playout.events() == [ItemStarted("a"), ItemFinished("a", 20)]


def test_a_gap_inside_an_item_is_an_underrun_and_not_heard():
    playout = Playout()
    playout.push("a", audio(30))
    pull_ms(playout, 80)
    assert playout.events() == [ItemStarted("a")]

    playout.push("a", audio(20))
    playout.finish("a")
    playout.pull()

    assert playout.events() == [Underrun("a", 50), ItemFinished("a", 50)]


def test_waiting_for_the_word_that_an_item_is_complete_is_no_underrun():
    playout = Playout()
    playout.push("a", audio(20))
    pull_ms(playout, 60)

    playout.finish("a")

    assert playout.events() == [ItemStarted("a"), ItemFinished("a", 20)]


def test_finish_of_an_unknown_item_changes_nothing():
    playout = Playout()
    playout.finish("x")
    playout.push("a", audio(20))
    playout.finish("x")
    playout.pull()

    assert playout.events() == [ItemStarted("a")]


def test_an_empty_delta_opens_no_item():
    playout = Playout()

    assert playout.push("a", b"") == 0
    assert playout.clear() == Cleared(None, 0, 0)


def test_full_refuses_the_end_and_says_how_much():
    playout = Playout(max_ms=50)
    assert playout.push("a", audio(40)) == 0

    assert playout.push("a", audio(30, 7)) == 16 * 20
    assert playout.push("b", audio(5)) == 16 * 5
    assert playout.queued_ms == 50
    assert pull_ms(playout, 60) == audio(40) + audio(10, 7) + bytes(160)


def test_clear_says_what_was_heard_and_stops_within_a_frame():
    playout = Playout()
    playout.push("a", audio(1000))
    playout.push("b", audio(500))
    playout.push("c", audio(100))
    pull_ms(playout, 140)

    assert playout.clear() == Cleared("a", 140, 1460, ("b", "c"))

    assert playout.queued_ms == 0
    assert playout.playing is None
    tail = playout.pull()
    assert tail[80:] == bytes(240)
    assert playout.pull() == SILENCE
    assert playout.events() == [ItemStarted("a")]


def test_the_cut_fades_out_over_5_ms():
    playout = Playout()
    playout.push("a", np.full(800, 8000, dtype="<i2").tobytes())
    playout.pull()
    playout.clear()

    tail = np.frombuffer(playout.pull(), dtype="<i2").astype(int)

    assert tail[0] > 7700
    assert abs(np.diff(tail[:41])).max() <= 200
    assert not tail[40:].any()


def test_the_fade_is_as_long_as_the_piece_that_is_left():
    playout = Playout()
    playout.push("a", audio(21, 0x40))
    playout.pull()

    assert playout.clear() == Cleared("a", 20, 1)
    assert playout.pull()[16:] == bytes(304)


def test_a_dry_item_is_cut_without_a_tail():
    playout = Playout()
    playout.push("a", audio(20))
    pull_ms(playout, 40)

    assert playout.clear() == Cleared("a", 20, 0)
    assert playout.pull() == SILENCE


def test_clear_before_the_first_frame_has_nothing_heard():
    playout = Playout()
    playout.push("a", audio(100))

    assert playout.clear() == Cleared(None, 0, 100, ("a",))
    assert playout.pull() == SILENCE
    assert playout.events() == []


def test_clear_when_all_was_heard_cuts_nothing():
    playout = Playout()
    playout.push("a", audio(20))
    playout.finish("a")
    playout.pull()

    assert playout.clear() == Cleared(None, 0, 0)


def test_a_second_clear_keeps_the_tail_of_the_first():
    playout = Playout()
    playout.push("a", audio(100, 0x40))
    playout.pull()
    playout.clear()

    assert playout.clear() == Cleared(None, 0, 0)
    assert any(playout.pull())


def test_new_speech_follows_the_tail_at_once():
    playout = Playout()
    playout.push("a", audio(100, 0x40))
    playout.pull()
    playout.clear()
    playout.push("b", audio(15, 3))
    playout.finish("b")

    assert playout.pull()[80:] == audio(15, 3)
    assert playout.events()[1:] == [ItemStarted("b"), ItemFinished("b", 15)]


@pytest.mark.parametrize("frame_bytes", [160, 320])
def test_the_frame_size_is_the_ports(frame_bytes):
    playout = Playout(frame_bytes=frame_bytes)
    playout.push("a", audio(7))

    assert [len(playout.pull()) for _ in range(3)] == [frame_bytes] * 3


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("push"), st.integers(0, 3), st.integers(1, 900)),
        st.tuples(st.just("pull"), st.just(0), st.integers(1, 5)),
        st.tuples(st.just("finish"), st.integers(0, 3), st.just(0)),
    ),
    max_size=40,
)


@settings(max_examples=150)
@given(STEPS)
def test_what_the_caller_hears_is_what_is_counted(steps):
    """Every pushed byte is non-zero and silence is zero, so the line itself says what was heard."""
    playout, pushed, line = Playout(max_ms=100), b"", b""
    for turn, (kind, item, amount) in enumerate(steps):
        match kind:
            case "push":
                piece = bytes([1 + turn]) * (2 * amount)
                pushed += piece[: len(piece) - playout.push(f"{item}", piece)]
            case "finish":
                playout.finish(f"{item}")
            case "pull":
                line += b"".join(playout.pull() for _ in range(amount))
        heard = heard_of(line)
        assert heard == pushed[: len(heard)]
        assert len(heard) + playout.queued_ms * 16 == len(pushed)
        assert len(line) % FRAME_BYTES == 0

    playing, queued_ms = playout.playing, playout.queued_ms
    cleared = playout.clear()
    events = playout.events()

    assert (cleared.item_id, cleared.dropped_ms) == (playing, int(queued_ms))
    ended = [event for event in events if isinstance(event, ItemFinished)]
    # Each item's milliseconds are rounded down on their own.
    counted_ms = sum(event.heard_ms for event in ended) + cleared.heard_ms
    assert 0 <= len(heard_of(line)) / 16 - counted_ms <= len(ended) + 1
    assert not any(playout.pull()[80:])
    assert playout.pull() == SILENCE


def heard_of(line):
    return line.replace(b"\x00", b"")


def test_at_16_khz_a_frame_is_twice_as_long_and_the_milliseconds_are_the_same():
    playout = Playout(max_ms=1000, rate_hz=16000)
    assert playout.push("a", bytes(32) * 200 + b"\1\1" * 16 * 900) == 100 * 32
    assert playout.queued_ms == 1000
    frames = [playout.pull() for _ in range(7)]
    assert {len(frame) for frame in frames} == {640}
    cleared = playout.clear()
    assert (cleared.item_id, cleared.heard_ms, cleared.dropped_ms) == ("a", 140, 860)
    playout.push("b", b"\1\1" * 16 * 50)
    playout.pull()
    cut = playout.clear()
    assert cut.heard_ms == 15  # the fade of the one before stood in the frame too
    faded = playout.pull()
    assert (len(faded), faded[160:], faded[:2] != b"\0\0") == (640, bytes(480), True)  # 5 ms fade


def test_a_pause_in_the_middle_of_a_wide_item_is_counted_in_milliseconds():
    playout = Playout(rate_hz=16000)
    playout.push("a", bytes(640))
    playout.pull()
    playout.pull()
    playout.push("a", bytes(640))
    assert Underrun("a", 20) in playout.events()
