"""Recording rules of routes and agents: what is written, what a plan holds, what is refused."""

import pytest

from bridge.dialplan import load as loading
from bridge.dialplan.plan import Plan
from bridge.dialplan.recording import RecordingRule
from bridge.errors import DialplanError

PLAN = """\
version: 1
language: de
agents:
  a: {instructions: x, recording: {announce: Wir nehmen auf., consent: ask, key: "5", on_refusal: hang_up}}
  b: {instructions: x, recording: false}
routes:
  - name: one
    when: {to: "1"}
    recording: %s
    do: [{agent: a}]
  - name: two
    do: [{agent: b}]
"""


def load(tmp_path, rule):
    path = tmp_path / "p.yaml"
    path.write_text(PLAN % rule)
    return loading.load(path)


def test_a_rule_is_part_of_the_plan_and_its_words_are_spoken(tmp_path):
    plan = load(tmp_path, "{announce: This call is recorded., language: en, wait_s: 4}")
    route, other = plan.routes[0].recording, plan.agents[0].recording_rule
    assert (route.consent, route.wait_s, route.language) == ("announce", 4, "en")
    assert (other.consent, other.key, other.on_refusal, other.language) == ("ask", "5", "hang_up", "de")
    assert [(one.prompt_id, one.text, one.language) for one in loading.prompts(plan)] == [
        (route.prompt_id, "This call is recorded.", "en"),
        (other.prompt_id, "Wir nehmen auf.", "de"),
    ]
    assert Plan.from_json(plan.to_json()) == plan
    assert (plan.agents[1].recording, plan.agents[1].recording_rule) == (False, None)


def test_a_route_may_forbid_recording(tmp_path):
    assert load(tmp_path, "{enabled: false}").routes[0].recording == RecordingRule(
        enabled=False, language="de"
    )


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("{consent: ask}", "announce is needed"),
        ("{consent: none, announce: x}", "has no announcement"),
        ("{announce: 'Hi {{ caller.name }}'}", "without variables"),
        ("{anounce: x}", "did you mean announce?"),
        ("{announce: x, consent: maybe}", "not allowed here"),
        ("{announce: x, key: yes}", "this is no key"),
        ("{announce: x, wait_s: 0}", "at least 2"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(tmp_path, rule, words):
    with pytest.raises(DialplanError) as caught:
        load(tmp_path, rule)
    assert words in str(caught.value)
    assert caught.value.problems[0].line == 9
