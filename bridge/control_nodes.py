"""Our node among those that share the store: says that it lives, sees the others, holds what only one of them does.

    NodeStore.beat every heartbeat ─► nodes, leases        Listener ─► look now
    Watch: who has been silent for lost_after_s is declared lost by whoever holds the lease "reaper"

A lease is held here only until shortly before the database gives it to somebody else: a node that is cut off stops by
its own clock. Rows of others stay as they were seen last while the database is away: a dispatcher must not forget
workers because a disk is full. With SQLite there is one node, which holds everything. Runs on control's loop.
"""

import asyncio
import contextlib
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import structlog

from bridge.errors import StoreAwayError, StoreError
from bridge.settings_node import Node
from bridge.store.nodestore import DRAINING, HERE, LIVE, LOST, Beat, Card, NodeRow, NodeStore, Pulse
from bridge.store.webhookstore import LEASE as WEBHOOKS

log = structlog.get_logger(__name__)

INSTANCE = "node-id"
REAPER = "reaper"
REGISTRATIONS = "registrations"
RETENTION = "retention"
LEASES = (REAPER, REGISTRATIONS, RETENTION, WEBHOOKS)
MARGIN_S = 0.5
"""So much before the database lets go of a lease this node no longer acts on it."""
LEAVE_S = 3.0


@dataclass(frozen=True, slots=True)
class NodeParts:
    """What the desk asks its own node. `pulse` is told with every beat; `ready`: it takes calls.

    `now`: monotonic seconds.
    """

    pulse: Callable[[], Pulse]
    ready: Callable[[], bool] = lambda: True
    now: Callable[[], float] = time.monotonic


class NodeDesk:
    """One per control. `shared`: the store is one that several nodes use."""

    def __init__(
        self, store: NodeStore, card: Card, settings: Node, parts: NodeParts, *, shared: bool
    ) -> None:
        self.shared = shared
        self.name = card.name
        self._store = store
        self._card = card
        self._settings = settings
        self._parts = parts
        self._epoch = 0
        self._rows: tuple[NodeRow, ...] = ()
        self._held: Mapping[str, int] = {}
        self._held_until = 0.0
        self._poked = asyncio.Event()
        self._started_at = time.time()
        self._told: list[Callable[[], None]] = []
        self._draining = False
        self._away_since = parts.now()
        self.away = "it has not been reached since control was started"
        """Why the store did not answer last."""
        self.refused = ""
        """Why the others do not let this node in; "" when they do."""

    # ---- what others ask -------------------------------------------------------------------------------------

    @property
    def draining(self) -> bool:
        """Nothing new begins here: an operator wants it so."""
        return self._draining

    @property
    def away_s(self) -> float:
        """Since when the store does not answer; 0 while it does."""
        return self._parts.now() - self._away_since if self._away_since and self.shared else 0.0

    @property
    def epoch(self) -> int:
        """The present life of the node; 0 before it was let in."""
        return self._epoch

    def rows(self) -> tuple[NodeRow, ...]:
        """Every node, this one with what it says of itself now."""
        mine = self._mine()
        others = [row for row in self._rows if row.name != self.name]
        return tuple(sorted((mine, *others), key=lambda row: row.name))

    def others(self) -> tuple[NodeRow, ...]:
        """Those that live, without this one."""
        return tuple(row for row in self._rows if row.name != self.name and row.state in HERE)

    def targets(self) -> list[Mapping[str, Any]]:
        """Workers of every live node, as they told it; none new at a node that drains."""
        found: list[Mapping[str, Any]] = []
        for row in self.rows():
            if row.state in HERE:
                drains = {"state": DRAINING} if row.state == DRAINING else {}
                found += [{**target, **drains, "node": row.name} for target in row.targets]
        return found

    def on_change(self, told: Callable[[], None]) -> None:
        """Call this whenever nodes, their states or their targets have changed."""
        self._told.append(told)

    def holds(self, lease: str) -> bool:
        """Whether this node does it now."""
        if not self.shared:
            return True
        return lease in self._held and self._parts.now() < self._held_until

    def had(self, lease: str) -> bool:
        """Whether nobody else is known to do it: what does no harm when two do it goes on while the store is away."""
        return not self.shared or lease in self._held

    def token(self, lease: str) -> int:
        """The fencing token of a lease that this node holds (nodestore.guard)."""
        return self._held.get(lease, 0)

    def poke(self) -> None:
        """Something of this node has changed, or another one told something: beat now."""
        self._poked.set()

    # ---- life ------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Until cancelled; then the leases are let go."""
        if not self.shared:
            return
        try:
            while True:
                self._poked.clear()
                try:
                    await self._turn()
                    self._away_since = 0.0
                except StoreError as error:
                    self.refused = "" if isinstance(error, StoreAwayError) else str(error)
                    if str(error) != self.away or not self._away_since:
                        log.warning("node.no_beat", reason=str(error))
                    self._away_since, self.away = self._away_since or self._parts.now(), str(error)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._settings.heartbeat_s):
                        await self._poked.wait()
        finally:
            await self._leave()

    async def _turn(self) -> None:
        if not self._epoch:
            self._epoch = await self._store.join(self._card, self._settings.lost_after_s)
            self.refused = ""
            log.info("node.joined", node=self.name, epoch=self._epoch)
        asked_at = self._parts.now()
        wanted = LEASES if self._parts.ready() else ()
        beat = await self._store.beat(
            self.name, self._epoch, self._parts.pulse(), wanted, self._settings.lease_s
        )
        if beat is None:
            log.warning("node.fenced", node=self.name, epoch=self._epoch)
            self._epoch, self._held = 0, {}
            self._poked.set()  # come back at once, as somebody new
            return
        self._take(beat, asked_at)
        if self.holds(REAPER):
            await self._bury()

    def _take(self, beat: Beat, asked_at: float) -> None:
        before = [(row.name, row.state, row.epoch, row.targets, row.plan_version) for row in self._rows]
        after = [(row.name, row.state, row.epoch, row.targets, row.plan_version) for row in beat.nodes]
        for lease in sorted({*self._held} ^ {*beat.held}):
            log.info("node.lease", lease=lease, held=lease in beat.held)
        changed = before != after or {*self._held} != {*beat.held}
        self._rows, self._held = beat.nodes, beat.held
        self._held_until = asked_at + self._settings.lease_s - MARGIN_S
        self._draining = beat.state == DRAINING
        if changed:
            for told in self._told:
                told()

    async def _bury(self) -> None:
        for row in self._rows:
            silent = row.state in HERE and row.age_s > self._settings.lost_after_s
            if silent and await self._store.lose(row.name, row.epoch, self._settings.lost_after_s):
                log.error("node.lost", node=row.name, silent_s=round(row.age_s, 1))
                self._poked.set()

    async def _leave(self) -> None:
        if not self._epoch:
            return
        try:
            async with asyncio.timeout(LEAVE_S):
                await self._store.leave(self.name, self._epoch)
        except (StoreError, TimeoutError) as error:  # then the leases run out
            log.warning("node.not_left", reason=str(error) or "no answer in time")

    def _mine(self) -> NodeRow:
        pulse, card = self._parts.pulse(), self._card
        known = next((row for row in self._rows if row.name == self.name), None)
        if known is None:
            known = NodeRow(
                name=card.name,
                epoch=self._epoch,
                instance=card.instance,
                state=LIVE,
                address=card.address,
                version=card.version,
                plan_version="",
                key_print=card.key_print,
                started_at=self._started_at,
                seen_at=time.time(),
            )
        return replace(
            known, plan_version=pulse.plan_version, targets=tuple(pulse.targets), facts=pulse.facts, age_s=0.0
        )


def notes(desk: NodeDesk) -> list[str]:
    """What is worth knowing about the other nodes, for /healthz."""
    mine = desk.rows()
    plan = next((row.plan_version for row in mine if row.name == desk.name), "")
    found = [f"node {row.name} is lost, seen {_ago(row.age_s)}" for row in mine if row.state == LOST]
    found += [f"node {row.name} drains" for row in mine if row.state == DRAINING]
    found += [
        f"node {row.name} has plan {row.plan_version[:12] or 'none'}, this one {plan[:12] or 'none'}"
        for row in desk.others()
        if row.plan_version != plan
    ]
    return found


def instance_of(state_dir: Path) -> str:
    """What tells this machine's node from another one of the same name; made at the first start."""
    path = state_dir / INSTANCE
    with contextlib.suppress(OSError):
        known = path.read_text(encoding="ascii").strip()
        if known:
            return known
    made = secrets.token_hex(8)
    path.write_text(made + "\n", encoding="ascii")
    return made


def shown(row: NodeRow) -> dict[str, Any]:
    """A node for the API and the command line."""
    facts: Mapping[str, Any] = row.facts
    return {
        "name": row.name,
        "state": row.state,
        "address": row.address,
        "version": row.version,
        "plan": row.plan_version,
        "epoch": row.epoch,
        "started_at": row.started_at,
        "seen_s": round(row.age_s, 1),
        "workers": facts.get("workers", 0),
        "calls": facts.get("calls", 0),
        "problems": _words(facts.get("problems")),
        "targets": [dict(target) for target in row.targets],
    }


def _words(value: Any) -> Sequence[str]:
    return [str(one)[:200] for one in value[:20]] if isinstance(value, list) else []


def _ago(seconds: float) -> str:
    return f"{seconds:.0f} s ago" if seconds < 300 else f"{seconds / 60:.0f} min ago"
