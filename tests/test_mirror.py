"""tests/X/test_Y.py stands for bridge/X/Y.py: who changes a module knows where its behaviour is written down."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ELSEWHERE = {
    "bridge/__init__.py": "the version, nothing else",
    "bridge/__main__.py": "every process of the system tests begins there",
    "bridge/approval/request.py": "values without behaviour",
    "bridge/approval/actions.py": "values without behaviour",
    "bridge/approval/policy_schema.py": "refusals have file and line only through load: tests/approval/test_policy.py",
    "bridge/cli/serve.py": "two lines over bridge/serve.py; tests/test_serve.py and the system tests",
    "bridge/dialplan/check.py": "its findings have file and line only through load: tests/dialplan/test_load.py",
    "bridge/cli/planread.py": "every dialplan command goes through it: tests/cli/test_plan*.py",
    "bridge/dialplan/schema_cases.py": "its refusals have a place only through read: tests/dialplan/test_cases.py",
    "bridge/dialplan/check_steps.py": "as check.py: tests/dialplan/test_load.py",
    "bridge/dialplan/check_trunks.py": "as check.py: tests/dialplan/test_schema_trunks.py",
    "bridge/dialplan/compile_trunks.py": "what it makes is seen through load: tests/dialplan/test_schema_trunks.py",
    "bridge/sip/accounts.py": "pj objects: tests/sip/test_agent_trunks.py and test_agent_kamailio.py",
    "bridge/dialplan/check_agent.py": "as check.py: tests/dialplan/test_load.py and test_prompts.py",
    "bridge/dialplan/compile_recording.py": "what it makes is seen through load: tests/dialplan/test_recording.py",
    "bridge/dialplan/schema_recording.py": "as schema.py: tests/dialplan/test_recording.py",
    "bridge/dialplan/check_when.py": "as check.py: tests/dialplan/test_bad.py",
    "bridge/dialplan/check_book.py": "as check.py: tests/dialplan/test_bad.py",
    "bridge/dialplan/compile_book.py": "what it makes is seen through load: tests/dialplan/test_book.py",
    "bridge/dialplan/reading.py": "as load.py: tests/dialplan/test_load.py, test_bad.py and test_files.py",
    "bridge/dialplan/schema_book.py": "as schema.py: tests/dialplan/test_bad.py",
    "bridge/dialplan/source.py": "as check.py: tests/dialplan/test_load.py",
    "bridge/dialplan/compile_agent.py": "what it makes is seen through load: tests/dialplan/test_load.py",
    "bridge/dialplan/compile_steps.py": "what it makes is seen through load: tests/dialplan/test_load.py",
    "bridge/dialplan/compile_when.py": "what it makes is seen through load: tests/dialplan/test_load.py",
    "bridge/dialplan/agent.py": "plain values: tests/dialplan/test_plan.py",
    "bridge/dialplan/facts.py": "conditions are tried with plans: tests/dialplan/test_plan.py",
    "bridge/call/listening.py": "whole calls in memory: tests/scenarios/test_steps_in_memory.py",
    "bridge/call/recorded.py": "whole calls in memory: tests/scenarios/test_limits_in_memory.py",
    "bridge/call/takeover.py": "whole calls in memory: tests/scenarios/test_steps_in_memory.py",
    "bridge/call/phrases.py": "heard in whole calls: tests/scenarios/test_steps_trouble.py",
    "bridge/call/asking.py": "whole calls in memory: tests/scenarios/test_steps_in_memory.py",
    "bridge/call/call.py": "whole calls in memory: tests/scenarios/test_call_in_memory.py",
    "bridge/call/seat.py": "the parts of talk.py: tests/scenarios/test_hand_off_in_memory.py",
    "bridge/console/callchannels.py": "what pages are told: tests/console/test_calls.py",
    "bridge/console/callwatch.py": "as callchannels.py",
    "bridge/console/livecalls.py": "as callchannels.py",
    "bridge/console/figures.py": "tests/console/test_decided.py, tests/test_control_api_statistics.py",
    "bridge/console/roster.py": "by its users: tests/console/test_people.py, tests/test_control_api_users.py",
    "bridge/control_hands.py": "all that may be ordered, by who asks: tests/test_control_api_calls.py",
    "bridge/call/callerside.py": "whole calls in memory: tests/scenarios/test_steps_in_memory.py",
    "bridge/call/connecting.py": "whole calls in memory: tests/scenarios/test_steps_in_memory.py",
    "bridge/call/parking.py": "whole calls in memory: tests/scenarios/test_waiting_in_memory.py",
    "bridge/call/queueing.py": "whole calls in memory: tests/scenarios/test_waiting_in_memory.py",
    "bridge/call/waittimes.py": "plain values",
    "bridge/call/supervising.py": "whole calls in memory: tests/scenarios/test_waiting_in_memory.py",
    "bridge/seat/browser.py": "a browser's side by aiortc, in a seat's own process: tests/seat/test_process.py",
    "bridge/call/context.py": "whole calls in memory: tests/scenarios/test_steps_in_memory.py",
    "bridge/call/party.py": "whole calls in memory: tests/scenarios/test_steps_in_memory.py",
    "bridge/call/secondleg.py": "whole calls in memory: tests/scenarios/test_steps_in_memory.py",
    "bridge/call/steps.py": "whole calls in memory: tests/scenarios/test_steps_in_memory.py",
    "bridge/call/steptool.py": "whole calls in memory: tests/scenarios/test_steps_in_memory.py",
    "bridge/dialplan/queue.py": "plain values: tests/dialplan/test_plan.py",
    "bridge/dialplan/around.py": "plain values: tests/test_control_plan.py",
    "bridge/dialplan/check_actions.py": "as check.py: tests/dialplan/test_bad.py",
    "bridge/dialplan/schema_targets.py": "as schema.py: tests/dialplan/test_load.py",
    "bridge/dialplan/schema_queues.py": "as schema.py: tests/dialplan/test_load.py",
    "bridge/dialplan/schema_agent.py": "as schema.py: tests/dialplan/test_load.py",
    "bridge/dialplan/schema_steps.py": "as schema.py: tests/dialplan/test_load.py",
    "bridge/dialplan/schema_when.py": "as schema.py: tests/dialplan/test_load.py",
    "bridge/dialplan/schema_outbound.py": "as schema.py: tests/dialplan/test_load_outbound.py",
    "bridge/dialplan/check_outbound.py": "as check.py: tests/dialplan/test_load_outbound.py",
    "bridge/dialplan/compile_outbound.py": "what it makes is seen through load: tests/dialplan/test_load_outbound.py",
    "bridge/dialplan/schema_base.py": "its types are checked through the files: tests/dialplan/test_load.py",
    "bridge/dialplan/schema_hours.py": "its refusals have a place only through load: tests/dialplan/test_hours.py",
    "bridge/dialplan/schema.py": "what it refuses has file and line only through load: tests/dialplan/test_load.py",
    "bridge/sim/actions.py": "values without behaviour",
    "bridge/store/callrows.py": "what they do is seen through tests/store/test_store.py",
    "bridge/store/gaterows.py": "what they give is seen through tests/store/test_gatestore.py",
    "bridge/console/healthfacts.py": "plain values: tests/console/test_healthview.py",
    "bridge/console/plans.py": "values and a protocol: tests/console/test_dialplan.py",
    "bridge/control_planwindow.py": "over a real desk: tests/console/test_dialplan.py",
    "bridge/control_desk.py": "what workers ask for, through a running control: tests/test_control.py",
    "bridge/control_console.py": "puts together what the console's pages ask: the system tests of the console",
    "bridge/control_api_call_docs.py": "shapes that tests/test_control_apis.py holds answers against",
    "bridge/store/columns.py": "seen through tests/store/test_store.py",
    "bridge/store/tables_webhooks.py": "declarations; tests/store/test_webhookstore.py writes and reads them",
    "bridge/store/migrations/versions/rev_0013_webhooks.py": "run by tests/store/test_store.py",
    "bridge/control_errands.py": "between two controls: tests/test_control_node.py",
    "bridge/control_main.py": "run as a process by tests/test_control.py",
    "bridge/store/tables_users.py": "declarations, as tables.py",
    "bridge/store/tables.py": "declarations; tests/store/test_store.py writes and reads every one",
    "bridge/store/tables_history.py": "declarations; tests/store/test_store.py writes and reads every one",
    "bridge/store/migrations/env.py": "alembic's own entry; tests/store/test_store.py runs it",
    "bridge/store/migrations/versions/rev_0001_calls.py": "run by tests/store/test_store.py",
    "bridge/store/migrations/versions/rev_0002_gate.py": "run by tests/store/test_store.py",
    "bridge/store/migrations/versions/rev_0003_audit_users.py": "run by tests/store/test_store.py",
    "bridge/store/migrations/versions/rev_0006_outbound.py": "run by tests/store/test_store.py",
    "bridge/store/migrations/versions/rev_0009_nodes.py": "run by tests/store/test_store.py",
    "bridge/store/migrations/versions/rev_0010_console.py": "run by tests/store/test_store.py",
    "bridge/store/migrations/versions/rev_0014_identity.py": "run by tests/store/test_store.py",
    "bridge/store/migrations/versions/rev_0015_node_health.py": "run by tests/store/test_store.py",
    "bridge/store/migrations/versions/rev_0011_history.py": "run by tests/store/test_store.py",
    "bridge/store/migrations/versions/rev_0008_bigger.py": "run by tests/store/test_store.py",
    "bridge/store/migrations/versions/rev_0007_holds.py": "run by tests/store/test_store.py",
    "bridge/store/migrations/versions/rev_0005_voicemail.py": "run by tests/store/test_store.py",
    "bridge/store/voicemailrows.py": "seen through the store: tests/store/test_voicemailstore.py",
    "bridge/settings_base.py": "its types are checked through the settings: tests/test_settings_model.py",
    "bridge/console/argnames.py": "seen on cards and by stepup: tests/console/test_card.py, test_stepup.py",
    "bridge/console/identity.py": "puts parts together: tests/console/test_signin.py, test_account.py, …",
    "bridge/console/again.py": "asks on pages: tests/console/test_account.py, test_approvals.py",
    "bridge/console/passkey.py": "a real authenticator: tests/console/test_identity_browser.py",
    "bridge/control_decisions.py": "its rules need gates and a store: tests/test_control_tools.py",
    "bridge/control_gates.py": "its rules need gates and a store: tests/test_control_tools.py",
    "bridge/control_runs.py": "its rules need gates and a store: tests/test_control_tools.py",
    "bridge/control_facts.py": "its rules need gates and a store: tests/test_control_tools.py",
    **{
        path.relative_to(ROOT).as_posix(): "plain words: tests/console/test_texts.py"
        for path in ROOT.glob("bridge/console/words/[!_]*.py")
    },
}
"""Modules without a test file of their own, and why."""
OWED: set[str] = set()
"""Modules whose tests are still to come; this set only shrinks."""


def modules():
    paths = (path.relative_to(ROOT).as_posix() for path in (ROOT / "bridge").rglob("*.py"))
    return sorted(path for path in paths if not path.endswith("/__init__.py") or path == "bridge/__init__.py")


def mirror_of(module):
    path = Path(module)
    return ROOT / "tests" / path.parent.relative_to("bridge") / f"test_{path.stem.strip('_')}.py"


@pytest.mark.parametrize("module", modules())
def test_every_module_has_its_test_file(module):
    if module in ELSEWHERE or module in OWED:
        return
    assert mirror_of(module).exists(), (
        f"write {mirror_of(module).relative_to(ROOT)} or say in ELSEWHERE why not"
    )


def test_the_lists_name_only_modules_that_need_them():
    listed = set(ELSEWHERE) | OWED
    assert not {module for module in listed if (ROOT / module).exists() and mirror_of(module).exists()}


def test_every_unit_test_file_has_its_module():
    here = {mirror_of(module) for module in modules()}
    folders = {path.parent for path in here}
    own = {ROOT / "tests" / name for name in ("test_layers.py", "test_mirror.py", "test_docstrings.py")}
    own.add(ROOT / "tests" / "sim" / "test_openai_client.py")  # the openai package against the local engine
    own.add(ROOT / "tests" / "test_actions.py")  # the pages of ops/actions
    own.add(ROOT / "tests" / "test_ladders.py")  # the table of tests/data/ladders
    own.add(ROOT / "tests" / "test_docs.py")  # README, CHANGELOG and ops/
    own.add(ROOT / "tests" / "dialplan" / "test_bad.py")  # the folder bad/, a mistake a file
    own.add(ROOT / "tests" / "toolbox" / "test_delivered.py")  # the tools/ folder
    own |= {
        ROOT / "tests" / name for name in ("test_systemd.py", "test_container.py", "test_kubernetes.py")
    }  # of ops/
    strays = {path for folder in folders for path in folder.glob("test_*.py")} - here - own
    more = {path for path in strays for known in here if path.stem.startswith(f"{known.stem}_")}
    assert not strays - more
