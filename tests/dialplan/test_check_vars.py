"""Variables of the call that nobody sets."""

import pytest

from bridge.dialplan import load as loading
from bridge.dialplan.templatecheck import vars_in

PLAN = """
version: 1
agents: {desk: {instructions: 'The order is {{ vars.order }}, {%% if vars.vip %%}a VIP{%% endif %%}', greeting: Hello.}}
transfers: {sales: "sip:sales@pbx.example.com"}
queues: {office: {members: sales, announce: 'Number {{ vars.position }} of {{ vars.waiting }}'}}
routes:
  - name: first
    do:
      %s
      - {agent: desk, or_else: [{hang_up: {}}]}
"""


@pytest.fixture
def warned(tmp_path):
    def warned(*steps, text=PLAN):
        path = tmp_path / "p.yaml"
        path.write_text(text % "\n      ".join(f"- {step}" for step in steps))
        found = [str(one).partition(":")[2].partition(": ") for one in loading.inspect(path).warnings]
        return [f"{place.partition(':')[0]} {words}" for place, _, words in found if "vars." in words]

    return warned


SET = ["collect: {into: order, digits: 5}", "set: {vip: 'yes'}"]


def test_names_that_steps_set_are_known(warned):
    assert warned(*SET) == []


def test_a_tool_sets_a_name_too(warned):
    assert warned("tool: {name: look_up, into: order}", "set: {vip: 'yes'}") == []


def test_a_name_that_nothing_sets_is_told_with_its_place_and_the_nearest_one(warned):
    assert warned("collect: {into: ordr, digits: 5}", "set: {vip: 'yes'}") == [
        "3 agents.desk.instructions: no step sets vars.order (did you mean vars.ordr?)"
    ]


@pytest.mark.parametrize(
    "step",
    [
        "say: 'Hello {{ vars.nobody }}'",
        "set: {vip: '{{ vars.nobody }}'}",
        "switch: {value: '{{ vars.nobody }}', cases: {a: [{hang_up: {}}]}}",
        "tool: {name: look_up, arguments: {deep: [{er: '{{ vars.nobody }}'}]}}",
        "dial: {to: sales, headers: {X-Who: '{{ vars.nobody }}'}}",
        "park: {slot: '{{ vars.nobody }}'}",
        "pick_up: '{{ vars.nobody }}'",
        "callback: {number: '{{ vars.nobody }}'}",
        "say: 'Place {{ vars.position }}, {{ vars.nobody }}'",
    ],
)
def test_it_is_told_wherever_a_text_may_name_one(warned, step):
    told = [one for one in warned(*SET, step) if "vars.nobody" in one]
    assert len(told) == 1
    assert told[0].startswith("11 routes[0].do[2]")
    assert "a step sets it: set, or into of collect and tool" in told[0]


def test_a_place_in_the_line_is_known_in_announcements_only(warned):
    (told,) = warned(*SET, "say: 'Place {{ vars.position }}'")
    assert told.startswith("11 routes[0].do[2].say: no step sets vars.position")


def test_the_text_of_a_prompt_file_counts_for_the_agent_that_uses_it(tmp_path, warned):
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / "p.md").write_text(
        "---\nid: help\nversion: 1\n---\nThe tier is {{ vars.tier }}.\n"
    )
    text = PLAN.replace("instructions: 'The order is", "prompt: {id: help}, voice: 'x")
    start, _, rest = text.partition("voice: 'x")
    text = start + "voice: marin" + rest[rest.index(", greeting") :]
    assert [one.partition(" (")[0] for one in warned(text=text)] == [
        "3 agents.desk.prompt: no step sets vars.tier"
    ]


def test_names_are_found_in_plain_texts_and_in_logic():
    assert vars_in("a {{ vars.b }} {{ caller.number }} {{ vars.c }}") == ["b", "c"]
    assert vars_in("{% if vars.b %}{{ vars.c | upper }}{% endif %}") == ["b", "c"]
    assert vars_in("the word vars.b alone") == []
    assert vars_in("{% if vars.b") == []
