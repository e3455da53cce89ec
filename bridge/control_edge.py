"""Keeps a running Kamailio in step with what there is: workers, trunks, passwords, certificates.

    links + other nodes ─► Dispatch ─► dispatcher.set_state
    plan in force       ─► address.list, tables/* ─► permissions.addressReload, htable.reload
    edge.tls files      ─► tls/* ─► tls.reload                      (RPC: bridge/edge/rpc.py)

Every list is a file too, so that a Kamailio that starts again (also while control is away) begins with the last state.
Passwords stay here: Kamailio gets MD5(user:realm:password) by a file of its own user. Runs on control's loop.
"""

import asyncio
import contextlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import structlog

from bridge.control_health import Metric
from bridge.control_trunks import TrunkSecrets
from bridge.dialplan.plan import Plan
from bridge.edge.dispatch import Dispatch, Listed, listed
from bridge.edge.folder import EdgeFolder
from bridge.edge.prepare import places, worker_address
from bridge.edge.render import host_port
from bridge.edge.rpc import COUNTERS, KamailioRpc
from bridge.edge.tables import HTABLES, address_list, dispatcher_list, htable, lines, logins
from bridge.edge.target import Target
from bridge.errors import EdgeError, LinkError
from bridge.link.server import Peer
from bridge.settings import Settings
from bridge.trunk import Credential, Trunk

log = structlog.get_logger(__name__)

LOOK_S = 1.0
SETTLED_S = 10.0
"""After control's start: workers that have not told yet may only be on their way back to the link."""
RESOLVE_S = 60.0
RESOLVE_WAIT_S = 3.0
TLS_S = 10.0
COUNT_S = 5.0
LIVES = "lives.json"
NO_SETS = "No Destination Sets"


def targets_of(peers: Sequence[Peer], settings: Settings, node: str = "") -> list[Target]:
    """Workers of one node, as the edge sees them."""
    found = []
    for peer in peers:
        hello, status = peer.hello, peer.status
        draining = bool(status.get("draining", hello.draining))
        found.append(
            Target(
                uri=f"sip:{host_port(settings.edge.workers_bind, hello.sip_port)}",
                pool="wide" if hello.pool == "wide" else "narrow",
                state="draining" if draining else "active",
                max_calls=settings.calls_per_worker,
                node=node,
                slot=hello.worker,
                boot=hello.boot,
            )
        )
    return found


class NoEdge:
    """On a node without one."""

    def poke(self) -> None:
        """Nothing to look at."""

    async def run(self) -> None:
        """Nothing to do."""

    def metrics(self) -> tuple[Metric, ...]:
        """None."""
        return ()


class EdgeKeeper:
    """`targets`: every worker of every node; `plan`: the one in force; `environ`: the passwords of trunks."""

    def __init__(
        self,
        settings: Settings,
        plan: Callable[[], Plan | None],
        environ: Mapping[str, str],
        targets: Callable[[], Sequence[Target]],
        folder: EdgeFolder | None = None,
    ) -> None:
        self._settings = settings
        self._plan = plan
        self._environ = environ
        self._targets = targets
        self._folder = folder or EdgeFolder(settings)
        self._rpc = KamailioRpc(self._folder.path, owner=self._folder.owner)
        lives = _read_lives(self._folder.path / LIVES)
        self._dispatch = Dispatch(places(settings), lives, settings.edge.probe_every_s)
        self._reloads: dict[str, tuple[str, ...]] = {}
        self._resolved: dict[str, tuple[str, ...]] = {}
        self._resolve_due = self._tls_due = 0.0
        self._poked = asyncio.Event()
        self._away = False
        self._counts: dict[str, int] = {}
        self._load = 0
        self._count_due = 0.0
        self._started = time.monotonic()

    def poke(self) -> None:
        """Something has changed: look now."""
        self._poked.set()

    def metrics(self) -> tuple[Metric, ...]:
        """For /metrics: is it up, what it carries, what it refused since Kamailio's start."""
        refused = tuple(({"what": name}, float(self._counts.get(name, 0))) for name in COUNTERS)
        gauges = (
            ("up", "1: Kamailio answers and is in step.", float(not self._away)),
            ("workers", "Workers that get calls.", float(len(self._dispatch.in_use))),
            ("calls", "Calls that Kamailio counts.", float(self._load)),
        )
        return (
            *(
                Metric(f"sipbridge_edge_{name}", "gauge", text, (({}, value),))
                for name, text, value in gauges
            ),
            Metric(
                "sipbridge_edge_events_total", "counter", "What the edge refused or passed over.", refused
            ),
        )

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self._poked.clear()
            try:
                await self._round()
            except (EdgeError, OSError) as error:
                if not self._away:
                    log.warning("edge.not_in_step", reason=str(error))
                self._away = True
            else:
                if self._away:
                    log.info("edge.in_step")
                self._away = False
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await self._poked.wait()

    async def _round(self) -> None:
        """Files first, so that a Kamailio that starts now reads them; then what a running one has to be told."""
        now = time.monotonic()
        await self._write_trunks(now)
        self._write_tls(now)
        shown = await self._shown()
        targets, settled = self._targets(), now - self._started > SETTLED_S
        lost = self._dispatch.lost(targets, now) if settled else []
        orders = self._dispatch.sync(targets, shown, now, settled=settled)
        self._folder.write(LIVES, json.dumps(self._dispatch.lives))
        self._folder.write("dispatcher.list", dispatcher_list(self._dispatch.lines, self._dispatch.in_use))
        if orders.reload:
            await self._rpc.ask("dispatcher.reload")
            log.info("edge.places_changed", places=len(self._dispatch.addresses))
        else:
            for one in orders.states:
                await self._rpc.ask("dispatcher.set_state", one.state, one.set_id, one.uri)
        if lost:
            await self._hang_up(lost)
        await self._count(shown, now)
        for key, question in list(self._reloads.items()):
            await self._rpc.ask(*question)
            self._reloads.pop(key, None)

    async def _count(self, shown: Sequence[Listed], now: float) -> None:
        self._load = sum(one.load for one in shown)
        if now >= self._count_due:
            self._count_due = now + COUNT_S
            table = await self._rpc.table("count")
            self._counts = {name: int(value) for name, value in table.items() if value.isdigit()}

    async def _hang_up(self, lost: Sequence[tuple[str, int]]) -> None:
        """Tell the callers of workers that are gone, who would hear silence until they hang up by themselves."""
        gone = {
            f"{uri.removeprefix('sip:')};g={life}" for uri, generation in lost for life in (generation, "o")
        }
        legs = await self._rpc.table("legs")
        calls = [(call, *value.split(" ")) for call, value in legs.items() if value.count(" ") == 2]
        ended = 0
        for call, worker, from_tag, to_tag in calls:
            if worker not in gone:
                continue
            with contextlib.suppress(EdgeError):  # it has just ended by itself
                await self._rpc.ask("dlg.terminate_dlg", call, from_tag, to_tag)
                ended += 1
            for table in ("legs", "calls", "counted"):
                with contextlib.suppress(EdgeError):
                    await self._rpc.ask("htable.delete", table, call)
        log.warning("edge.workers_lost", workers=len(lost), calls_ended=ended)

    async def _shown(self) -> list[Listed]:
        try:
            return listed(await self._rpc.ask_long("dispatcher.list"))
        except EdgeError as error:
            if NO_SETS in str(error):
                return []
            raise

    async def _write_trunks(self, now: float) -> None:
        plan = self._plan()
        if plan is None:
            return  # the files are those of the plan before
        await self._resolve(plan.trunks, now)
        networks = [(network, trunk.name) for trunk in plan.trunks for network in trunk.addresses]
        networks += [(network, trunk.name) for trunk in plan.trunks for network in self._found(trunk)]
        workers = [worker_address(uri) for uri in sorted(self._dispatch.addresses)]
        if self._folder.write("address.list", address_list(networks, workers, self._settings.edge.deny)):
            self._reloads["address"] = ("permissions.addressReload",)
        passwords = {
            trunk.login.password_env: self._environ.get(trunk.login.password_env, "")
            for trunk in plan.trunks
            if trunk.login
        }
        values = {
            **logins(plan.trunks, self._settings.edge.realm, passwords),
            "wide": {
                trunk.name: "1"
                for trunk in plan.trunks
                if "G722" in (trunk.codecs or self._settings.sip.codecs)
            },
            "lines": lines(plan.trunks, await self._credentials(plan.trunks)),
        }
        for name in HTABLES:
            if self._folder.write(f"tables/{name}", htable(values[name])):
                self._reloads[name] = ("htable.reload", name)

    async def _credentials(self, trunks: Sequence[Trunk]) -> dict[str, Credential]:
        """Of the trunks that workers register with, as workers are given them."""
        secrets = TrunkSecrets(self._plan, self._environ)
        found: dict[str, Credential] = {}
        for trunk in trunks:
            if trunk.register and trunk.digest:
                with contextlib.suppress(LinkError):  # its password is not there: told when a worker asks
                    found[trunk.name] = Credential(**await secrets.answer({"trunk": trunk.name}))
        return found

    def _write_tls(self, now: float) -> None:
        if self._settings.edge.tls is None or now < self._tls_due:
            return
        self._tls_due = now + TLS_S
        if self._folder.copy_tls():
            self._reloads["tls"] = ("tls.reload",)
            log.info("edge.certificate_changed")

    def _found(self, trunk: Trunk) -> Sequence[str]:
        return [network for host in _hosts(trunk) for network in self._resolved.get(host, ())]

    async def _resolve(self, trunks: Sequence[Trunk], now: float) -> None:
        """Where a registrar or a proxy sends calls from is not in the plan; its name is."""
        wanted = {host for trunk in trunks for host in _hosts(trunk)}
        if now < self._resolve_due and wanted <= set(self._resolved):
            return
        self._resolve_due = now + RESOLVE_S
        before, self._resolved = self._resolved, {}
        for host in wanted:
            self._resolved[host] = await _addresses(host) or before.get(host, ())


def _hosts(trunk: Trunk) -> list[str]:
    if trunk.register is None:
        return []
    every = (trunk.register.registrar, trunk.proxy)
    return [name for host in every if host and (name := urlsplit(f"//{host}").hostname)]


async def _addresses(host: str) -> tuple[str, ...]:
    try:
        async with asyncio.timeout(RESOLVE_WAIT_S):
            found = await asyncio.get_running_loop().getaddrinfo(host, None)
    except (OSError, TimeoutError) as error:
        log.warning("edge.name_not_found", host=host, reason=str(error) or "no answer in time")
        return ()
    return tuple(sorted({str(one[4][0]).partition("%")[0] for one in found}))


def _read_lives(path: Path) -> dict[str, tuple[str, int]]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        return {str(uri): (str(boot), int(generation)) for uri, (boot, generation) in data.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def open_edge(
    settings: Settings,
    plan: Callable[[], Plan | None],
    environ: Mapping[str, str],
    targets: Callable[[], Sequence[Target]],
) -> EdgeKeeper | NoEdge:
    """The keeper of this node's edge, if it has one. `targets`: workers of every node (control_node.py)."""
    return EdgeKeeper(settings, plan, environ, targets) if settings.edge.enabled else NoEdge()
