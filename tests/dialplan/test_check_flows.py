"""Plans that make sense are taken, however they are built; circles, and steps in vain, are told. Mistakes: bad/."""

import pytest

from bridge.dialplan import load as loading

AROUND = """
version: 1
agents: {desk: {instructions: Help., greeting: Hello.}}
transfers: {sales: "sip:sales@pbx.example.com", boss: "sip:boss@pbx.example.com"}
queues: {office: {members: [sales, boss]}}
"""


@pytest.fixture
def warned(tmp_path):
    def warned(text):
        path = tmp_path / "p.yaml"
        path.write_text(AROUND + text)
        found = loading.inspect(path).warnings
        return [f"{one.key}: {one.message}" for one in found if one.message != "no route uses this agent"]

    return warned


def route(*steps):
    lines = "\n".join(f"      - {step}" for step in steps)
    return f"routes:\n  - name: first\n    do:\n{lines}\n"


END = "hang_up: {}"
MENU = "menu: {say: Press one., options: {%s}}"
TWO = '"2": [{transfer: sales}]'
GOOD = {
    "a menu whose options all end, with an end after it": route(MENU % '"1": [{go: closed}]', END)
    + "flows: {closed: [{hang_up: {}}]}",
    "a menu as the last step, every way of it ends": route(
        "{menu: {say: Press one., options: {'1': [{transfer: sales}]}}, or_else: [{hang_up: {}}]}"
    ),
    "a switch as the last step": route(
        "{switch: {value: '{{ caller.number }}', cases: {'1': [{hang_up: {}}]}}, or_else: [{reject: {status: 603}}]}"
    ),
    "a menu in a menu": route(MENU % f'"1": [{{{MENU % TWO}}}]', END),
    "an option that goes on after the menu": route(MENU % '"1": [{set: {tier: gold}}]', END),
    "a flow from or_else": route("{transfer: sales, or_else: [{go: closed}]}")
    + "flows: {closed: [{say: We are closed.}, {hang_up: {}}]}",
    "a flow that rings, before the answer": route("go: office")
    + "flows: {office: [{ring: {ms: 500}}, {early_media: One moment.}, {agent: desk, or_else: [{hang_up: {}}]}]}",
    "a flow that refuses, before the answer": route("set: {tier: gold}", "go: closed")
    + "flows: {closed: [{reject: {status: 480}}]}",
    "a refusal when a tool says no": route(
        "{tool: {name: look_up, into: known}, or_else: [{reject: {status: 603}}]}", "go: busy"
    )
    + "flows: {busy: [{reject: {status: 486}}]}",
    "a switch that only sets, then ringing": route(
        "switch: {value: '{{ caller.number }}', cases: {'1': [{set: {tier: gold}}]}}", "ring: {ms: 500}", END
    ),
    "a flow that comes back through a menu": route("go: main")
    + 'flows: {main: [{menu: {say: Press one., options: {"1": [{go: main}]}}}, {go: main}]}',
    "a circle in which every way waits": route("go: main")
    + "flows: {main: [{switch: {value: '{{ caller.number }}', cases: {'1': [{hold: {s: 9}}]}}, "
    "or_else: [{hold: {s: 20}}]}, {go: main}]}",
    "a target that is tried twice": route("dial: [sales, sales, boss]", END),
    "somebody busy is tried again after some music": route("go: main")
    + "flows: {main: [{dial: sales, or_else: [{hold: {s: 20}}, {go: main}]}, {hang_up: {}}]}",
}


@pytest.mark.parametrize("text", GOOD.values(), ids=GOOD)
def test_a_sensible_plan_is_taken_without_a_word(warned, text):
    assert warned(text) == []


def test_a_flow_that_goes_round_as_fast_as_something_fails_is_odd(warned):
    text = route("go: main") + "flows: {main: [{queue: office, or_else: [{go: main}]}, {hang_up: {}}]}"
    assert warned(text) == ["flows.main: when it fails at once it goes round without a pause"]


def test_a_flow_that_nothing_goes_to_is_odd(warned):
    assert warned(route(END) + "flows: {closed: [{hang_up: {}}]}") == [
        "flows.closed: nothing goes to this flow"
    ]


def test_steps_after_a_choice_of_which_every_way_ends_are_odd(warned):
    menu = "{menu: {say: Press one., options: {'1': [{go: closed}]}}, or_else: [{go: closed}]}"
    text = route(menu, END) + "flows: {closed: [{hang_up: {}}]}"
    assert warned(text) == ["routes[0].do[1]: nothing comes here: every way of the menu before it ends"]


def test_a_switch_without_a_variable_is_odd(warned):
    text = route("switch: {value: gold, cases: {gold: [{hang_up: {}}]}}", END)
    assert warned(text) == [
        "routes[0].do[0].switch.value: there is no variable in it: it always goes the same way"
    ]


def test_each_circle_of_flows_is_told_once(tmp_path):
    path = tmp_path / "p.yaml"
    flows = "flows: {a: [{go: b}], b: [{go: c}], c: [{go: a}], d: [{say: Hello}, {go: d}]}"
    path.write_text(AROUND + route("go: a") + flows)
    with pytest.raises(loading.DialplanError) as caught:
        loading.load(path)
    assert [one.message for one in caught.value.problems] == [
        "it goes round for ever: a, b, c, a",
        "it goes round for ever",
    ]


def test_rules_of_asking_where_nobody_is_asked_are_odd(warned):
    text = "routes: [{name: a, recording: {announce: We record., wait_s: 5}, do: [{hang_up: {}}]}]\n"
    assert warned(text) == ["routes[0].recording.wait_s: nobody is asked for consent"]


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ("{max_call_s: 60, warn_s: 45}", "the caller is not warned in calls of 60 s"),
        ("{warn_s: 45}", "the caller is not warned of an end that is not set"),
    ],
)
def test_a_warning_that_never_comes_is_odd(tmp_path, limits, words):
    path = tmp_path / "p.yaml"
    path.write_text(
        AROUND.replace("Help.,", f"Help., limits: {limits},")
        + route("{agent: desk, or_else: [{hang_up: {}}]}")
    )
    assert [f"{one.key}: {one.message}" for one in loading.inspect(path).warnings] == [
        f"agents.desk.limits.warn_s: {words}"
    ]
