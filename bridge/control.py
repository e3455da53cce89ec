"""The control process: everything that is not a call in progress. Composition root, no rules of its own.

    workers ──link──► Desk ──► Store            dialplans ──► plan ──link──► workers
                        └────► Credentials      dead spools ──sweep──► Store
    /healthz /metrics /api/v1 (TCP, api.sock) ◄── counters, PlanDesk

It may die and come back at any time: calls go on without it, events wait in the workers' spools, and the
plan lies on disk. SIGHUP loads dialplans, tools and policy again, all or nothing (control_dialplan.py). SIGTERM ends
it once everything received is committed. Started by the supervisor (`python -m bridge control`); one asyncio loop.
"""

import asyncio
import contextlib
import time
from collections.abc import Coroutine, Mapping
from pathlib import Path
from typing import Any

import httpx
import structlog
from starlette.applications import Starlette

from bridge.approval.signing import Signer
from bridge.config import WorkerConfig
from bridge.control_anchor import Anchor
from bridge.control_api import Door, application, owner
from bridge.control_api_rate import Buckets
from bridge.control_apis import ApiParts, Outside, Plans
from bridge.control_callback import call_back
from bridge.control_console import ConsoleParts, open_console
from bridge.control_credentials import Credentials
from bridge.control_desk import Desk
from bridge.control_dialplan import Parts, PlanDesk
from bridge.control_door import serve_both
from bridge.control_edge import open_edge
from bridge.control_handout import Handout
from bridge.control_hands import Hands, HandsDeps
from bridge.control_hearing import Hearing
from bridge.control_metrics import Counts
from bridge.control_node import NodeDeps, NodeOffice, options_of
from bridge.control_nodes import RETENTION
from bridge.control_notify import Notifier
from bridge.control_outbound import MAX_AGE_S, OutboundDeps, OutboundOffice
from bridge.control_owners import Owners
from bridge.control_pages import Facts, More, metrics_of, pages, request_gauge
from bridge.control_plan import PlanFiles, Speak, around, espeak
from bridge.control_prompts import Prompts
from bridge.control_retention import retention_job
from bridge.control_seats import SeatDesk
from bridge.control_speech import Speech, SpeechCache
from bridge.control_spent import SpentWishes
from bridge.control_sweep import Sweeper
from bridge.control_toolbox import ToolSource
from bridge.control_tools import OfficeDeps, ToolOffice
from bridge.control_tracing import Tracer, traced
from bridge.control_trunks import TrunkSecrets
from bridge.control_versions import Cause, PlanVersions
from bridge.control_voicemail import VoicemailDesk
from bridge.control_waiting import WaitingRoom
from bridge.control_watch import watch
from bridge.errors import StoreAwayError
from bridge.keys import decision_key
from bridge.link.server import LinkServer, Peer
from bridge.pool.user import group_of
from bridge.settings import Settings, worker_config
from bridge.store.gatestore import GateStore
from bridge.store.outboundstore import OutboundStore
from bridge.store.store import Store
from bridge.store.userstore import UserStore
from bridge.store.voicemailstore import VoicemailStore

log = structlog.get_logger(__name__)

API_SOCKET = "api.sock"
RING_S = 180.0
"""The longest ringing that a plan can ask for (outbound.ring_s)."""
EXIT_NOTE_GRACE_S = 2.0
"""The supervisor writes its note some milliseconds after a worker's death; so long it may be late."""


class Control:
    """The parts of a running control process. `speak` makes prompts; `environ`: the keys; `config`: a file."""

    def __init__(
        self,
        settings: Settings,
        environ: Mapping[str, str],
        *,
        speak: Speak = espeak,
        config: Path | None = None,
    ) -> None:
        self._config_path = config
        self._settings = settings
        self._environ = environ
        self._config: WorkerConfig = worker_config(settings, 0)
        settings.state_dir.mkdir(parents=True, exist_ok=True)
        self._speak = speak
        self._files = PlanFiles(
            settings.dialplans, around(settings), self._config.paths, speak, settings.environment
        )
        self._versions = PlanVersions(settings.state_dir, settings.dialplan_versions)
        self._source = ToolSource(settings, environ)
        self._notifier = Notifier(settings.notify, environ, hidden=self._source.hidden)
        self._reload, self._reload_by = asyncio.Event(), ""
        self._stop = asyncio.Event()
        self._outbound: OutboundOffice | None = None
        self._tracer: Tracer | None = None
        limit_s, lines = settings.limits.max_call_s, (settings.workers, settings.calls_per_worker)
        self._facts = Facts(time.time(), Counts(), limit_s, *lines)
        self.health_port = 0
        self.ready = asyncio.Event()

    def reload(self, by: str = "SIGHUP") -> None:
        """Read the dialplans, the tools and their policy again."""
        self._reload_by = by
        self._reload.set()

    def stop(self) -> None:
        """End as soon as everything received is stored."""
        self._stop.set()

    async def run(self) -> None:
        """Until `stop`. Raises BridgeError when the store or the link cannot be opened."""
        paths, console = self._config.paths, self._settings.console
        timeout = httpx.Timeout(self._config.deadlines.link_request_s * 0.8)
        async with (
            httpx.AsyncClient(timeout=timeout) as client,
            self._store() as store,
            traced(self._settings.tracing, self._environ, store, self._facts.counts) as self._tracer,
        ):
            credentials = Credentials(self._config.providers, self._environ, client)
            desk = Desk(store, credentials, self._facts, Owners(self._config.sip.bind))
            with contextlib.suppress(StoreAwayError):  # then calls belong to who names them first
                for boot, call_id in await store.open_calls():
                    desk.owners.learn(boot, [call_id])
                    self._facts.counts.tally.prime(await store.events(call_id))
            desk.voicemail = self._voicemail(store)
            desk.trunks = TrunkSecrets(lambda: self.plans.plan, self._environ)
            group = group_of(self._settings.pool.user)
            server = LinkServer(Path(paths.link_socket), desk, group=group)
            async with self._speech() as desk.speech, server as link:
                desk.tools = await self._open_tools(store, link)
                desk.outbound = self._outbound = self._open_outbound(store, link)
                desk.waiting = WaitingRoom(call_back(OutboundStore(store), self._seal_key()))
                self.nodes = self._open_nodes(desk, desk.tools, link, store)
                self.plans = self._plan_desk(link)
                self._edge = open_edge(
                    self._settings, lambda: self.plans.plan, self._environ, self.nodes.targets
                )
                desk.news = self._news
                await self.plans.start()
                self._hands = Hands(HandsDeps(store, desk.tools.commands, link.boots, self.nodes))
                self._outside = self._open_outside(self._hands, store)
                parts = self._console_parts(store, link)
                desk.seats = parts.seats
                self._console = open_console(parts)
                desk.stored, desk.glimpsed = self._console.stored, self.nodes.glimpses.take
                self.app = self._application(desk, desk.tools, link, store)
                api = self._settings.state_dir / API_SOCKET
                async with serve_both(self.app, (console.bind, console.port), api) as self.health_port:
                    await self._work(desk, store)
        log.info("control.stopped")

    def _news(self) -> None:
        self._edge.poke()
        self.nodes.desk.poke()

    def _store(self) -> Store:
        settings = self._settings
        url, options = str(settings.store), options_of(settings)
        return Store(url, patient=True, node=settings.node.called, options=options)

    def _open_nodes(self, desk: Desk, tools: ToolOffice, link: LinkServer, store: Store) -> NodeOffice:
        deps = NodeDeps(
            settings=self._settings,
            store=store,
            link=link,
            tools=tools,
            key=self._seal_key(),
            public=self._public,
            plan=lambda: self.plans.plan.version if self.plans.plan else "",
            queues=desk.waiting.overview,
            calls_ended=desk.calls_ended,
            reload=self.reload,
        )
        return NodeOffice(deps)

    def _speech(self) -> Speech:
        deadline_s = self._config.deadlines.link_request_s * 0.8
        cache = SpeechCache(self._settings.state_dir / "speech")
        return Speech(cache, self._speak, Hearing(deadline_s), say_s=deadline_s)

    def _voicemail(self, store: Store) -> VoicemailDesk:
        channels, recordings = self._settings.notify.channels, self._config.recording.folder
        return VoicemailDesk(VoicemailStore(store), channels, self._environ, recordings)

    def _plan_desk(self, link: LinkServer) -> PlanDesk:
        limits, paths = self._config.limits, self._config.paths

        def reported() -> dict[int, str]:
            return {peer.hello.worker: _plan_of(peer) for peer in link.peers()}

        self._handout = Handout(link, reported)
        parts = Parts(
            facts=self._facts,
            files=self._files,
            versions=self._versions,
            tools=self._source,
            prompts=Prompts(Path(paths.prompts), limits.max_call_s),
            push=self._push,
            reported=reported,
        )
        return PlanDesk(parts, watched=self._settings.watch_dialplans)

    def _console_parts(self, store: Store, link: LinkServer) -> ConsoleParts:
        return ConsoleParts(
            settings=self._settings,
            store=store,
            link=link,
            key=self._seal_key(),
            source=self._source,
            plans=self.plans,
            versions=self._versions,
            nodes=self.nodes,
            edge=self._edge,
            gates=self._gates,
            environ=self._environ,
            seats=SeatDesk(self._settings, self._environ, link.peers, self._seal_key(), self._hands),
            outside=self._outside,
            facts=self._facts,
            config=self._config_path,
            hands=self._hands,
        )

    def _push(self, text: str, version: str) -> None:
        self._handout.give(text, version)
        if self._outbound is not None and self.plans.plan is not None:
            self._outbound.take_plan(self.plans.plan)
        self._edge.poke()

    def _application(self, desk: Desk, tools: ToolOffice, link: LinkServer, store: Store) -> Starlette:
        waiting = desk.waiting

        def more() -> More:
            plans, requests = self.plans.more(), request_gauge(tools.waiting())
            theirs = metrics_of(waiting, self._source, self._outbound, self._tracer, self._outside.webhooks)
            found, metrics = tuple(self.nodes.problems()), (*plans.metrics, requests, *theirs)
            return More(
                (*plans.notes, *self.nodes.notes(), *self._outside.webhooks.notes()),
                (*metrics, *self._edge.metrics()),
                found,
            )

        handlers = pages(desk.facts, link, self._settings.workers, lambda: self.plans.plan, more)
        chosen, routes = self._settings.console, [*self._outside.routes, *self._console.routes()]
        routes += self.nodes.recordings.routes() if self.nodes.recordings else []
        door = Door(UserStore(store), owner(self._settings.state_dir))
        rate = Buckets(chosen.api_per_s, chosen.api_burst)
        return application(handlers, routes, door, chosen.names, rate)

    def _open_outside(self, hands: Hands, store: Store) -> Outside:
        plans = Plans(self.plans, self._versions)
        key, gates = self._seal_key(), self._gates
        parts = ApiParts(self._settings, store, plans, hands, self.nodes, key, self._environ, gates)
        return Outside(parts)

    async def _open_tools(self, store: Store, link: LinkServer) -> ToolOffice:
        source, keys = self._source, self._settings.state_dir / "keys"
        await asyncio.to_thread(source.load)
        signer = Signer(keys)
        self._public = signer.key_id, signer.public
        gates = self._gates = GateStore(store, signer)
        heads = self._settings.audit
        hook_secret = self._environ.get(heads.secret_env or "", "")
        self._anchor = Anchor(gates, signer, heads, self._settings.state_dir, hook_secret)
        return ToolOffice(
            OfficeDeps(
                store=gates,
                users=UserStore(store),
                source=source,
                folder=self._settings.state_dir / "tools",
                tell=link.broadcast,
                notify=self._notifier.tell,
                decision_key=self._seal_key(),
                moved=self._facts.counts.gate,
                listening=lambda: self.nodes.listener.listening,
            )
        )

    def _seal_key(self) -> bytes:
        return decision_key(self._settings, self._environ)

    def _open_outbound(self, store: Store, link: LinkServer) -> OutboundOffice:
        key = self._seal_key()
        spent = SpentWishes(self._settings.state_dir / "outbound-spent", MAX_AGE_S)
        jobs = OutboundStore(store, self._config.limits.max_call_s + RING_S)
        most, may_dial = self._config.sip.max_calls, lambda: not self.nodes.desk.draining
        return OutboundOffice(OutboundDeps(jobs, link, key, most, spent, may_dial=may_dial))

    async def _work(self, desk: Desk, store: Store) -> None:
        async with asyncio.TaskGroup() as tasks:
            parts = [self._reloads(), self._sweeps(desk, store), self._handout.run(), self._edge.run()]
            parts += [*self.nodes.parts(), *self._outside.parts(), self._console.run(self.health_port)]
            if self._settings.watch_dialplans:
                parts.append(watch(self._settings.dialplans, self._changed))
            if desk.outbound is not None:
                parts.append(desk.outbound.run())
            if desk.voicemail is not None:
                parts.append(desk.voicemail.run())
            if desk.tools is not None:
                parts += [desk.tools.run(), self._source.run(), self._notifier.run(), self._anchor.run()]
                parts.append(
                    retention_job(self._settings, store, lambda: self.nodes.desk.holds(RETENTION)).run()
                )
            running = [tasks.create_task(part) for part in parts]
            self.ready.set()
            await self._stop.wait()
            for task in running:
                task.cancel()

    async def _reloads(self) -> None:
        while True:
            await self._reload.wait()
            self._reload.clear()
            await self.plans.reload(Cause(self._reload_by))

    async def _changed(self) -> None:
        await self.plans.changed(Cause("file watch"))

    def _sweeps(self, desk: Desk, store: Store) -> Coroutine[Any, Any, None]:
        sweeper = Sweeper(Path(self._config.paths.spool), store, grace_s=EXIT_NOTE_GRACE_S)

        async def ended(call_ids: list[str]) -> None:
            await desk.calls_ended(call_ids)
            desk.facts.worker_died_calls += len(call_ids)

        def looks() -> None:
            desk.facts.counts.look(time.monotonic())

        return sweeper.run(desk.worker_left, ended, looks)


def _plan_of(peer: Peer) -> str:
    """The version of the plan a worker said last to have."""
    return str(peer.status.get("plan_version", peer.hello.plan_version))
