"""What an environment's overlay changes, and where its values are said to come from."""

import pytest

from bridge.dialplan import load as loading
from bridge.dialplan.plan import CallFacts
from bridge.errors import DialplanError

BASE = """\
version: 1
vars: {company: Acme}
agents:
  desk: &desk
    instructions: Be kind.
    greeting: Welcome to ${company}.
    voice: marin
    transcription: {model: m, keywords: [a, b]}
  other: *desk
lists: {vip: ["1", "2"]}
routes:
- {name: first, when: {from: "@vip"}, do: [{agent: desk}]}
- {name: last, do: [{agent: other}]}
"""


@pytest.fixture
def plan_of(tmp_path):
    def build(overlay, environment="production"):
        (tmp_path / "p.yaml").write_text(BASE)
        (tmp_path / "overlays").mkdir(exist_ok=True)
        (tmp_path / "overlays" / "production.yaml").write_text(overlay)
        return loading.load(tmp_path, environment=environment)

    return build


def test_maps_merge_and_lists_replace(plan_of):
    plan = plan_of(
        "version: 1\nagents: {desk: {voice: cedar, transcription: {keywords: [c]}}}\nlists: {vip: ['3']}\n"
    )
    desk = plan.agent("desk")
    assert (desk.voice, desk.instructions) == ("cedar", "Be kind.")
    assert desk.transcription == {"model": "m", "keywords": ["c"]}
    assert plan.book.lists == {"vip": ("3",)}


def test_a_value_that_is_anchored_elsewhere_stays_there(plan_of):
    assert plan_of("version: 1\nagents: {desk: {voice: cedar}}\n").agent("other").voice == "marin"


def test_constants_of_the_overlay_count_everywhere(plan_of):
    assert plan_of("version: 1\nvars: {company: Bolt}\n").agent("other").greeting == "Welcome to Bolt."


def test_a_route_is_replaced_in_its_place(plan_of, tmp_path):
    plan = plan_of("version: 1\n\nroutes:\n- {name: first, when: {to: '7'}, do: [{hang_up: {}}]}\n")
    assert [route.name for route in plan.routes] == ["first", "last"]
    assert plan.route(CallFacts("7")).name == "first"
    first, last = plan.routes
    assert (first.file, first.line) == (str(tmp_path / "overlays" / "production.yaml"), 4)
    assert (last.file, last.line) == (str(tmp_path / "p.yaml"), 13)


def test_new_names_are_added(plan_of):
    plan = plan_of("version: 1\nagents: {new: {instructions: x}}\nlanguage: de\n")
    assert (plan.agent("new").language, plan.agent("desk").language) == ("de", "de")


def test_without_an_environment_the_plan_is_as_it_is(plan_of):
    assert plan_of("version: 1\nagents: {desk: {voice: cedar}}\n", None).agent("desk").voice == "marin"


def test_without_overlays_every_environment_is_the_same(tmp_path):
    (tmp_path / "p.yaml").write_text(BASE)
    assert loading.load(tmp_path, environment="production").agent("desk").voice == "marin"


def test_a_mistake_in_the_plan_that_the_overlay_replaces_is_none(plan_of, tmp_path):
    with pytest.raises(DialplanError) as caught:
        plan_of("version: 1\nagents: {desk: {speed: 9}, other: {voise: x}}\n")
    overlay = tmp_path / "overlays" / "production.yaml"
    assert [str(one).partition(" (")[0] for one in caught.value.problems] == [
        f"{overlay}:2:24: agents.desk.speed: must be at most 1.5",
        f"{overlay}:2:36: agents.other.voise: unknown key",
    ]
