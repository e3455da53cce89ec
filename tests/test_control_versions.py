import json
import stat
import wave

import pytest

from bridge.control_sources import Sources
from bridge.control_versions import MAX_TIMES, Cause, InForce, PlanVersions
from bridge.dialplan.plan import HangUpStep, Plan, PlayStep, Route, SayStep
from bridge.errors import BridgeError, LinkError

SOURCES = Sources("f", {"a.yaml": "version: 1 # ä\n"})
ANN = Cause("CLI", "ann")


def plan(number, *steps):
    return Plan((Route(f"r{number}", (), steps or (HangUpStep(480, "closed"),), "a.yaml", 7),), ())


def put(versions, one, at, action="load"):
    versions.put(one, SOURCES, InForce(one.version, at, ANN, rolled_back=action == "rollback"), action)


@pytest.fixture
def versions(tmp_path):
    return PlanVersions(tmp_path, 3)


def test_a_plan_comes_back_as_it_was_with_its_files_and_by_whom(versions, tmp_path):
    put(versions, plan(1), 10.5)
    whole = versions.read(plan(1).version)
    assert (whole["files"], whole["routes"]) == ({"a.yaml": "version: 1 # ä\n"}, 1)
    assert whole["times"] == [{"at": 10.5, "how": "CLI", "by": "ann", "action": "load"}]
    assert versions.plan(plan(1).version, tmp_path) == plan(1)
    assert json.loads((tmp_path / "plans" / f"{plan(1).version}.json").read_text()) == whole


def test_what_is_kept_is_known_to_the_next_control_too(versions, tmp_path):
    put(versions, plan(1), 1)
    put(versions, plan(2), 2)
    put(versions, plan(1), 3, "rollback")
    after = PlanVersions(tmp_path, 3)
    assert [(head.version, head.at, len(head.times)) for head in after.kept()] == [
        (plan(1).version, 3, 2),
        (plan(2).version, 2, 1),
    ]
    assert after.kept() == versions.kept()
    now = after.in_force()
    assert (now.version, now.at, now.cause, now.rolled_back) == (plan(1).version, 3, ANN, True)


def test_the_oldest_go_first_and_never_the_one_in_force(versions):
    for number in range(6):
        put(versions, plan(number), number)
    assert versions.prune(plan(0).version) == [plan(3).version, plan(2).version, plan(1).version]
    assert {head.version for head in versions.kept()} == {plan(number).version for number in (0, 4, 5)}
    with pytest.raises(BridgeError, match="cannot be read"):
        versions.read(plan(1).version)


def test_a_version_that_comes_and_goes_is_one_file_with_a_bounded_history(versions):
    for at in range(2 * MAX_TIMES):
        put(versions, plan(at % 2), at)
    assert [len(head.times) for head in versions.kept()] == [MAX_TIMES, MAX_TIMES]


def test_a_beginning_names_a_version_unless_it_names_two(versions):
    put(versions, plan(1), 1)
    put(versions, plan(2), 2)
    assert versions.find(plan(1).version[:6]) == plan(1).version
    for prefix in ("", "x", "../../etc"):
        with pytest.raises(BridgeError, match="no kept plans begin"):
            versions.find(prefix)
    with pytest.raises(BridgeError, match="is no version"):
        versions.read("../../../x")


def test_the_prompts_of_every_kept_plan_are_known(versions):
    put(versions, plan(1, SayStep("hello", "en", "a" * 16)), 1)
    put(versions, plan(2, PlayStep("/x.wav", "b" * 16)), 2)
    assert versions.prompts() == {"a" * 16, "b" * 16}


def test_a_broken_file_is_passed_over(versions, tmp_path):
    put(versions, plan(1), 1)
    for name, text in (("a" * 12, "{"), ("b" * 12, "{}"), ("c" * 12, '{"times": []}'), ("notes", "x")):
        (tmp_path / "plans" / f"{name}.json").write_text(text)
    assert [head.version for head in PlanVersions(tmp_path, 3).kept()] == [plan(1).version]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"version": "x", "at": 1, "cause": {"who": 1}}'])
def test_a_broken_note_of_what_is_in_force_is_none(versions, tmp_path, text):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "in-force.json").write_text(text)
    assert versions.in_force() is None


def test_a_sound_that_has_changed_since_is_played_as_it_was(versions, tmp_path):
    sounds = tmp_path / "prompts"
    sounds.mkdir()
    gone = plan(1, PlayStep(str(tmp_path / "gone.wav"), "b" * 16))
    put(versions, gone, 1)
    with pytest.raises(LinkError, match=r"the sound .*gone.wav is gone"):
        versions.plan(gone.version, sounds)
    with wave.open(str(sounds / ("b" * 16 + ".wav")), "wb") as made:
        made.setparams((1, 2, 8000, 0, "NONE", ""))
    back = versions.plan(gone.version, sounds)
    assert back.version == gone.version
    assert back.routes[0].steps[0].path == str(sounds / ("b" * 16 + ".wav"))


def test_what_is_kept_is_for_our_account_only_and_of_older_records_only_plans_are_shown(versions, tmp_path):
    put(versions, plan(1), 1)
    file = tmp_path / "plans" / f"{plan(1).version}.json"
    assert [stat.S_IMODE(one.stat().st_mode) for one in (file.parent, file)] == [0o700, 0o600]
    whole = json.loads(file.read_text())
    file.write_text(json.dumps({**whole, "files": {**whole["files"], "customers.csv": "+4930,Ann"}}))
    assert versions.read(plan(1).version)["files"] == {"a.yaml": "version: 1 # ä\n"}
