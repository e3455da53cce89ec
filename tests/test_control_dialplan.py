"""Which plan is in force, over reloads, rollbacks and restarts. Real files, no worker, a voice that says nothing."""

import asyncio
import threading
import time
from collections import Counter
from dataclasses import replace

import pytest
import structlog

from bridge.config import PathsConfig
from bridge.control_dialplan import START, Parts, PlanDesk
from bridge.control_pages import Facts
from bridge.control_plan import PlanFiles
from bridge.control_prompts import MARGIN_S, Prompts
from bridge.control_toolbox import ToolSource
from bridge.control_versions import Cause, PlanVersions
from bridge.errors import MediaError
from bridge.settings import load

PLAN = "version: 1\nroutes:\n  - name: {name}\n    do:\n      - say: Hello {name}\n      - hang_up: {{}}\n"
TOOL = """
from bridge.toolbox.spec import tool
@tool("Say hours.", risk="read")
def hours() -> str:
    return "9"
"""
POLICY = "version: 1\ndefault_ask: {group: boss}\nrules: [{name: reads, risk: [read], allow: true}]\n"
HUP, WATCH, CLI = Cause("SIGHUP"), Cause("file watch"), Cause("CLI", "ann")


class Office:
    """One state folder; `desk()` is control started (again)."""

    def __init__(self, folder):
        self.folder = folder
        self.plans = folder / "plans"
        self.plans.mkdir()
        self.pushed, self.reported, self.voice = [], {}, lambda _prompt: b"\0\0"
        (folder / "bridge.yaml").write_text("dialplans: plans\ntools: tools\nstate_dir: state\n")
        self.settings = load(folder / "bridge.yaml", {})
        self.write("first")

    def write(self, name, file="plan.yaml"):
        (self.plans / file).write_text(PLAN.format(name=name))

    def speak(self, prompt):
        return self.voice(prompt)

    async def desk(self, *, watched=False, keep=50):
        state = self.folder / "state"
        paths = PathsConfig(str(state), "", "", str(state / "prompts"))
        self.facts = Facts(time.time())
        self.tools = ToolSource(self.settings, {})
        self.tools.load()
        parts = Parts(
            facts=self.facts,
            files=PlanFiles(self.plans, ("local",), paths, self.speak),
            versions=PlanVersions(state, keep),
            tools=self.tools,
            prompts=Prompts(state / "prompts", 60),
            push=lambda text, version: self.pushed.append(version),
            reported=lambda: self.reported,
        )
        desk = PlanDesk(parts, watched=watched)
        await desk.start()
        self.versions = parts.versions
        return desk


@pytest.fixture
def office(tmp_path):
    return Office(tmp_path)


def name_of(desk):
    return desk.plan.routes[0].name if desk.plan else None


async def test_a_reload_puts_the_files_in_force_and_says_by_whom(office):
    desk = await office.desk()
    assert (name_of(desk), desk.now.cause) == ("first", START)
    office.write("second")
    outcome = await desk.reload(CLI)
    assert (outcome.ok, outcome.changed, outcome.version) == (True, True, desk.version)
    assert (name_of(desk), desk.now.cause, office.pushed[-1]) == ("second", CLI, desk.version)
    assert not (await desk.reload(HUP)).changed


async def test_a_mistake_leaves_everything_and_is_told_everywhere_until_a_reload_succeeds(office):
    desk = await office.desk()
    pushed = len(office.pushed)
    (office.plans / "plan.yaml").write_text("version: 1\nnonsense: 1\nroutes: [{name: x, do: [{rang: 1}]}]\n")
    with structlog.testing.capture_logs() as logs:
        outcome = await desk.reload(CLI)
    assert (outcome.ok, outcome.version, name_of(desk)) == (False, desk.version, "first")
    assert {(one.line, one.key) for one in outcome.problems} == {(2, "nonsense"), (3, "routes[0].do[0].rang")}
    assert Counter(entry["event"] for entry in logs) == {"dialplan.refused": 2}
    assert (len(office.pushed), office.facts.plans_refused) == (pushed, 1)
    (note,) = desk.more().notes
    assert "reload (CLI) was refused: 2 mistakes" in note
    assert "ann" not in note
    assert "nonsense" not in note
    office.write("second")
    await desk.reload(HUP)
    assert (desk.refusal, desk.more().notes) == (None, ())


async def test_a_broken_tool_or_policy_keeps_the_new_dialplan_out_too(office):
    desk = await office.desk()
    tools = office.folder / "tools"
    tools.mkdir()
    office.write("second")
    (tools / "a.py").write_text("x = (\n")
    (tools / "policy.yaml").write_text("version: 1\nrules: [{name: x}]\n")
    outcome = await desk.reload(HUP)
    assert name_of(desk) == "first"
    assert {one.file.rpartition("/")[2] for one in outcome.problems} == {"a.py", "policy.yaml"}
    (tools / "a.py").write_text(TOOL)
    (tools / "policy.yaml").write_text(POLICY)
    (office.plans / "plan.yaml").write_text("nonsense: 1\n")
    await desk.reload(HUP)
    assert (set(office.tools.tools), office.tools.policy) == (set(), None)
    office.write("third")
    assert (await desk.reload(HUP)).ok
    assert (name_of(desk), set(office.tools.tools)) == ("third", {"hours"})


async def test_tools_that_have_not_changed_stay_the_very_same(office):
    (office.folder / "tools").mkdir()
    (office.folder / "tools" / "a.py").write_text(TOOL)
    desk = await office.desk()
    before = office.tools.tools["hours"]
    await desk.reload(HUP)
    assert office.tools.tools["hours"] is before


async def test_a_voice_that_fails_keeps_the_plan_out(office):
    desk = await office.desk()
    office.write("second")

    def broken(_prompt):
        raise MediaError("no voice")

    office.voice = broken
    outcome = await desk.reload(HUP)
    assert (name_of(desk), [one.message for one in outcome.problems]) == ("first", ["no voice"])


async def test_a_rollback_puts_a_kept_plan_in_force_until_the_next_reload(office):
    desk = await office.desk()
    first = desk.version
    office.write("second")
    await desk.reload(HUP)
    outcome = await desk.rollback(first[:6], CLI)
    assert (outcome.ok, outcome.version, name_of(desk), office.pushed[-1]) == (True, first, "first", first)
    assert "until the next successful reload" in outcome.note
    assert f"rolled back to {first} (CLI)" in desk.more().notes[0]
    assert [(one["how"], one["action"]) for one in office.versions.kept()[0].times] == [
        ("start", "load"),
        ("CLI", "rollback"),
    ]
    outcome = await desk.reload(HUP)
    assert (name_of(desk), desk.now.rolled_back) == ("second", False)
    assert "the rollback is over" in outcome.note


async def test_a_reload_that_is_refused_does_not_end_a_rollback(office):
    desk = await office.desk()
    first = desk.version
    office.write("second")
    await desk.reload(HUP)
    await desk.rollback(first, CLI)
    (office.plans / "plan.yaml").write_text("nonsense: 1\n")
    assert not (await desk.reload(HUP)).ok
    assert (name_of(desk), desk.now.rolled_back) == ("first", True)


async def test_a_rollback_to_what_was_never_in_force_is_refused(office):
    desk = await office.desk()
    outcome = await desk.rollback("abcdef", CLI)
    assert (outcome.ok, desk.now.rolled_back) == (False, False)
    assert "no kept plans begin with 'abcdef'" in outcome.problems[0].message


@pytest.mark.parametrize("watched", [False, True])
async def test_a_rollback_survives_a_restart(office, watched):
    desk = await office.desk(watched=watched)
    first = desk.version
    office.write("second")
    await desk.reload(HUP)
    await desk.rollback(first, CLI)
    again = await office.desk(watched=watched)
    assert (again.version, again.now) == (first, desk.now)
    (office.plans / "plan.yaml").write_text("nonsense: 1\n")
    assert (await office.desk(watched=watched)).version == first


@pytest.mark.parametrize(("watched", "then"), [(False, "first"), (True, "third")])
async def test_a_file_changed_while_control_was_away_ends_a_rollback_if_files_are_watched(
    office, watched, then
):
    desk = await office.desk(watched=watched)
    first = desk.version
    office.write("second")
    await desk.reload(HUP)
    await desk.rollback(first, CLI)
    office.write("third")
    again = await office.desk(watched=watched)
    assert (name_of(again), again.now.rolled_back) == (then, not watched)


async def test_watching_reloads_what_changed_and_nothing_else(office):
    desk = await office.desk(watched=True)
    assert await desk.changed(WATCH) is None
    office.write("second")
    assert (await desk.changed(WATCH)).version == desk.version
    office.write("second")
    assert await desk.changed(WATCH) is None
    (office.plans / "plan.yaml").write_text("nonsense: 1\n")
    assert not (await desk.changed(WATCH)).ok
    assert await desk.changed(WATCH) is None  # one refusal for one mistake


async def test_watching_does_not_undo_a_rollback_because_of_a_file_that_is_as_it_was(office):
    desk = await office.desk(watched=True)
    first = desk.version
    office.write("second")
    await desk.changed(WATCH)
    await desk.rollback(first, CLI)
    office.write("second")
    assert await desk.changed(WATCH) is None
    (office.plans / "plan.yaml").write_text("nonsense: 1\n")
    await desk.changed(WATCH)
    office.write("second")  # the change is taken back
    assert await desk.changed(WATCH) is None
    assert (desk.version, desk.refusal) == (first, None)
    office.write("third")
    await desk.changed(WATCH)
    assert (name_of(desk), desk.now.rolled_back) == ("third", False)


async def test_a_restart_is_not_what_had_a_plan_come_into_force(office):
    desk = await office.desk()
    office.write("second")
    await desk.reload(CLI)
    again = await office.desk()
    assert (again.version, again.now.cause, again.now.at) == (desk.version, CLI, desk.now.at)
    assert len(office.versions.kept()[0].times) == 1


async def test_with_broken_files_a_restart_has_the_last_good_plan_and_says_so(office):
    desk = await office.desk()
    (office.plans / "plan.yaml").write_text("nonsense: 1\n")
    again = await office.desk()
    assert (again.version, again.now.at) == (desk.version, desk.now.at)
    assert "was refused" in again.more().notes[0]
    assert office.facts.plans_refused == 0


async def test_without_any_plan_there_is_none(office):
    (office.plans / "plan.yaml").write_text("nonsense: 1\n")
    desk = await office.desk()
    assert (desk.plan, desk.version, desk.lagging()) == (None, "", {})


async def test_workers_that_lag_are_told(office):
    desk = await office.desk()
    office.reported = {0: desk.version, 1: "other", 2: ""}
    assert desk.lagging() == {1: "other", 2: ""}
    assert desk.more().notes == ("worker 1 has plan other in force", "worker 2 has plan none in force")
    values = {metric.name: metric.samples for metric in desk.more().metrics}
    assert values["sipbridge_plan_info"] == (({"version": desk.version}, 1.0),)
    assert values["sipbridge_plan_workers_lagging"] == (({}, 2.0),)


async def test_plans_beyond_the_bound_go_and_their_prompts_when_no_call_can_need_them(office, monkeypatch):
    desk = await office.desk(keep=2)
    for number in range(4):
        office.write(f"n{number}")
        await desk.reload(HUP)
    assert office.versions.kept()[0].version == desk.version
    assert len(office.versions.kept()) == 2
    prompts = office.folder / "state" / "prompts"
    assert len(list(prompts.glob("*.wav"))) == 5
    late = time.monotonic() + 60 + MARGIN_S + 1
    monkeypatch.setattr(time, "monotonic", lambda: late)
    office.reported = {0: "0" * 12}  # a worker with a plan we have not: nobody knows what it needs
    await desk.reload(HUP)
    assert len(list(prompts.glob("*.wav"))) == 5
    office.reported = {0: desk.version}
    await desk.reload(HUP)
    assert len(list(prompts.glob("*.wav"))) == 2


async def test_a_full_disk_leaves_what_is_in_force(office):
    desk = await office.desk()
    first = desk.version
    plans = office.folder / "state" / "plans"
    for path in plans.iterdir():
        path.unlink()
    plans.rmdir()
    plans.write_text("in the way")
    office.write("second")
    outcome = await desk.reload(HUP)
    assert (outcome.ok, desk.version) == (False, first)
    assert outcome.problems[0].file == "state_dir"


class SlowVersions(PlanVersions):
    """Writes, and is then long in coming back."""

    def put(self, *words):
        super().put(*words)
        self.wrote.set()
        self.go_on.wait(10)


@pytest.mark.parametrize("rollback", [False, True])
async def test_who_asks_and_goes_away_leaves_no_plan_half_in_force(office, rollback):
    desk = await office.desk()
    first = desk.version
    office.write("second")
    if rollback:
        await desk.reload(HUP)
    slow = SlowVersions(office.folder / "state", 50)
    slow.wrote, slow.go_on = threading.Event(), threading.Event()
    desk._parts = replace(desk._parts, versions=slow)
    asking = asyncio.create_task(desk.rollback(first, CLI) if rollback else desk.reload(CLI))
    await asyncio.to_thread(slow.wrote.wait, 10)
    asking.cancel()
    await asyncio.sleep(0)
    slow.go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert name_of(desk) == ("first" if rollback else "second")
    assert (slow.in_force().version, office.pushed[-1]) == (desk.version, desk.version)
    assert desk.now.rolled_back is rollback
