"""Tests of dialplans: what is expected, what comes, and where it is written."""

from pathlib import Path

import pytest

from bridge.dialplan import cases, load
from bridge.dialplan.plan import Plan
from bridge.dialplan.steps import HangUpStep, SayStep
from bridge.errors import DialplanError

ROOT = Path(__file__).parents[2]
PLAN = """version: 1
hours: {office: {timezone: Europe/Berlin, week: {mon: ["09:00-18:00"]}}}
agents: {desk: {instructions: x, greeting: hello}}
routes:
- {name: night, when: {outside: office}, do: [{say: We are closed.}, {hang_up: {status: 480, reason: Shut}}]}
- name: day
  when: {to: "100", headers: {X-A: b}}
  do: [{agent: desk, or_else: [{say: Sorry}, {hang_up: {status: 503, reason: Gone}}]}]
"""
BADLY = """name: a
  call: {to: "1", at: 2026-11-23T20:00}
  expect:
    route: day
    agent: desk
    steps: [say]
    ends: reject
    status: 503
"""
HEAD = "version: 1\nat: 2026-11-23T10:00\ntests:\n"


@pytest.fixture
def plan(tmp_path):
    (tmp_path / "p.yaml").write_text(PLAN)
    return load.load(tmp_path / "p.yaml")


@pytest.fixture
def verdict(plan, tmp_path):
    def verdict(case, head=HEAD):
        file = tmp_path / "p.test.yaml"
        file.write_text(f"{head}- {case}\n")
        (found,) = cases.judge(cases.read(file, plan), plan)
        return found

    return verdict


@pytest.fixture
def wrong(plan, tmp_path):
    def wrong(text):
        file = tmp_path / "p.test.yaml"
        file.write_text(text)
        with pytest.raises(DialplanError) as error:
            cases.read(file, plan)
        return [f"{one.line}: {one.key}: {one.message}" for one in error.value.problems]

    return wrong


def test_a_call_that_goes_as_expected_has_no_misfits(verdict):
    found = verdict(
        '{name: a, call: {to: "100", headers: {x-A: B}}, '
        "expect: {route: day, agent: desk, steps: [agent], ends: agent}}"
    )
    assert (found.misfits, found.route, found.line) == ((), "day", 4)


def test_every_misfit_says_what_was_expected_and_what_came(verdict):
    found = verdict(BADLY)
    assert [f"{one.line}: {one}" for one in found.misfits] == [
        "7: route: expected day, came night",
        "8: agent: expected desk, came no agent: say: We are closed., hang_up: 480, Shut",
        "9: steps: expected say, came say: We are closed., hang_up: 480, Shut",
        "10: ends: expected reject, came hang_up",
        "11: status: expected 503, came 480",
    ]


def test_a_call_that_no_route_takes_has_status_404(verdict):
    assert not verdict('{name: a, call: {to: "7"}, expect: {status: 404}}').misfits
    (misfit,) = verdict('{name: a, call: {to: "7"}, expect: {route: day}}').misfits
    assert str(misfit) == "route: expected day, came no route (404)"


def test_failures_lead_into_the_fallback(verdict):
    found = verdict(
        '{name: a, call: {to: "100", headers: {X-A: b}}, outcomes: {agent: failed}, expect: {status: 503, steps: '
        "['...', 'say: sor*', hang_up]}}"
    )
    assert not found.misfits


def test_keys_that_nobody_asks_for_are_a_misfit(verdict):
    (misfit,) = verdict(
        '{name: a, call: {to: "100", headers: {X-A: b}}, keys: 1, expect: {route: day}}'
    ).misfits
    assert str(misfit) == "steps: expected a step that asks for 1, came agent: desk"


def test_an_outcome_that_cannot_be_is_a_misfit(verdict):
    case = '{name: a, call: {to: "100", headers: {X-A: b}}, outcomes: {agent: lost}, expect: {route: day}}'
    (misfit,) = verdict(case).misfits
    assert "agent has no lost, it has or_else" in str(misfit)


@pytest.mark.parametrize(
    ("patterns", "fits"),
    [
        (["say", "hang_up"], True),
        (["say: we are*", "hang_up"], True),
        (["say"], False),
        (["say", "..."], True),
        (["...", "hang_up: 480*"], True),
        (["..."], True),
        (["...", "say", "...", "hang_up", "..."], True),
        (["...", "say"], False),
        (["hang_up", "..."], False),
        (["say: we were*", "..."], False),
        ([], False),
    ],
)
def test_steps_are_compared_as_a_pattern(patterns, fits):
    steps = (SayStep("We are closed.", "en", "p"), HangUpStep(480, ""))
    assert cases.same_steps(patterns, steps) is fits


def test_a_time_without_a_zone_is_that_of_the_opening_hours(plan):
    assert cases.instant(plan, "2026-11-23T10:00").isoformat() == "2026-11-23T10:00:00+01:00"
    assert cases.instant(plan, "2026-11-23T10:00-05:00").isoformat() == "2026-11-23T10:00:00-05:00"
    assert cases.instant(plan, None).tzinfo is not None


def test_mistakes_name_their_line(wrong):
    assert wrong(f"{HEAD}- {{name: a, call: {{to: '1'}}, expect: {{route: dya, agent: dsk}}}}") == [
        "4: tests[0].expect.route: no route is called dya",
        "4: tests[0].expect.agent: no agent is called dsk",
    ]


def test_a_test_must_not_depend_on_the_day_on_which_it_is_run(wrong):
    text = "version: 1\ntests:\n- {name: a, call: {to: '1'}, expect: {route: day}}"
    assert wrong(text) == ["3: tests[0].call: what happens depends on the time"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{name: a, call: {to: '1'}, expect: {}}", "nothing is expected"),
        ("{name: a, call: {to: '1'}, expect: {rout: day}}", "unknown key"),
        ("{name: a, call: {to: '1', at: noon}, expect: {route: day}}", "noon is no time"),
        ("{name: a, call: {to: '1'}, expect: {steps: [Say hello]}}", "a step is"),
        ("{name: a, expect: {route: day}}", "this key is needed"),
        ("{name: a, call: {to: '1'}, outcomes: {agent: []}, expect: {route: day}}", "at least 1"),
    ],
)
def test_a_test_file_is_checked_like_a_dialplan(wrong, text, said):
    assert said in wrong(f"{HEAD}- {text}")[0]


def test_names_of_tests_are_unique(wrong):
    case = "- {name: a, call: {to: '1'}, expect: {route: day}}\n"
    assert wrong(HEAD + case + case) == ["5: tests[1].name: the name a is used twice"]


def test_tests_lie_beside_the_plan_and_are_no_part_of_it(tmp_path):
    (tmp_path / "p.yaml").write_text(PLAN)
    test = tmp_path / "p.test.yaml"
    test.write_text(f"{HEAD}- {{name: a, call: {{to: '1'}}, expect: {{route: day}}}}")
    assert load.load(tmp_path) == load.load(tmp_path / "p.yaml")
    assert cases.files(tmp_path) == cases.files(tmp_path / "p.yaml") == cases.files(test) == [test]
    assert cases.plan_of(test) == tmp_path / "p.yaml"
    assert cases.plan_of(tmp_path) == tmp_path
    assert cases.plan_of(tmp_path / "other.test.yaml") == tmp_path
    assert cases.files(tmp_path / "q.yaml") == []


@pytest.mark.parametrize(
    "folder", sorted((ROOT / "dialplans/examples").iterdir()), ids=lambda path: path.name
)
def test_every_shipped_example_does_what_its_tests_say(folder):
    plan = load.load(folder)
    files = cases.files(folder)
    assert files
    verdicts = [one for file in files for one in cases.judge(cases.read(file, plan), plan)]
    assert [one for one in verdicts if one.misfits] == []
    assert {one.route for one in verdicts} == {route.name for route in plan.routes}


@pytest.mark.parametrize(
    "folder", sorted((ROOT / "dialplans/examples").iterdir()), ids=lambda path: path.name
)
def test_every_shipped_example_reaches_the_workers_as_it_is(folder):
    """A default of 4 where a float belongs once had another hash there than here: the workers refused the plan."""
    plan = load.load(folder)
    assert Plan.from_json(plan.to_json()) == plan
