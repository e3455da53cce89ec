from bridge.control_gaps import Gaps


def test_numbers_without_a_gap_are_read_at_once():
    gaps = Gaps(10, 15.0)
    assert gaps.look([11, 12, 13], 0.0) == 13
    assert gaps.look([], 1.0) == 13


def test_a_number_that_is_still_to_come_is_waited_for():
    gaps = Gaps(10, 15.0)
    assert gaps.look([11, 13, 14], 0.0) == 11
    assert gaps.look([13, 14], 5.0) == 11
    assert gaps.look([12, 13, 14, 15], 6.0) == 15


def test_a_number_that_nobody_brings_is_passed_after_a_while():
    gaps = Gaps(10, 15.0)
    assert gaps.look([12, 14], 0.0) == 10
    assert gaps.look([12, 14, 15], 14.9) == 10
    assert gaps.look([12, 14, 15], 15.0) == 15


def test_many_gaps_are_waited_for_at_once_each_from_when_it_was_seen():
    gaps = Gaps(10, 15.0)
    assert gaps.look([12, 14], 0.0) == 10
    assert gaps.look([12, 14, 16, 18], 10.0) == 10
    assert gaps.look([12, 14, 16, 18, 20], 15.0) == 14
    assert gaps.look([13, 16, 18, 20], 20.0) == 14, "what came late is not counted as one that is missing"
    assert gaps.look([16, 18, 20], 25.0) == 18
    assert gaps.look([20], 30.0) == 20


def test_where_nobody_else_writes_a_gap_is_none():
    assert Gaps(0, 0.0).look([5, 9], 0.0) == 9
