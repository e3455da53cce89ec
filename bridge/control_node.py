"""What a node does for the others, put together: heartbeat, ears, keys, registrations, commands, lost nodes.

    Listener ─► decision ─► ToolOffice.wake        node lost ─► its calls end in the record, its requests come here
             ├► nodes    ─► NodeDesk.poke          lease "registrations" ─► one worker of ours registers
             └► command  ─► Errands                fenced and back ─► calls that go on are told of, requests let go

With SQLite nothing of this runs: there is one node. Runs on control's loop; made by control.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping, Sequence
from dataclasses import asdict, dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import structlog

from bridge import __version__
from bridge.approval.signing import seal
from bridge.console.waveforms import Waveforms
from bridge.control_edge import targets_of
from bridge.control_errands import Errands
from bridge.control_glimpses import Glimpses
from bridge.control_nodes import REAPER, REGISTRATIONS, NodeDesk, NodeParts, instance_of, notes
from bridge.control_recordings import NodeRecordings
from bridge.control_roads import Roads, machine
from bridge.control_roads import read as read_roads
from bridge.control_roads import told as told_roads
from bridge.control_tools import ToolOffice
from bridge.edge.target import Target, read
from bridge.errors import StoreError, ToolError
from bridge.keys import key_print
from bridge.link.server import LinkServer, Peer
from bridge.records.cdr import CallRecord
from bridge.records.complaint import Complaint
from bridge.settings import Settings
from bridge.store.callrows import Death
from bridge.store.database import DatabaseOptions
from bridge.store.gatestore import DECISION
from bridge.store.listen import CONNECTED, Listener
from bridge.store.nodestore import HERE, LEFT, RELOAD, TOPIC, Card, NodeRow, NodeStore, Pulse
from bridge.store.store import Store

log = structlog.get_logger(__name__)

BURY_EVERY_S = 1.0
AWAY_S = 1.0


@dataclass(frozen=True, slots=True)
class NodeDeps:
    """What it works with. `key`: seals decisions; `public`: (id, hex) of this node's audit key.

    `plan()`: version in force; `queues()`: who waits here; `calls_ended`: calls whose node is lost; `reload`: read
    dialplan, tools and policy again, because of whom.
    """

    settings: Settings
    store: Store
    link: LinkServer
    tools: ToolOffice
    key: bytes
    public: tuple[str, str]
    plan: Callable[[], str]
    queues: Callable[[], Mapping[str, Any]]
    calls_ended: Callable[[Sequence[str]], Awaitable[None]]
    reload: Callable[[str], None]


class NodeOffice:
    """One per control. `desk` knows the nodes; `errands` reach their calls."""

    def __init__(self, deps: NodeDeps) -> None:
        self._deps = deps
        settings = deps.settings
        node = settings.node
        self.store = NodeStore(deps.store)
        card = Card(
            name=node.called,
            instance=instance_of(settings.state_dir),
            address=node.address or settings.sip.bind,
            version=__version__,
            key_print=key_print(deps.key),
        )
        parts = NodeParts(pulse=self._pulse, ready=lambda: bool(self._registrars()))
        self.desk = NodeDesk(self.store, card, node, parts, shared=deps.store.shared)
        self.errands = Errands(deps.store, self.desk, deps.tools.commands.run, self._boots, deps.key)
        self.listener = Listener(str(settings.store), self._told, options_of(settings))
        self.glimpses = Glimpses(deps.store, deps.link.tell)
        self.waveforms = Waveforms(Path(str(settings.recording.folder)))
        shared = deps.store.shared
        self.recordings = (
            NodeRecordings(self.desk.name, deps.store, self.waveforms, deps.key, self.roads)
            if shared
            else None
        )
        self._registrar: int | None = None
        edge, self._machine = settings.edge, machine()
        media = edge.workers_bind if edge.behind else settings.sip.bind
        only = self._machine if ip_address(media).is_loopback else ""
        roads = Roads(settings.console.url or "", node.url or "", media, only)
        self._roads = told_roads(deps.key, self.desk.name, roads)
        self.desk.on_change(self._changed)

    def parts(self) -> list[Coroutine[Any, Any, None]]:
        """What has to run."""
        if not self.desk.shared:
            # Without others and without an edge worker 0 registers by itself.
            return [self._registers()] if self._deps.settings.edge.enabled else []
        looks = [self.listener.run(), self.errands.run(), self.glimpses.run()]
        looks += [self.recordings.run()] if self.recordings else []
        return [self.desk.run(), *looks, self._bury(), self._keep_key()]

    def targets(self) -> list[Target]:
        """Workers of every live node, for the edge (control_edge.py)."""
        return [target for told in self.desk.targets() if (target := read(told)) is not None]

    def notes(self) -> list[str]:
        """For /healthz."""
        found = notes(self.desk) if self.desk.shared else []
        if self.desk.shared and not self.listener.listening:
            found.append(
                "nothing is heard from other nodes (LISTEN): what they tell is noticed a second late"
            )
        return found

    def problems(self) -> list[str]:
        """For /healthz: with these this node should get no new calls if another one can have them."""
        if self.desk.refused:
            return [f"the other nodes do not let this one in: {self.desk.refused}"]
        away_s = self.desk.away_s
        if away_s > AWAY_S:
            since = f"the store has not answered for {away_s:.0f} s ({self.desk.away})"
            return [f"{since}: calls go on, what they tell waits in state_dir/spool, function calls fail"]
        return []

    def boots(self) -> set[str]:
        """Worker processes of every live node."""
        told = (row.facts.get("boots") for row in self.desk.others())
        return set(self._boots()).union(*(boots for boots in told if isinstance(boots, list)))

    async def ask(
        self, record: CallRecord, kind: str, data: Mapping[str, Any], wait_s: float
    ) -> Mapping[str, Any]:
        """Have a call of another node do something (control_hands.Elsewhere)."""
        if "key" in data and (why := self.deaf(record.node)):  # somebody wants a seat
            raise ToolError(why)
        return await self.errands.ask(record.node, record.call_id, kind, data, wait_s)

    def deaf(self, name: str) -> str:
        """Why nobody here can listen to calls of another node; "" when they can, as far as is known."""
        roads = self.roads(name)
        if not roads.deaf(self._machine):
            return ""
        return (
            f"the workers of node {name} are at {roads.media}, which only its own machine reaches: listen on that "
            "node's console, or give its workers a private address that the nodes share (sip.bind, edge.workers_bind)"
        )

    def roads(self, name: str) -> Roads:
        """Where another node is reached; nothing when it is not there, or did not say so."""
        row = next((row for row in self.desk.others() if row.name == name), None)
        return read_roads(self._deps.key, name, row.facts) if row else Roads()

    def known(self) -> Mapping[str, tuple[NodeRow, str]]:
        """The other nodes, those too that are lost, and where their consoles are (control_healthtell.Others)."""
        there = [row for row in self.desk.rows() if row.name != self.desk.name]
        return {row.name: (row, self.roads(row.name).console) for row in there}

    def queues(self) -> dict[str, Any]:
        """Who waits, on every live node; each entry says on which one."""
        found: dict[str, list[Any]] = {}
        for row in self.desk.rows():
            state = row.facts.get("queues") if row.state in HERE else None
            for kind, entries in state.items() if isinstance(state, dict) else ():
                found.setdefault(kind, []).extend(
                    {**one, "node": row.name} for one in entries if isinstance(one, dict)
                )
        return found if self.desk.shared else dict(self._deps.queues())

    # ---- what this node says ---------------------------------------------------------------------------------

    def _boots(self) -> list[str]:
        return [peer.hello.boot for peer in self._deps.link.peers()]

    def _pulse(self) -> Pulse:
        peers = self._deps.link.peers()
        facts = {
            "workers": len(peers),
            "calls": sum(int(peer.status.get("calls", 0)) for peer in peers),
            "boots": [peer.hello.boot for peer in peers],
            "problems": self._problems(),
            "queues": dict(self._deps.queues()),
            **self._roads,
        }
        mine = targets_of(list(peers), self._deps.settings, self.desk.name)
        return Pulse(self._deps.plan(), [asdict(target) for target in mine], facts)

    def _problems(self) -> list[str]:
        missing = self._deps.settings.workers - len(self._deps.link.peers())
        found = [f"{missing} of {self._deps.settings.workers} workers are not there"] if missing > 0 else []
        return found + ([] if self._deps.plan() else ["no plan is in force"])

    # ---- what others say -------------------------------------------------------------------------------------

    def _told(self, topic: str, words: Mapping[str, Any]) -> None:
        if topic in {DECISION, CONNECTED}:
            self._deps.tools.wake()
        if topic in {TOPIC, CONNECTED}:
            self.desk.poke()
        if topic == RELOAD and words.get("origin") != self.desk.name:
            self._deps.reload(f"{words.get('by')} at node {words.get('origin')}"[:100])
        self.errands.told(topic, words)
        self.glimpses.told(topic, words)

    def _changed(self) -> None:
        self._name_registrar()

    def _registrars(self) -> list[int]:
        return [peer.hello.worker for peer in self._deps.link.peers() if not _draining(peer)]

    def _name_registrar(self) -> None:
        """One worker of the one node that has the lease; the same one as long as it is there."""
        able = self._registrars() if self.desk.had(REGISTRATIONS) else []
        chosen = self._registrar if self._registrar in able else min(able, default=None)
        if chosen != self._registrar:
            log.info("node.registrar", worker=chosen)
            self._registrar = chosen
        self._deps.link.name_registrar(chosen)

    # ---- what has to be done ---------------------------------------------------------------------------------

    async def _registers(self) -> None:
        while True:
            self._name_registrar()
            await asyncio.sleep(BURY_EVERY_S)

    async def _bury(self) -> None:
        """End what lost nodes left open, take up what was ended too early. Until cancelled."""
        known_epoch, complaint = 0, Complaint(log, "nodes.store", "nodes.store_back")
        told: set[str] = set()
        while True:
            try:
                self._name_registrar()
                boots = set(self._boots())
                if self.desk.epoch and self.desk.epoch != known_epoch:
                    await self._go_on(boots)
                    await self._deps.tools.takeover.let_go()
                    known_epoch = self.desk.epoch
                elif late := self._carrying() - told:
                    await self._go_on(late)
                told = boots
                if self.desk.holds(REAPER):
                    for node in await self._deps.store.homeless(self._housed()):
                        await self._end(node)
                complaint.worked()
            except StoreError as error:
                complaint.failed(str(error))
            await asyncio.sleep(BURY_EVERY_S)

    async def _go_on(self, boots: Collection[str]) -> None:
        """Others may have taken this node for dead, and with it the calls of these workers, which live."""
        while back := await self._deps.store.go_on(boots):
            log.warning("node.calls_go_on", calls=len(back))

    def _carrying(self) -> set[str]:
        """Workers that had calls when they connected: after a restart of control most come later than it joins."""
        return {peer.hello.boot for peer in self._deps.link.peers() if peer.hello.calls}

    def _housed(self) -> list[str]:
        """Nodes whose calls are theirs; one that has left may be a control that is started anew beside its calls."""
        wait_s = self._deps.settings.node.lost_after_s
        rows = self.desk.rows()
        return [row.name for row in rows if row.state in HERE or (row.state == LEFT and row.age_s < wait_s)]

    async def _end(self, node: str) -> None:
        row = next((one for one in self.desk.rows() if one.name == node), None)
        seen_at = row.seen_at if row else time.time()
        detail = (
            f"node {node} was not heard of any more"
            if row
            else f"there is no node {node or '(unnamed)'} any more"
        )
        ended: list[str] = []
        while some := await self._deps.store.end_lost(node, Death(seen_at, detail)):
            await self._deps.calls_ended(some)
            ended += some
        requests = await self._deps.tools.takeover.from_node(node)
        if ended or requests:
            log.error("node.buried", node=node, calls=len(ended), requests=requests)

    async def _keep_key(self) -> None:
        """The others must be able to verify what this node signs."""
        key_id, public = self._deps.public
        words = {"key_id": key_id, "node": self.desk.name, "public": public}
        row = {**words, "seal": seal(self._deps.key, "audit key", words), "at": time.time()}
        while True:
            with contextlib.suppress(StoreError):
                await self.store.keep_key(row)
                return
            await asyncio.sleep(BURY_EVERY_S)


def options_of(settings: Settings) -> DatabaseOptions:
    """How the settings want PostgreSQL used."""
    chosen = settings.postgres
    return DatabaseOptions(chosen.connections, chosen.connect_s, chosen.deadline_s)


def _draining(peer: Peer) -> bool:
    return bool(peer.status.get("draining", peer.hello.draining))
