"""One real call whose refund two people have to approve: the caller is asked something first, the form is changed."""

import asyncio
import os
import shutil
import sys
from pathlib import Path

import pytest

from bridge.cli.demo import embedded_bridge, environment
from bridge.settings import load
from bridge.store.gatestore import GateStore
from bridge.store.store import Store
from tests.fakes import axe, consoles
from tests.fakes import browser as browsers

ROOT = Path(__file__).parents[2]
QUESTION = "Which card did you pay with?"
ANSWER = ".lines .agent:has-text('card did you pay with') ~ .caller"
"""Whatever was understood of it: on a busy machine the words may be others."""
SCRIPT = """
version: 1
voice: en-us
wpm: 170
steps:
  - after_agent: true
  - say: I want a refund of forty dollars.
  - after_agent: true
  - dtmf: "1"
  - after_agent: true
  - after_agent: true
  - say: Tell me your opening hours.
  - after_agent: true
  - after_agent: true
"""

pytestmark = [pytest.mark.system, browsers.needed()]


def two_people(folder):
    """The delivered tools, whose refunds two people have to approve."""
    tools = folder / "tools"
    shutil.copytree(ROOT / "tools", tools, ignore=shutil.ignore_patterns("__pycache__"))
    policy = (tools / "policy.yaml").read_text()
    (tools / "policy.yaml").write_text(policy.replace("decide_s: 90,", "decide_s: 90, approvers: 2,"))
    return tools


async def phone(environ, folder, address):
    script = folder / "call.yaml"
    script.write_text(SCRIPT)
    words = ("call", f"sip:100@{address}", "--script", str(script), "--from", "+49301111", "--json")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bridge", *words), cwd=ROOT, env=environ, stdout=asyncio.subprocess.DEVNULL
    )
    assert await process.wait() == 0


async def kept(environ):
    """The request, the types of its audit entries, and what the record says was asked."""
    async with Store(str(load(None, environ).store), migrate=False) as store:
        gates = GateStore(store)
        (row,) = await gates.requests()
        audit = [entry["type"] for entry in await gates.audit() if entry["request_id"] == row.request_id]
        events = await store.events(row.call_id)
        return row, audit, [one.data for one in events if one.type == "tool.question"]


async def test_the_caller_is_asked_by_the_agent_and_two_people_approve_another_amount(tmp_path):
    environ = environment(tmp_path, os.environ) | {"SIPBRIDGE_TOOLS": str(two_people(tmp_path))}
    async with (
        embedded_bridge(tmp_path, environ) as address,
        browsers.browser() as running,
        asyncio.timeout(100),
    ):
        where = await consoles.base(tmp_path)
        anna, bert = [
            await consoles.signed_in(running, environ, where, consoles.somebody(name, "approver"))
            for name in ("anna", "bert")
        ]
        for one in (anna, bert):
            await one.page.goto("/console/approvals")
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(phone(environ, tmp_path, address))
            card = anna.page.locator("article.pending")
            await card.wait_for(timeout=40_000)
            request_id = (await card.get_attribute("id")).removeprefix("r-")
            await bert.page.goto(f"/console/approvals/{request_id}")
            await card.get_by_text("Ask the caller something first").click()
            await card.get_by_label("The agent asks the caller exactly this").fill(QUESTION)
            await card.get_by_role("button", name="Ask now").click()
            for one in (anna, bert):
                await one.page.locator(".lines .agent", has_text="card did you pay with").wait_for(
                    timeout=30_000
                )
                await one.page.locator(".questions .asked", has_text="asked").wait_for(timeout=30_000)
                await one.page.locator(ANSWER).wait_for(timeout=30_000)
            await axe.accessible(anna.page)
            await card.get_by_text("Change it, and approve").click()
            await card.locator("[name='argument.amount']").fill("30")
            await card.get_by_role("button", name="Approve in this form").click()
            await anna.page.get_by_text("You have approved. Somebody else has to approve too.").wait_for()
            await bert.page.get_by_text("Changed by anna: look at it again").wait_for()
            await bert.page.get_by_role("button", name="Approve", exact=True).click()
            for one in (anna, bert):
                await one.page.locator("article.succeeded", has_text="approved by anna, bert").wait_for()
        for path in (
            f"/console/approvals/{request_id}",
            "/console/approvals/decided",
            "/console/approvals/statistics",
        ):
            await anna.page.goto(path)
            await anna.page.get_by_text("anna").last.wait_for()
            await axe.accessible(anna.page)
    row, audit, asked = await kept(environ)
    assert (row.state, row.gate["arguments"]["amount"]) == ("succeeded", 30)
    assert [(one["by"], one["text"]) for one in asked] == [("anna", QUESTION)]
    assert {"question", "question_put", "approved", "executing", "succeeded"} <= {*audit}
    assert (anna.complaints, bert.complaints) == ([], [])
