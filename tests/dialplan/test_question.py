"""The answer to `what would happen to this call`, in the words of the command line and of the console."""

import pytest

from bridge.dialplan.load import load
from bridge.dialplan.question import Question, answer

PLAN = """
version: 1
routes:
  - name: vip
    when: {to: "100", headers: {X-Class: gold}}
    do: [{hang_up: {}}]
  - name: few
    when: {to: "100", capacity: {max_calls: 1}}
    do: [{hang_up: {}}]
  - name: night
    when: {to: "200"}
    do: [{hang_up: {}}]
"""


@pytest.fixture
def plan(tmp_path):
    path = tmp_path / "plan.yaml"
    path.write_text(PLAN)
    return load(path)


def words(plan, **question):
    found = answer(plan, Question(**question))
    return [str(one).partition(": ")[2] for one in found.verdicts], found.taken


def test_routes_are_told_up_to_the_one_that_takes_the_call(plan):
    told, taken = words(plan, to="100", headers=["X-Class: gold"])
    assert (len(told), taken.route.name) == (1, "vip")
    told, taken = words(plan, to="200", from_number="+491")
    assert [taken.route.name, len(told)] == ["night", 3]
    assert "header x-class is missing" in told[0] or "to is" in told[0]


def test_a_call_that_no_route_takes_is_told_so(plan):
    told, taken = words(plan, to="999")
    assert (len(told), taken) == (3, None)


def test_calls_that_a_route_has_count(plan):
    assert words(plan, to="100")[1].route.name == "few"
    assert words(plan, to="100", loads=["few=1"])[1] is None


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"headers": ["X-Class gold"]}, '"X-Class gold" is not "Name: value"'),
        ({"at": "tomorrow"}, "tomorrow is no time: write it as 2026-12-24T20:00"),
        ({"loads": ["few"]}, '"few" is not "ROUTE=3"'),
        ({"loads": ["few=many"]}, "many is no number of calls"),
    ],
)
def test_a_question_that_cannot_be_read_is_told_which_part(plan, wrong, sentence):
    with pytest.raises(ValueError, match="is no") as refused:
        answer(plan, Question("100", **wrong))
    assert str(refused.value) == sentence
