"""The whole examination: gather facts, judge them, section by section. What cannot be looked at is a finding too.

    settings file ─► Settings ─► gather_*.py (facts) ─► system.py, network.py, parts.py (findings)

Works with the bridge running and without it. Bounded: every question to somebody else has a deadline. Changes nothing.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from bridge.control_plan import around
from bridge.dialplan.load import Inspected, inspect
from bridge.dialplan.plan import Plan
from bridge.doctor import (
    audio,
    certificates,
    flawtable,
    gather_network,
    gather_parts,
    gather_system,
    network,
    parts,
    selfcall,
    system,
)
from bridge.doctor.finding import Finding, Level
from bridge.errors import BridgeError, FileProblems, Problem, ToolError
from bridge.secretsource import Secrets
from bridge.serve import rolled_back
from bridge.settings import STORE, Settings, load, missing_secrets, secret_names
from bridge.store.look import Look, look
from bridge.toolbox.mcplock import LOCK, McpLock

WORKERS_FOLDERS = ("spool", "recordings")
"""What belongs to the workers' account when they have one (bridge/pool/user.py)."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the operator wants of this examination. `number`: place a call to it; `offline`: ask nobody far away."""

    number: str = ""
    offline: bool = False


async def examine(config: Path | None, environ: Mapping[str, str], wishes: Wishes) -> list[Finding]:
    """All findings, unordered. Never raises for what is wrong with the installation."""
    try:
        settings = load(config, environ)
    except FileProblems as error:
        versions = gather_parts.versions()
        return [
            *parts.settings(error.problems, (), (), str(config or "embedded default")),
            *parts.versions(versions, ()),
            *system.clock(await asyncio.to_thread(gather_system.clock, None, None)),
        ]
    return await _Examination(settings, str(config or "embedded default"), Secrets(environ), wishes).run()


class _Examination:
    def __init__(self, settings: Settings, source: str, secrets: Secrets, wishes: Wishes) -> None:
        self._settings = settings
        self._source = source
        self._secrets = secrets
        self._wishes = wishes
        self._pid = gather_parts.supervisor(settings.state_dir)
        self._edge = settings.edge.enabled
        self._behind = settings.edge.enabled or bool(settings.edge.at)
        self._plan: Plan | None = None
        self._seen: Look | None = None

    async def run(self) -> list[Finding]:
        found: list[Finding] = []
        steps: tuple[tuple[str, Callable[[], Awaitable[Iterable[Finding]]]], ...] = (
            ("settings", self._of_settings),
            ("dialplan", self._of_dialplan),
            ("store", self._of_store),
            ("processes", self._of_processes),
            ("nodes", self._of_nodes),
            ("ports", self._of_ports),
            ("addresses", self._of_addresses),
            ("audio", self._of_audio),
            ("call", self._of_call),
            ("certificates", self._of_certificates),
            ("providers", self._of_providers),
            ("sign-in", self._of_sign_in),
            ("kernel", self._of_machine),
            ("versions", self._of_versions),
            ("mcp", self._of_mcp),
            ("files", self._of_files),
        )
        for section, step in steps:
            try:
                found += await step()
            except (OSError, BridgeError) as error:
                words = f"could not be looked at: {error}"
                found.append(
                    Finding(section, Level.WARN, words, "run doctor as the bridge's own account, or as root")
                )
        return found

    @property
    def _calls(self) -> int:
        return self._settings.workers * self._settings.calls_per_worker

    async def _of_settings(self) -> Iterable[Finding]:
        missing = missing_secrets(self._settings, self._secrets)
        names = [STORE, *(name for _, name in secret_names(self._settings))]
        return parts.settings((), missing, self._secrets.too_open(names), self._source)

    async def _of_dialplan(self) -> Iterable[Finding]:
        chosen = self._settings
        problems: tuple[Problem, ...] = ()
        found: Inspected | None = None
        try:
            found = await asyncio.to_thread(
                inspect, chosen.dialplans, around(chosen), environment=chosen.environment
            )
            self._plan = found.plan
        except FileProblems as error:
            problems = error.problems
        routes = len(found.plan.routes) if found else 0
        back = rolled_back(chosen.state_dir)
        zones = {one.timezone for one in self._plan.hours} if self._plan else set()
        return [
            *parts.dialplan(problems, found.warnings if found else (), routes, rolled_back=back),
            *system.zones(gather_system.zones({*zones, "UTC"})),
        ]

    async def _of_store(self) -> Iterable[Finding]:
        self._seen = await look(str(self._settings.store))
        return parts.store(gather_parts.store(self._seen), running=self._pid is not None)

    async def _of_processes(self) -> Iterable[Finding]:
        return parts.processes(await gather_parts.processes(self._settings.state_dir, self._settings.workers))

    async def _of_nodes(self) -> Iterable[Finding]:
        if self._seen is None or self._seen.revision is None:
            return []
        return parts.nodes(await gather_parts.nodes(str(self._settings.store)))

    async def _of_ports(self) -> Iterable[Finding]:
        facts = await asyncio.to_thread(gather_network.ports, list(self._ports()), self._pid)
        first, last = map(int, self._settings.sip.rtp_ports.split("-"))
        taken = await asyncio.to_thread(gather_network.foreign, first, last, self._pid)
        return [
            *network.ports(facts, running=self._pid is not None),
            *network.foreign_rtp(taken, first, last),
        ]

    def _ports(self) -> Iterator[tuple[str, str, str, int]]:
        chosen, running = self._settings, self._pid is not None
        console = chosen.console
        port = gather_parts.console_port(chosen.state_dir, console.port) if running else console.port
        yield "console", "tcp", console.bind, port
        if self._edge:
            for proto in chosen.edge.transports:
                yield "edge", proto, chosen.sip.bind, chosen.sip.port
            if chosen.edge.tls is not None:
                yield "edge (TLS)", "tcp", chosen.sip.bind, chosen.edge.tls.port
            if chosen.edge.websocket is not None:
                yield "edge (WebSocket)", "tcp", chosen.sip.bind, chosen.edge.websocket.port
            yield "edge (inner)", "udp", chosen.edge.inner, chosen.edge.inner_port
            return
        told = gather_parts.sip_ports(chosen.state_dir) if running else []
        wanted = told or [(chosen.sip.bind, chosen.sip.port + index) for index in range(chosen.workers)]
        for index, (bind, number) in enumerate(wanted[: chosen.workers]):
            yield f"worker {index}", "udp", bind, number

    async def _of_addresses(self) -> Iterable[Finding]:
        sip = self._settings.sip
        facts = network.AddressFacts(
            bind=self._settings.edge.workers_bind if self._settings.edge.at else sip.bind,
            public=sip.public_address,
            local=await asyncio.to_thread(gather_network.local_addresses),
            edge=self._behind,
            peers=() if self._settings.edge.at else tuple([one async for one in self._peers()]),
        )
        return network.addresses(facts)

    async def _peers(self) -> AsyncIterator[tuple[str, str]]:
        plan = self._plan
        hosts = [(f"trunk {one.name}", one.host) for one in plan.trunks if one.host] if plan else []
        for name, uri in plan.transfers.items() if plan else ():
            hosts.append(
                (f"target {name}", urlsplit(f"//{uri.partition(':')[2].partition(';')[0]}").hostname or "")
            )
        for name, host in hosts:
            where = host if self._wishes.offline else await asyncio.to_thread(gather_network.resolve, host)
            yield name, where

    async def _of_audio(self) -> Iterable[Finding]:
        console = self._settings.console
        chosen, url = console.audio, console.url or ""
        first, last = chosen.port_range
        host = urlsplit(url).hostname or ""
        ask = host and not self._wishes.offline
        taken = await asyncio.to_thread(gather_network.foreign, first, last, self._pid) if first else []
        name = chosen.ice_password_env
        facts = audio.AudioFacts(
            seats=chosen.seats,
            ports=chosen.port_range,
            taken=tuple(taken),
            address=chosen.address or "",
            local=await asyncio.to_thread(gather_network.local_addresses),
            url=url,
            bind=console.bind,
            host_at=await asyncio.to_thread(gather_network.resolve, host) if ask else host,
            servers=tuple(chosen.ice_servers),
            password=bool(name and self._secrets.get(name)),
        )
        return audio.audio(facts)

    async def _of_call(self) -> Iterable[Finding]:
        if self._pid is None:
            return [Finding("call", Level.NOTE, "the bridge is not running: no test call")]
        sip = self._settings.sip
        told = gather_parts.sip_ports(self._settings.state_dir)
        host, port = (sip.bind, sip.port) if self._edge or not told else told[0]
        expected = sip.public_address or host
        number = self._wishes.number
        found = [
            *network.call(await selfcall.look(host, port), edge=self._edge, expected=expected),
        ]
        if number:
            facts = await selfcall.look(host, port, number)
            found += network.call(facts, edge=self._edge, expected=expected)
        else:
            words = "no test call was placed"
            found.append(
                Finding("call", Level.NOTE, words, "--call NUMBER, one whose route speaks and costs nothing")
            )
        return found

    async def _of_certificates(self) -> Iterable[Finding]:
        tls = self._settings.edge.tls if self._edge else None
        if tls is None:
            return [Finding("certificates", Level.NOTE, "no TLS: edge.tls is not set")]
        facts = await asyncio.to_thread(certificates.read, tls.certificate, tls.key)
        now = (await asyncio.to_thread(gather_system.clock, None, None)).now
        return network.certificates([facts], now=now, names=())

    async def _of_providers(self) -> Iterable[Finding]:
        named = self._settings.providers
        facts, offset = await gather_parts.providers(named, self._secrets, offline=self._wishes.offline)
        newest = self._seen.newest_call_at if self._seen else None
        clock = await asyncio.to_thread(gather_system.clock, newest, offset)
        return [*parts.providers(facts), *system.clock(clock)]

    async def _of_sign_in(self) -> Iterable[Finding]:
        console, asked = self._settings.console, not self._wishes.offline
        issuer = console.oidc.issuer if console.oidc else ""
        error = await gather_parts.oidc(console.oidc) if console.oidc and asked else ""
        return parts.sign_in(issuer, error, local=console.local_sign_in, asked=asked)

    async def _of_machine(self) -> Iterable[Finding]:
        chosen = self._settings
        ranges = [chosen.sip.rtp_ports, *([chosen.edge.workers_rtp_ports] if self._edge else [])]
        rtp = tuple((int(one.partition("-")[0]), int(one.partition("-")[2])) for one in ranges)
        kernel = await asyncio.to_thread(gather_system.kernel, chosen.workers, self._calls, rtp, self._pid)
        folders = {"state": chosen.state_dir}
        if chosen.recording.enabled:
            folders["recordings"] = Path(str(chosen.recording.folder))
        disks = await asyncio.to_thread(gather_system.disk, folders, self._calls)
        sqlite = str(chosen.store).startswith("sqlite:")
        return [*system.kernel(kernel), *system.disk(disks, sqlite=sqlite)]

    async def _of_versions(self) -> Iterable[Finding]:
        found = await asyncio.to_thread(gather_parts.versions)
        as_of, table = flawtable.read()
        loopback = self._settings.sip.bind.startswith("127.") or self._settings.sip.bind == "::1"
        needed = ("kamailio", "rtpengine") if self._edge else ()
        return [
            *parts.versions(found, needed),
            *parts.flaws(table, found, edge=self._behind, loopback=loopback, as_of=as_of),
        ]

    async def _of_mcp(self) -> Iterable[Finding]:
        servers = self._settings.mcp
        if not servers:
            return [Finding("mcp", Level.OK, "none in the settings")]
        lock = McpLock(self._settings.tools / LOCK)
        try:
            lock.read()
        except ToolError as error:
            return [Finding("mcp", Level.FAIL, str(error), "restore it: a backup, or version control")]
        counts = gather_parts.accepted(lock.pins)
        return parts.mcp(await gather_parts.mcp(servers, counts, offline=self._wishes.offline))

    async def _of_files(self) -> Iterable[Finding]:
        state, url = self._settings.state_dir, str(self._settings.store)
        keys = state / "keys"
        wanted = [
            ("state", state, False),
            ("keys", keys, True),
            *(("key", path, True) for path in sorted(keys.glob("*.key"))),
            ("recordings", Path(str(self._settings.recording.folder)), False),
            ("spool", state / "spool", False),
        ]
        if url.startswith("sqlite:///"):
            wanted.append(("database", Path(url.removeprefix("sqlite:///")), True))
        running = gather_system.uid_of(self._pid) if self._pid else None
        name = self._settings.pool.user if (os.geteuid() if running is None else running) == 0 else None
        workers = gather_system.uid_named(name) if name else None
        owners = {} if workers is None else dict.fromkeys(WORKERS_FOLDERS, workers)
        facts = gather_system.files(wanted, owners)
        told = name if name and owners else ""
        return system.files(facts, euid=os.geteuid(), running_uid=running, workers_user=told)
