"""The commands over a store that a running office looks after. No worker: nothing rings."""

import asyncio
import contextlib
import json
import threading
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from bridge.approval.signing import DECISION_KEY, secret
from bridge.cli import campaign, dial
from bridge.control_outbound import OutboundDeps, OutboundOffice
from bridge.control_spent import SpentWishes
from bridge.dialplan.load import load
from bridge.store.outboundstore import OutboundStore
from bridge.store.store import Store

PLAN = """
version: 1
agents: {front: {instructions: x, greeting: x}}
outbound:
  allow: ["+49"]
  region: DE
  target: sip:{number}@127.0.0.1:9
  caller_id: "+4930"
  do: [{agent: front, or_else: [{hang_up: {}}]}]
routes: [{name: all, do: [{hang_up: {}}]}]
"""
NUMBER = "+493012345678"


class Nobody:
    def peers(self):
        return []

    def tell(self, boot, message):
        return False


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "plan.yaml").write_text(PLAN)
    (tmp_path / "settings.yaml").write_text("dialplans: plan.yaml\nstate_dir: state\n")
    (tmp_path / "state").mkdir()
    asyncio.run(make_tables(tmp_path))
    secret(tmp_path / "state" / "keys" / DECISION_KEY)  # two threads of one process must not both make it
    return tmp_path


async def make_tables(folder):
    async with Store(f"sqlite:///{folder}/state/sipbridge.db"):
        pass


@contextlib.contextmanager
def office(folder):
    """Control's desk on a thread of its own."""
    stop = threading.Event()

    async def run():
        key = secret(folder / "state" / "keys" / DECISION_KEY)
        async with Store(f"sqlite:///{folder}/state/sipbridge.db") as store:
            spent = SpentWishes(folder / "spent", 1e6)
            desk = OutboundOffice(OutboundDeps(OutboundStore(store), Nobody(), key, 4, spent))
            plan = load(folder / "plan.yaml")
            desk.take_plan(replace(plan))
            working = asyncio.create_task(desk.run())
            while not stop.is_set():  # noqa: ASYNC110  # another thread's event
                await asyncio.sleep(0.02)
            working.cancel()

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def run(folder, app, *words):
    result = CliRunner().invoke(app, [*words, "--config", str(folder / "settings.yaml")])
    return result.exit_code, result.output, result.exception


def test_a_number_is_asked_for_listed_and_cancelled(folder):
    with office(folder):
        status, output, _ = run(folder, dial.app, "030 12345678", "--var", "name=Ann")
        assert (status, f"{NUMBER}: queued" in output) == (0, True)
        (job,) = json.loads(run(folder, dial.app, "list", "--json")[1])
        assert (job["number"], job["variables"], job["via"]) == (NUMBER, {"name": "Ann"}, "cli")
        assert job["asked_by"]
        assert NUMBER in run(folder, dial.app, "list")[1]
        assert run(folder, dial.app, "cancel", job["job_id"][:6])[0] == 0
        status, output, _ = run(folder, dial.app, "to", NUMBER, "--agent", "nobody", "--json")
        output = output[output.index("{\n") :]  # the desk's log is before it
        assert (status, json.loads(output)["reason"]) == (1, "the dialplan has no agent nobody")


@pytest.mark.parametrize("number", ["0900 1234567", "+1 202 555 0123", "tel:+4930", "112"])
def test_what_is_not_allowed_is_refused_with_status_1(folder, number):
    with office(folder):
        status, output, _ = run(folder, dial.app, number)
        assert (status, "refused" in output) == (1, True)


def test_a_variable_without_a_value_is_told(folder):
    assert "write NAME=TEXT" in str(run(folder, dial.app, NUMBER, "--var", "x")[2])


def test_cancelling_what_is_not_there_is_told(folder):
    assert "no calls begin with 'zz'" in str(run(folder, dial.app, "cancel", "zz")[2])


def test_nothing_to_list_is_said(folder):
    assert run(folder, dial.app, "list")[1] == "no calls\n"
    assert run(folder, campaign.app, "list")[1] == "no campaigns\n"
