import asyncio
import json

import pytest
from typer.testing import CliRunner

from bridge.cli.retention import app
from bridge.store.keepstore import Hold, KeepStore
from bridge.store.store import Store
from tests.fakes.events import conversation


@pytest.fixture
def run(tmp_path):
    path = tmp_path / "bridge.yaml"
    path.write_text("state_dir: var\nretention: {calls_days: 30}\n")
    (tmp_path / "var").mkdir()

    async def fill():
        async with Store(f"sqlite:///{tmp_path}/var/sipbridge.db") as store:
            for call_id in ("old", "held"):
                await store.write(0, conversation(call_id=call_id, boot=call_id))
            await KeepStore(store).hold(Hold("held", "case 7", "ann", 1.0))

    asyncio.run(fill())

    def run(*words):
        return CliRunner().invoke(app, [*words, "--config", str(path)])

    return run


def test_a_plan_deletes_nothing_and_a_run_says_what_it_deleted(run):
    planned = run("plan")
    assert "would delete:\n" in planned.output
    assert "1  call records" in planned.output
    assert "1 calls are due, but held" in planned.output
    assert run("run", "--dry-run").output == planned.output
    done = json.loads(run("run", "--json").output)
    assert (done["deleted"], done["calls"], done["held"]) == (True, 1, 1)
    assert run("run").output.startswith("deleted: nothing")


def test_the_rules_and_the_held_calls_are_shown(run):
    shown = run("show").output
    assert "calls_days           30" in shown
    assert "outbound_days        off (kept for ever)" in shown
    assert "held  by ann  case 7" in shown
    data = json.loads(run("show", "--json").output)
    assert (data["rules"]["calls_days"], data["holds"][0]["call_id"]) == (30, "held")
