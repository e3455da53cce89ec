"""The picture of a plan: well-formed, complete, and nothing on top of anything else."""

import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.dialplan import load
from bridge.dialplan.facts import Condition
from bridge.dialplan.graph import MAX_ROUTES, STEP_H, kind, lay_out, shorten, svg, text_width, wrap
from bridge.dialplan.plan import Plan, Route
from bridge.dialplan.steps import AgentStep, GoStep, HangUpStep, MenuStep, RingStep, SayStep, TransferStep

ROOT = Path(__file__).parents[2]
SVG = "{http://www.w3.org/2000/svg}"
END = HangUpStep(503, "Service Unavailable")


@dataclass(frozen=True, slots=True)
class Ask:
    TAG: ClassVar = "ask"
    options: Mapping[str, tuple]
    timeout: tuple = ()


LEAF = st.sampled_from([END, RingStep(5), SayStep("We are closed. " * 6, "en", "p")])
STEPS = st.recursive(
    st.lists(LEAF, min_size=1, max_size=3).map(tuple),
    lambda inner: st.lists(
        st.one_of(
            LEAF,
            inner.map(lambda steps: TransferStep("desk", steps)),
            inner.map(lambda steps: AgentStep("a", steps)),
            st.tuples(inner, inner).map(lambda two: Ask({"1": two[0], "a long answer " * 3: two[1]}, two[0])),
        ),
        min_size=1,
        max_size=3,
    ).map(tuple),
    max_leaves=6,
)
CONDITIONS = st.lists(
    st.sampled_from(
        [Condition("to", ("1",)), Condition("header:x", ("W" * 200,)), Condition("hours", tuple("abcdef"))]
    ),
    max_size=7,
).map(tuple)


def overlap(one, other):
    apart_x = one[2] <= other[0] or other[2] <= one[0]
    return not (apart_x or one[3] <= other[1] or other[3] <= one[1])


def places(picture):
    boxes = [(box.x, box.y, box.x + box.width, box.y + box.height) for box in picture.boxes]
    labels = [
        (link.at[0], link.at[1] - 10, link.at[0] + text_width(link.label), link.at[1] + 3)
        for link in picture.links
        if link.label
    ]
    return boxes, labels


@given(st.lists(st.tuples(st.text(min_size=1, max_size=200), CONDITIONS, STEPS), max_size=4))
def test_no_box_and_no_label_is_on_top_of_another(routes):
    picture = lay_out([Route(name, conditions, steps) for name, conditions, steps in routes])
    boxes, labels = places(picture)
    assert not [pair for pair in combinations(boxes + labels, 2) if overlap(*pair)]


@given(st.lists(st.tuples(CONDITIONS, STEPS), min_size=1, max_size=3))
def test_no_line_runs_through_a_box_or_a_label(routes):
    picture = lay_out([Route("r", conditions, steps) for conditions, steps in routes])
    boxes, labels = places(picture)
    for link in picture.links:
        for (x1, y1), (x2, y2) in zip(link.points, link.points[1:], strict=False):
            line = (
                min(x1, x2) + 1,
                min(y1, y2) + 1,
                max(x1, x2, min(x1, x2) + 2) - 1,
                max(y1, y2, min(y1, y2) + 2) - 1,
            )
            assert not [place for place in boxes + labels if overlap(line, place)]


@given(st.lists(st.tuples(CONDITIONS, STEPS), max_size=3))
def test_all_of_it_is_inside_the_picture_and_every_text_inside_its_box(routes):
    picture = lay_out([Route("r", conditions, steps) for conditions, steps in routes])
    width, height = picture.size
    for box in picture.boxes:
        assert box.x + box.width < width
        assert box.y + box.height < height
        assert 12 + 16 * (len(box.head) + len(box.lines)) <= box.height
        assert all(text_width(line) <= box.width - 20 for line in (*box.head, *box.lines))


@pytest.mark.parametrize("name", ["clinic", "shop", "help-desk", "after-hours"])
def test_a_plan_becomes_one_svg_with_a_title_for_every_box(name):
    plan = load.load(ROOT / "dialplans/examples" / name)
    root = ET.fromstring(svg(plan))  # our own text
    groups = root.findall(f"{SVG}g")
    assert root.get("role") == "img"
    assert len(groups) >= len(plan.routes) + len(plan.flows)
    assert [
        one.TAG for one in plan.steps() if one.TAG.replace("_", " ") not in "".join(root.itertext())
    ] == []
    assert all(group.find(f"{SVG}title").text for group in groups)
    assert plan.version in root.find(f"{SVG}desc").text
    assert not {element.tag for element in root.iter()} & {
        f"{SVG}script",
        f"{SVG}image",
        f"{SVG}foreignObject",
    }


def test_one_route_alone_can_be_drawn():
    plan = Plan((Route("a", (), (END,)), Route("b", (), (END,))), ())
    assert svg(plan, "b").count("<g>") == 2


def test_text_from_the_plan_is_only_text():
    hostile = Route("<script>alert(1)</script>\x07", (), (SayStep("a & b <c>", "en", "p"), END))
    text = svg(Plan((hostile,), ()))
    ET.fromstring(text)
    assert "<script>" not in text
    assert "a &amp; b &lt;c&gt;" in text


def test_a_plan_of_thousands_of_routes_is_cut():
    picture = lay_out(
        [Route(f"r{number}", (Condition("to", ("1",)),), (END,)) for number in range(MAX_ROUTES + 7)]
    )
    assert picture.boxes[-1].head == ("… and 7 more routes",)


def test_calls_that_no_route_takes_are_in_the_picture():
    assert lay_out([Route("a", (Condition("to", ("1",)),), (END,))]).boxes[-1].kind == "end"
    assert lay_out([Route("a", (), (END,))]).boxes[-1].y < 2 * STEP_H


def test_steps_have_the_colour_of_what_they_do():
    assert kind(AgentStep("a")) == "agent"
    assert kind(END) == "end"
    assert kind(Ask({"1": (END,)})) == "ask"


@given(st.text(max_size=300), st.integers(20, 400), st.integers(1, 4))
def test_texts_are_cut_to_their_place(text, width, lines):
    assert text_width(shorten(text, width)) <= width
    done = wrap(text, width, lines)
    assert len(done) <= lines
    assert all(text_width(line) <= width for line in done)


def test_a_text_that_has_room_is_not_cut():
    assert wrap("We are closed.", 200, 2) == ["We are closed."]
    assert shorten("abc", 100) == "abc"
    assert shorten("a" * 50, 100).endswith("a…")


def test_flows_stand_below_the_routes_and_what_a_step_plays_stands_in_it():
    menu = MenuStep((SayStep("Press one.", "en", "p"),), {"1": (GoStep("bye"),)}, {}, "en", 5.0, 2)
    picture = lay_out([Route("a", (), (menu,))], {"bye": (END,)})
    assert [box.head[0] for box in picture.boxes] == ["a", "menu", "go", "flow", "hang up"]
    assert picture.boxes[1].lines[0].startswith("Press one.")
    assert picture.boxes[3].y > picture.boxes[2].y + STEP_H
    assert [link.label for link in picture.links if link.label] == ["1"]
