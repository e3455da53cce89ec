"""The `outbound` section: what it becomes, and what is told of one that is wrong."""

import pytest
import yaml

from bridge.dialplan.load import inspect, load, prompts
from bridge.dialplan.outbound import Retry
from bridge.dialplan.plan import Plan
from bridge.errors import DialplanError

GOOD = """
version: 1
hours:
  office: {timezone: Europe/Berlin, week: {mon: ["09:00-17:00"]}}
agents:
  caller: {instructions: Be kind., greeting: Hello}
outbound:
  allow: ["+49", "+43"]
  deny: ["+49180"]
  region: DE
  hours: office
  hours_of: callee
  do_not_call: dnc.txt
  target: sip:{number}@trunk.example:5070
  caller_id: "+493012345"
  on_machine: leave_message
  message: Please call back.
  retry: {busy: {after_s: 60, times: 2}}
  do:
    - agent: caller
      or_else: [{hang_up: {}}]
routes:
  - {name: all, do: [{hang_up: {}}]}
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "dnc.txt").write_text("+493011111111\n")
    return tmp_path


def written(folder, text=GOOD):
    (folder / "plan.yaml").write_text(text)
    return folder / "plan.yaml"


def test_the_section_becomes_frozen_rules_that_travel_as_json(folder):
    plan = load(written(folder))
    rules = plan.outbound
    assert (rules.allow, rules.deny, rules.region) == (("+49", "+43"), ("+49180",), "DE")
    assert rules.retries == (Retry("busy", 60, 2),)
    assert rules.kinds == ("fixed_line", "mobile", "voip", "toll_free")
    assert rules.do_not_call == str(folder / "dnc.txt")
    assert Plan.from_json(plan.to_json()) == plan
    assert [prompt.text for prompt in prompts(plan)] == ["Please call back."]


def test_an_agent_of_calls_we_place_is_in_use(folder):
    assert not [warning for warning in inspect(written(folder)).warnings if "uses this agent" in str(warning)]


def test_another_do_not_call_list_is_another_version(folder):
    before = load(written(folder)).version
    (folder / "dnc.txt").write_text("+493022222222\n")
    assert load(written(folder)).version != before


def test_without_the_section_a_plan_allows_nothing(folder):
    text = GOOD[: GOOD.index("outbound:")] + GOOD[GOOD.index("routes:") :]
    assert load(written(folder, text)).outbound is None


CHANGES = {
    "target not a template": ({"target": "sip:1@trunk"}, "target"),
    "target with a header": ({"target": "sip:{number}@trunk?Replaces=x"}, "target"),
    "target elsewhere": ({"target": "tel:{number}"}, "target"),
    "a caller id with letters": ({"caller_id": "office"}, "caller_id"),
    "a prefix without plus": ({"allow": ["49"]}, "allow"),
    "a prefix with a wildcard": ({"allow": ["+49*"]}, "allow"),
    "everything": ({"allow": ["+"]}, "allow"),
    "a premium prefix": ({"allow": ["+979"]}, "+979 is never dialled"),
    "a premium prefix made longer": ({"allow": ["+8816"]}, "+881 is never dialled"),
    "allowed and denied": ({"deny": ["+49"]}, "+49 is denied as well"),
    "hours nobody knows": ({"hours": "offic"}, "there are no opening hours offic (did you mean office?)"),
    "the callee's hours of none": ({"hours": None}, "whose hours?"),
    "a kind that may never be": ({"kinds": ["premium_rate"]}, "kinds"),
    "a message without its key": ({"message": None}, "which message?"),
    "a message nobody hears": ({"on_machine": "agent"}, "nobody would hear this message"),
    "a machine nobody looks for": ({"amd": False}, "machines are not looked for"),
    "an agent nobody knows": ({"do": [{"agent": "calle"}]}, "no agent is called calle"),
    "ringing after the answer": ({"do": [{"ring": {"ms": 5}}, {"hang_up": {}}]}, "answered already"),
    "nothing at the end": ({"do": [{"say": "x"}]}, "what happens then?"),
    "a file that is not there": ({"do_not_call": "no.txt"}, "cannot be read"),
    "an unknown key": ({"alow": ["+1"]}, "alow"),
    "ringing for ever": ({"ring_s": 1000}, "ring_s"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_mistake_is_told_with_its_line(folder, name):
    change, words = CHANGES[name]
    data = yaml.safe_load(GOOD)
    data["outbound"] = {key: value for key, value in (data["outbound"] | change).items() if value is not None}
    with pytest.raises(DialplanError) as caught:
        load(written(folder, yaml.safe_dump(data, sort_keys=False)))
    (problem,) = [one for one in caught.value.problems if words in str(one)]
    assert problem.line > 0


def test_a_broken_line_of_the_do_not_call_file_is_a_mistake_of_that_file(folder):
    (folder / "dnc.txt").write_text("+493011111111\nSmith\n")
    with pytest.raises(DialplanError) as caught:
        load(written(folder))
    (problem,) = caught.value.problems
    assert (problem.file, problem.line) == (str(folder / "dnc.txt"), 2)


def test_a_file_that_is_no_list_at_all_is_not_told_line_by_line(folder):
    (folder / "dnc.txt").write_text("x\n" * 1000)
    with pytest.raises(DialplanError) as caught:
        load(written(folder))
    assert len(caught.value.problems) == 21


def test_only_one_file_says_who_may_be_called(folder):
    written(folder)
    outbound = "version: 1\n" + GOOD[GOOD.index("outbound:") : GOOD.index("routes:")]
    (folder / "z.yaml").write_text(outbound)
    with pytest.raises(DialplanError, match="outbound is also in"):
        load(folder)
