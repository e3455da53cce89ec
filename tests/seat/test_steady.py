"""Frames between two clocks."""

from bridge.seat.steady import Steady


def frames(*values):
    return b"".join(bytes([value]) * 4 for value in values)


def test_it_gives_nothing_until_it_has_its_reserve():
    line = Steady(4, reserve=2)
    line.put(frames(1))
    assert line.take() is None
    line.put(frames(2))
    assert [line.take(), line.take(), line.take()] == [frames(1), frames(2), None]


def test_empty_it_waits_for_a_reserve_again():
    line = Steady(4, reserve=2)
    line.put(frames(1, 2))
    assert [line.take(), line.take(), line.take()] == [frames(1), frames(2), None]
    line.put(frames(3))
    assert line.take() is None
    line.put(frames(4))
    assert line.take() == frames(3)


def test_full_the_oldest_goes():
    line = Steady(4, reserve=1, most=3)
    line.put(frames(1, 2, 3, 4, 5))
    assert [line.take() for _ in range(4)] == [frames(3), frames(4), frames(5), None]


def test_pieces_of_any_length_become_frames():
    line = Steady(4, reserve=1)
    for piece in (b"ab", b"c", b"defgh", b"i"):
        line.put(piece)
    assert [line.take(), line.take(), line.take()] == [b"abcd", b"efgh", None]
