"""What control knows of the installation, for the console's health page and banners (bridge/console/health.py).

    supervisor's socket ─► workers, processes      link ─► trunks, clocks      store ─► latency, providers, outcomes
    NodeOffice ─► nodes, queues     MCP servers ─► pending definitions     statvfs ─► disks     doctor: a process

Each question has a deadline and a bound; one that is not answered is a fact, not an error. Blocking things are on
threads. Runs on control's loop.
"""

import asyncio
import contextlib
import importlib.metadata
import json
import platform
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import structlog

from bridge import __version__
from bridge.console.banners import Worries
from bridge.console.healthfacts import (
    Campaign,
    Facts,
    McpState,
    NodeHealth,
    Pending,
    Provider,
    StoreState,
    Trunk,
)
from bridge.console.plans import DISK
from bridge.control_auditwatch import AuditWatch
from bridge.control_certificate import valid_until
from bridge.control_dialplan import PlanDesk
from bridge.control_disks import Disks
from bridge.control_edge import EdgeKeeper, NoEdge
from bridge.control_healthtell import HealthTeller
from bridge.control_node import NodeOffice
from bridge.control_nodes import REGISTRATIONS, shown
from bridge.control_planwindow import PlanWindow
from bridge.control_toolbox import ToolSource
from bridge.errors import BridgeError, StoreError
from bridge.link.server import LinkServer
from bridge.pool.client import ask
from bridge.records.cdr import number
from bridge.settings import Settings
from bridge.settings_model import Provider as ProviderSettings
from bridge.store.auditstore import AuditStore
from bridge.store.daystore import DayStore
from bridge.store.healthstore import HealthStore
from bridge.store.nodestore import DRAINING, LIVE
from bridge.store.outboundstore import OutboundStore
from bridge.store.store import Store
from bridge.toolbox.mcplock import LOCK, McpLock

log = structlog.get_logger(__name__)

ASK_S = 2.0
STORE_S = 3.0
DOCTOR_S = 27.0
REGISTER_S = 45.0
"""So long after control's start a trunk may still be about to be registered."""
MAX_DOCTOR_BYTES = 1024 * 1024
LIBRARIES = (
    "pjsua2-python", "websockets", "starlette", "uvicorn", "SQLAlchemy", "asyncpg", "aiosqlite", "mcp", "numpy",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class HealthParts:
    """What it asks. `config`: the settings file that control was started with."""

    settings: Settings
    store: Store
    link: LinkServer
    source: ToolSource
    plans: PlanDesk
    window: PlanWindow
    nodes: NodeOffice
    edge: EdgeKeeper | NoEdge
    config: Path | None = None


class HealthLook:
    """One per control."""

    def __init__(self, parts: HealthParts) -> None:
        self._parts = parts
        self._days, self._outbound = DayStore(parts.store), OutboundStore(parts.store)
        self._audit = AuditWatch(AuditStore(parts.store))
        self._started_s = time.monotonic()
        self._versions: tuple[tuple[str, str], ...] = ()
        self._disks = Disks(parts.settings)
        self.teller: HealthTeller | None = None
        if parts.nodes.desk.shared:
            name = parts.nodes.desk.name
            self.teller = HealthTeller(name, HealthStore(parts.store), parts.nodes, self.mine)

    # ---- what there is ---------------------------------------------------------------------------------------

    async def facts(self) -> Facts:
        """As it is now."""
        parts = self._parts
        store, providers, campaigns = await self._stored()
        if not self._versions:
            self._versions = await asyncio.to_thread(_versions)
        mcp = parts.source.mcp
        return Facts(
            at=time.time(),
            here=await self.mine(),
            others=await self.teller.others() if self.teller else (),
            shared=parts.nodes.desk.shared,
            nodes=[shown(row) for row in parts.nodes.desk.rows()],
            pending=self._pending(),
            accepted=mcp.accepted() if mcp else (),
            providers=providers,
            store=store,
            queues=parts.nodes.queues(),
            campaigns=campaigns,
            versions=self._versions,
        )

    async def mine(self) -> NodeHealth:
        """What is this node's own."""
        workers, children, supervisor = await self._processes()
        mcp = self._parts.source.mcp
        return NodeHealth(
            self._parts.nodes.desk.name,
            workers=workers,
            children=children,
            supervisor=supervisor,
            trunks=self._trunks(),
            edge=self._edge(),
            mcp=[
                McpState(name, one.problem, len(one.definitions), _of(mcp.specs, name))
                for name, one in mcp.connections.items()
            ]
            if mcp
            else (),
            disks=await self._disks.look(),
            pending=len(self._pending()),
            registering=self._registering(),
            certificate_until=await self._certificate(),
        )

    async def worries(self) -> Worries:
        """What the banners need besides."""
        parts = self._parts
        disk = await parts.window.look(DISK)
        refusal = parts.plans.refusal
        with contextlib.suppress(StoreError):
            await self._audit.step()
        return Worries(
            mistakes=len(disk.problems),
            refused=refusal.action if refusal else "",
            audit=self._audit.chain,
        )

    def _registering(self) -> bool:
        """Trunks that are not registered now are a trouble of this node."""
        held = self._parts.nodes.desk.holds(REGISTRATIONS)
        return held and time.monotonic() - self._started_s > REGISTER_S

    async def _certificate(self) -> float | None:
        edge = self._parts.settings.edge
        if edge.tls is None or not edge.enabled:
            return None
        return await asyncio.to_thread(valid_until, edge.tls.certificate)

    async def _processes(self) -> tuple[list[dict[str, Any]], list[dict[str, Any]], str]:
        """Workers, all children, and why the supervisor did not tell of them."""
        linked = {peer.hello.worker: peer for peer in self._parts.link.peers()}
        try:
            state = await asyncio.to_thread(
                ask, self._parts.settings.state_dir, {"do": "status"}, deadline_s=ASK_S
            )
            rows, children, why = list(state["workers"]), list(state.get("children", ())), ""
        except BridgeError as error:
            rows, children, why = (
                [_alone(peer.hello.worker, peer.status) for peer in linked.values()],
                [],
                str(error),
            )
        lagging = self._parts.plans.lagging()
        for row in rows:
            peer = linked.get(row["slot"])
            row["late_ms"] = number(peer.status.get("clock_max_late_ms")) or 0 if peer else 0
            if row["slot"] in lagging:
                row["plan_lag"] = f"plan {lagging[row['slot']] or 'none'}"
        return rows, children, why

    async def _stored(self) -> tuple[StoreState, list[Provider], list[Campaign]]:
        parts, link = self._parts, self._parts.link
        failing = link.store_failing_since
        told: dict[str, Any] = {
            "kind": urlsplit(str(parts.settings.store)).scheme,
            "failing_s": time.monotonic() - failing if failing is not None else 0.0,
            "backlog_bytes": sum(_backlog(peer.status) for peer in link.peers()),
        }
        try:
            async with asyncio.timeout(STORE_S):
                found = await self._days.condition(time.time())
                rows = {one.name: one for one in await self._days.providers()}
                campaigns = [
                    Campaign(one.name, one.state, one.counts)
                    for one in (await self._outbound.campaigns())[:20]
                ]
        except (StoreError, TimeoutError) as error:
            return StoreState(**told, error=str(error) or "no answer in time"), [], []
        providers = []
        named = {name: _where(spec) for name, spec in parts.settings.providers.items()}
        for name, where in (named or {"local": "local"}).items():
            row = rows.get(name)
            facts = (row.calls, row.failed, row.connected_at, row.failed_at, row.error) if row else ()
            providers.append(Provider(name, where, *facts))
        state = StoreState(
            **told,
            latency_ms=found.latency_ms,
            size_bytes=found.size_bytes,
            unknown=found.unknown,
            leases=found.leases,
        )
        return state, providers, campaigns

    def _trunks(self) -> list[Trunk]:
        plan, peers = self._parts.plans.plan, self._parts.link.peers()
        found = []
        for trunk in plan.trunks if plan else ():
            told = [_object(_object(peer.status.get("trunks")).get(trunk.name)) for peer in peers]
            problems = [str(one["problem"]) for one in told if one.get("problem")]
            found.append(
                Trunk(
                    trunk.name,
                    trunk.register is not None,
                    _any([one.get("registered") for one in told]),
                    _any([one.get("reachable") for one in told]),
                    problems[0] if problems else "",
                )
            )
        return found

    def _edge(self) -> dict[str, float] | None:
        metrics = self._parts.edge.metrics()
        found: dict[str, float] = {}
        for metric in metrics:
            for labels, value in metric.samples:
                found[labels.get("what") or metric.name.removeprefix("sipbridge_edge_")] = value
        return found or None

    def _pending(self) -> list[Pending]:
        mcp = self._parts.source.mcp
        return [
            Pending(one.server, one.tool, standing, one.hash, one.description, difference)
            for one, standing, difference in (mcp.waiting()[:100] if mcp else ())
        ]

    # ---- what an admin does ----------------------------------------------------------------------------------

    async def worker(self, slot: int, order: str, by: str) -> None:
        """The way of `sipbridge workers drain|undrain`."""
        log.warning("worker.order", slot=slot, order=order, by=by)
        await asyncio.to_thread(
            ask, self._parts.settings.state_dir, {"do": order, "slot": slot}, deadline_s=ASK_S
        )

    async def node(self, name: str, order: str, by: str) -> None:
        """The way of `sipbridge nodes drain|undrain`."""
        office = self._parts.nodes
        if not office.desk.shared or name not in {row.name for row in office.desk.rows()}:
            raise BridgeError(f"there is no node {name[:64]!r} that can be drained")
        before, state = (LIVE, DRAINING) if order == "drain" else (DRAINING, LIVE)
        if not await office.store.set_state(name, (before, state), state):
            raise BridgeError(f"node {name} is not {before}: it cannot be made {state}")
        office.desk.poke()
        log.warning("node.state", node=name, state=state, by=by)

    async def accept(self, server: str, tool: str, shown: str, by: str) -> None:
        """The way of `sipbridge tools accept`: the lock file, of exactly what was shown."""
        mcp = self._parts.source.mcp
        connection = mcp.connections.get(server) if mcp else None
        definition = connection.definitions.get(tool) if connection else None
        if mcp is None or definition is None or definition.hash != shown:
            raise BridgeError(
                f"{server}: {tool} is not offered in the form that was shown; nothing was accepted"
            )
        lock = McpLock(self._parts.settings.tools / LOCK)
        await asyncio.to_thread(lock.accept, [definition], by, time.time())
        mcp.look()
        log.warning("mcp.accepted", tool=definition.name, hash=definition.hash, by=by)

    async def forget(self, server: str, tool: str, by: str) -> None:
        """The way of `sipbridge tools forget`."""
        mcp = self._parts.source.mcp
        if mcp is None or (server, tool) not in mcp.accepted():
            raise BridgeError(f"{server}: {tool} is not accepted")
        lock = McpLock(self._parts.settings.tools / LOCK)
        await asyncio.to_thread(lock.remove, server, [tool])
        mcp.look()
        log.warning("mcp.forgotten", server=server, tool=tool, by=by)

    async def doctor(self) -> Sequence[Mapping[str, Any]]:
        """`sipbridge doctor --json` in a process of its own. BridgeError: it did not answer in time."""
        config = self._parts.config
        named = ("--config", str(config)) if config else ()
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bridge", "doctor", "--json", *named),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            async with asyncio.timeout(DOCTOR_S):
                output, _ = await process.communicate()
        except TimeoutError:
            raise BridgeError(f"doctor was not done within {DOCTOR_S:g} s: run it on the machine") from None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        try:
            found = json.loads(output[:MAX_DOCTOR_BYTES])["findings"]
        except (ValueError, KeyError, TypeError):
            raise BridgeError("doctor did not answer: run it on the machine") from None
        return [one for one in found if isinstance(one, dict)]


def _alone(slot: int, status: Mapping[str, Any]) -> dict[str, Any]:
    """A worker that only the link knows."""
    state = "draining" if status.get("draining") else "active"
    return {"slot": slot, "name": f"worker-{slot}", "state": state, "calls": status.get("calls", 0)}


def _where(spec: ProviderSettings) -> str:
    """Host and port, without a name or a password that somebody wrote into the address."""
    return urlsplit(spec.url).netloc.rpartition("@")[2] if spec.url else spec.kind


def _versions() -> tuple[tuple[str, str], ...]:
    found = [("sipbridge", __version__), ("python", platform.python_version())]
    for name in LIBRARIES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found.append((name, importlib.metadata.version(name)))
    return tuple(found)


def _any(told: Sequence[Any]) -> bool | None:
    """One worker registers for all: it is enough that one of them says so."""
    known = [bool(one) for one in told if one is not None]
    return any(known) if known else None


def _backlog(status: Mapping[str, Any]) -> int:
    return int(number(_object(status.get("link")).get("backlog_bytes")) or 0)


def _of(specs: Mapping[str, Any], server: str) -> int:
    return sum(name.startswith(f"{server}__") for name in specs)


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
