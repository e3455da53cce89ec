"""Where things stand in the pictures of a call."""

import re

import pytest

from bridge.console.picture import BRIDGE, MAX_ROWS, MAX_WIDTH, RULER_H, WAVE_H, WIDTH, ladder, picture
from bridge.media.peaks import Peaks
from bridge.records.lanes import Lanes, Moment, Stretch
from bridge.records.sipmessages import SipLine


def lanes(end_s=100.0, *stretches, recording_s=None):
    return Lanes(-2.0, end_s, True, stretches, (Moment("barge_in", 10.0),), (), recording_s)


def test_seconds_become_places_from_the_invite_on():
    found = picture(lanes(98.0, Stretch("agent", "speech", 8.0, 18.0)), None)
    assert (found.width, found.scale) == (WIDTH, WIDTH / 100)
    (bar,) = found.bars
    assert (bar.x, bar.width) == (110.0, 110.0)
    assert found.pins[0].x == pytest.approx(132.0)


def test_a_long_call_is_wider_to_a_bound():
    assert picture(lanes(598.0), None).width == 4800
    assert picture(lanes(36_000.0), None).width == MAX_WIDTH


def test_only_lanes_in_which_something_happened_are_shown_but_both_sides_always():
    found = picture(lanes(10.0, Stretch("tools", "tool", 1, 2), Stretch("other", "other", 1, 2)), None)
    assert [name for name, _ in found.lanes] == ["caller", "agent", "tools"]
    assert len(found.bars) == 1
    assert (found.wave_h, found.caller) == (0.0, "")


def test_the_shortest_stretch_can_be_seen():
    assert picture(lanes(1000.0, Stretch("agent", "cut", 5.0, 5.0)), None).bars[0].width == 2.0


def test_the_recording_lies_where_it_was_made_caller_up_and_agent_down():
    found = picture(lanes(98.0, recording_s=8.0), Peaks(50.0, (0, 100), (100, 0)))
    assert found.wave_h == WAVE_H
    middle = RULER_H + WAVE_H / 2
    points = [tuple(map(float, one)) for one in re.findall(r"[ML]([\d.]+) ([\d.]+)", found.caller)]
    assert points == [(110.0, middle), (247.5, middle), (522.5, 23.0), (660.0, middle)]
    assert max(float(y) for _, y in re.findall(r"[ML]([\d.]+) ([\d.]+)", found.agent)) > middle
    assert re.fullmatch(r"[MLZ0-9. -]+", found.caller + found.agent)


def test_more_values_than_room_are_merged_to_the_loudest():
    values = tuple(100 if place == 1234 else 0 for place in range(4000))
    found = picture(lanes(98.0, recording_s=0.0), Peaks(10.0, values, values))
    assert found.caller.count("L") == 55 + 1
    assert " 23.0" in found.caller


def test_the_ruler_has_round_seconds_with_room_between_them():
    ticks = [tick.at_s for tick in picture(lanes(98.0), None).ticks]
    assert ticks == [float(at_s) for at_s in range(0, 99, 10)]


def test_a_call_without_length_is_no_division_by_zero():
    assert picture(Lanes(0.0, 0.0, False, (), (), ()), Peaks(1.0, (1,), (1,))).width == WIDTH


def test_messages_are_arrows_between_the_bridge_and_their_leg():
    lines = (
        SipLine("caller", 0.0, False, "INVITE"), SipLine("caller", 0.1, True, "200 INVITE"),
        SipLine("sales", 0.2, True, "INVITE"), SipLine("sales", 0.3, False, "486 INVITE"),
    )  # fmt: skip
    found = ladder(lines)
    assert [name for name, _ in found.columns] == ["caller", BRIDGE, "sales"]
    assert [one.right for one in found.arrows] == [True, False, True, False]
    assert [one.row for one in found.arrows] == [0, 1, 2, 3]
    assert found.arrows[0].start < found.arrows[0].end == found.arrows[1].start


def test_a_ladder_has_an_end_and_no_messages_make_none():
    found = ladder([SipLine("caller", 0.0, True, "BYE")] * (MAX_ROWS + 5))
    assert (len(found.arrows), found.more) == (MAX_ROWS, 5)
    assert ladder(()) is None
