"""Where things stand in the pictures of a call: numbers for SVG, which the templates write. Pure.

    seconds ─► x        lanes from above: the recording (caller up, agent down), then bridge/records/lanes.py
    messages ─► arrows  a ladder: one column a party, one row a message, time runs down

The picture is WIDTH wide, or wider for a long call; the page scrolls it. Nothing in here is markup.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from bridge.media.peaks import FULL, Peaks
from bridge.records.lanes import Lanes, Moment, Stretch
from bridge.records.sipmessages import SipLine

WIDTH, MAX_WIDTH = 1100.0, 8000.0
PX_A_SECOND = 8.0
"""At least so much room for a second, until the picture would be wider than MAX_WIDTH."""
WAVE_H, LANE_H, RULER_H = 112.0, 26.0, 20.0
BAR_H = 16.0
MIN_BAR = 2.0
BAR_PX = 2.0
SHOWN = ("caller", "agent", "wait", "tools", "person", "line", "silence")
STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200)
TICK_PX = 70.0
ROW_H, COLUMN_W, LADDER_TOP = 30.0, 260.0, 44.0
MAX_ROWS = 400


@dataclass(frozen=True, slots=True)
class Bar:
    """A stretch as a rectangle."""

    x: float
    y: float
    width: float
    height: float
    stretch: Stretch


@dataclass(frozen=True, slots=True)
class Tick:
    """A line of the ruler."""

    x: float
    at_s: float


@dataclass(frozen=True, slots=True)
class Pin:
    """A moment as a line."""

    x: float
    moment: Moment


@dataclass(frozen=True, slots=True)
class Picture:
    """All that is drawn. `caller`, `agent`: paths of the recording; "" without one."""

    width: float
    height: float
    scale: float
    start_s: float
    wave_h: float
    lanes: tuple[tuple[str, float], ...]
    bars: tuple[Bar, ...]
    pins: tuple[Pin, ...]
    ticks: tuple[Tick, ...]
    caller: str = ""
    agent: str = ""


def picture(lanes: Lanes, peaks: Peaks | None) -> Picture:
    """The lanes, and the recording over them where there is one."""
    start_s, seconds = lanes.start_s, max(lanes.end_s - lanes.start_s, 0.1)
    width = min(max(WIDTH, seconds * PX_A_SECOND), MAX_WIDTH)
    scale = width / seconds
    wave_h = WAVE_H if peaks is not None and lanes.recording_s is not None else 0.0
    shown = [
        name
        for name in SHOWN
        if name in {"caller", "agent"} or any(one.lane == name for one in lanes.stretches)
    ]
    tops = {name: RULER_H + wave_h + LANE_H * place for place, name in enumerate(shown)}

    def x(at_s: float) -> float:
        return round((at_s - start_s) * scale, 2)

    bars = [_bar(one, tops[one.lane], x) for one in lanes.stretches if one.lane in tops]
    up, down = ("", "")
    if peaks is not None and lanes.recording_s is not None:
        middle = RULER_H + WAVE_H / 2
        begin, end = x(lanes.recording_s), x(lanes.recording_s + peaks.seconds)
        up = _path(peaks.caller, begin, end, middle, -1)
        down = _path(peaks.agent, begin, end, middle, 1)
    return Picture(
        width,
        RULER_H + wave_h + LANE_H * len(shown),
        scale,
        start_s,
        wave_h,
        tuple(tops.items()),
        tuple(bars),
        tuple(Pin(x(one.at_s), one) for one in lanes.moments),
        tuple(Tick(x(at_s), at_s) for at_s in _ticks(start_s, lanes.end_s, scale)),
        up,
        down,
    )


def _bar(stretch: Stretch, top: float, x: Callable[[float], float]) -> Bar:
    begin, end = x(stretch.start_s), x(stretch.end_s)
    width = max(round(end - begin, 2), MIN_BAR)
    return Bar(begin, top + (LANE_H - BAR_H) / 2, width, BAR_H, stretch)


def _path(values: Sequence[int], begin: float, end: float, middle: float, way: int) -> str:
    """A filled outline from the middle line: up for the caller, down for the agent."""
    room = max(int((end - begin) / BAR_PX), 1)
    merged = _merged(values, room)
    step, full = (end - begin) / max(len(merged), 1), WAVE_H / 2 - 3
    points = [f"M{begin:.1f} {middle:.1f}"]
    for place, value in enumerate(merged):
        points.append(f"L{begin + (place + 0.5) * step:.1f} {middle + way * full * value / FULL:.1f}")
    return "".join([*points, f"L{end:.1f} {middle:.1f}Z"])


def _merged(values: Sequence[int], room: int) -> list[int]:
    """At most `room` values, the loudest of each part."""
    if len(values) <= room:
        return list(values)
    edges = [len(values) * place // room for place in range(room + 1)]
    return [max(values[first:last]) for first, last in pairwise(edges)]


def _ticks(start_s: float, end_s: float, scale: float) -> list[float]:
    step_s = next((step for step in STEPS_S if step * scale >= TICK_PX), STEPS_S[-1])
    first, last = int(start_s // step_s) + 1, int(end_s // step_s)
    return [float(place * step_s) for place in range(first, last + 1)]


@dataclass(frozen=True, slots=True)
class Arrow:
    """One SIP message. `row`: its number, from 0; `right`: the way it points."""

    row: int
    y: float
    start: float
    end: float
    right: bool
    line: SipLine


@dataclass(frozen=True, slots=True)
class Ladder:
    """`columns`: (name, x); the bridge is one of them. `more`: messages that are not shown."""

    width: float
    height: float
    columns: tuple[tuple[str, float], ...]
    arrows: tuple[Arrow, ...]
    more: int = 0


BRIDGE = ""
"""The column of the bridge itself."""


def ladder(lines: Sequence[SipLine]) -> Ladder | None:
    """The caller on the left, the bridge, then each other leg. None: no messages are kept."""
    if not lines:
        return None
    legs = list(dict.fromkeys(line.leg for line in lines))
    names = [legs[0], BRIDGE, *legs[1:]]
    places = {name: COLUMN_W * (place + 0.5) for place, name in enumerate(names)}
    arrows = []
    for row, line in enumerate(lines[:MAX_ROWS]):
        start, end = places[line.leg], places[BRIDGE]
        if line.sent:
            start, end = end, start
        arrows.append(Arrow(row, LADDER_TOP + ROW_H * (row + 0.7), start, end, end > start, line))
    height = LADDER_TOP + ROW_H * len(arrows) + 12
    more = max(len(lines) - MAX_ROWS, 0)
    return Ladder(COLUMN_W * len(names), height, tuple(places.items()), tuple(arrows), more)
