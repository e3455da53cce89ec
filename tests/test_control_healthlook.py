"""What control finds out for the health page: what does not answer is a fact, orders go where commands' orders go."""

import asyncio
import time
from types import SimpleNamespace

import pytest

from bridge.console.banners import banners
from bridge.console.plans import DISK, Look
from bridge.control_healthlook import HealthLook, HealthParts
from bridge.errors import BridgeError, Problem, StoreError
from bridge.settings import load
from bridge.store.store import Store
from bridge.toolbox.mcplock import LOCK, McpLock
from tests.fakes.events import conversation

SETTINGS = """
providers:
  main: {kind: openai, url: "wss://api.example.com/v1/realtime", model: m}
recording: {enabled: true, folder: recordings}
"""


class Mcp:
    """A server whose definition changed; `looked`: how often the lock was read again."""

    def __init__(self):
        self.definition = SimpleNamespace(
            server="till", tool="pay", name="till__pay", hash="h2", description="Pay.", content=dict
        )
        self.connections = {"till": SimpleNamespace(problem="", definitions={"pay": self.definition})}
        self.specs, self.looked = {"till__balance": None}, 0

    def waiting(self):
        return [(self.definition, "changed", ("+ Pay.",))]

    def accepted(self):
        return [("till", "balance")]

    def look(self):
        self.looked += 1


class Audit:
    def __init__(self):
        self.told, self.failing = [], None

    async def note(self, what, by, **facts):
        if self.failing is not None:
            raise self.failing
        self.told.append((what, by, facts))


class Window:
    def __init__(self):
        self.problems = ()

    async def look(self, which):
        assert which == DISK
        return Look(DISK, problems=self.problems)


class Nodes:
    """One node alone."""

    def __init__(self):
        self.desk = SimpleNamespace(name="a", shared=False, rows=list, holds=lambda _lease: True)

    def queues(self):
        return {"queues": []}


@pytest.fixture
async def house(tmp_path):
    (tmp_path / "bridge.yaml").write_text(SETTINGS)
    (tmp_path / "tools").mkdir()
    settings = load(tmp_path / "bridge.yaml", {"SIPBRIDGE_STATE_DIR": str(tmp_path / "state")})
    settings.state_dir.mkdir()
    trunk = SimpleNamespace(name="carrier", register=object())
    status = {
        "calls": 2,
        "clock_max_late_ms": 7,
        "trunks": {"carrier": {"registered": False, "problem": "403"}},
        "link": {"backlog_bytes": 9},
    }
    peer = SimpleNamespace(hello=SimpleNamespace(worker=3), status=status)
    async with Store(f"sqlite:///{tmp_path}/store.db") as store:
        await store.write(0, conversation())
        mcp, window, deeds = Mcp(), Window(), Audit()
        parts = HealthParts(
            settings=settings,
            store=store,
            link=SimpleNamespace(peers=lambda: [peer], store_failing_since=None),
            source=SimpleNamespace(mcp=mcp),
            plans=SimpleNamespace(
                plan=SimpleNamespace(trunks=[trunk]), refusal=None, lagging=lambda: {3: ""}
            ),
            window=window,
            nodes=Nodes(),
            edge=SimpleNamespace(metrics=list),
            deeds=deeds,
        )
        yield SimpleNamespace(
            look=HealthLook(parts),
            parts=parts,
            store=store,
            mcp=mcp,
            window=window,
            peer=peer,
            deeds=deeds,
        )


async def test_without_a_supervisor_the_workers_are_those_of_the_link_and_it_is_said_why(house):
    facts = await house.look.facts()
    assert facts.here.supervisor
    (worker,) = facts.here.workers
    assert (worker["name"], worker["calls"], worker["late_ms"]) == ("worker-3", 2, 7)
    assert worker["plan_lag"] == "plan none"


async def test_every_part_says_how_it_is(house):
    facts = await house.look.facts()
    assert [(one.name, one.registers, one.registered, one.problem) for one in facts.here.trunks] == [
        ("carrier", True, False, "403")
    ]
    assert [(one.name, one.where) for one in facts.providers] == [("main", "api.example.com")]
    assert [one.what for one in facts.here.disks] == ["state"], "a folder that is not there yet is left out"
    assert (facts.store.error, facts.store.backlog_bytes) == ("", 9)
    assert facts.store.size_bytes > 0
    assert [(one.server, one.tool, one.hash) for one in facts.pending] == [("till", "pay", "h2")]
    assert [(one.name, one.tools, one.accepted) for one in facts.here.mcp] == [("till", 1, 1)]
    assert dict(facts.versions)["starlette"]


async def test_a_store_that_is_away_is_a_fact_with_a_banner_and_nothing_else_is_lost(house):
    house.parts.link.store_failing_since = time.monotonic() - 60

    async def away(*_more, **_names):
        raise StoreError("the database is gone")

    house.store.transaction = away
    facts, worries = await house.look.facts(), await house.look.worries()
    assert facts.store.error == "the database is gone"
    assert facts.store.failing_s >= 60
    assert facts.here.workers
    assert "store" in [one.name for one in banners(facts, worries)]


async def test_mistakes_on_disk_are_worries_and_a_trunk_is_none_just_after_the_start(house):
    house.window.problems = (Problem("x.yaml", 1, 1, "routes", "wrong"),)
    worries = await house.look.worries()
    facts = await house.look.facts()
    assert (worries.mistakes, facts.here.registering, facts.here.certificate_until) == (1, False, None)
    assert [one.name for one in banners(facts, worries)] == ["dialplan", "tools"]


async def test_only_the_definition_that_was_shown_is_accepted(house):
    with pytest.raises(BridgeError, match="nothing was accepted"):
        await house.look.accept("till", "pay", "h1", "ann")
    with pytest.raises(BridgeError, match="nothing was accepted"):
        await house.look.accept("other", "pay", "h2", "ann")
    assert house.mcp.looked == 0
    with pytest.raises(BridgeError, match="is not accepted"):
        await house.look.forget("till", "pay", "ann")


async def test_what_is_accepted_and_taken_back_is_in_the_audit_and_without_it_nothing_is_accepted(house):
    definition, lock = house.mcp.definition, McpLock(house.parts.settings.tools / LOCK)
    house.deeds.failing = StoreError("no room")
    with pytest.raises(StoreError):
        await house.look.accept("till", "pay", "h2", "ann")
    lock.read()
    assert (lock.standing(definition), house.mcp.looked) == ("new", 0)
    house.deeds.failing = None
    await house.look.accept("till", "pay", "h2", "ann")
    lock.read()
    assert lock.standing(definition) == "accepted"
    await house.look.forget("till", "balance", "bob")
    assert house.deeds.told == [
        ("definition_accepted", "ann", {"server": "till", "tool": "pay", "hash": "h2"}),
        ("definition_forgotten", "bob", {"server": "till", "tool": "balance"}),
    ]
    house.deeds.failing = StoreError("no room")
    with pytest.raises(StoreError, match="was taken back, but it is not in the audit"):
        await house.look.forget("till", "balance", "bob")


async def test_a_node_alone_is_not_drained_and_a_worker_s_order_needs_a_supervisor(house):
    with pytest.raises(BridgeError, match="no node 'a'"):
        await house.look.node("a", "drain", "ann")
    async with asyncio.timeout(10):
        with pytest.raises(BridgeError):
            await house.look.worker(0, "drain", "ann")
