"""The nodes that share this store, and the leases on what only one of them does. Part of the Store.

    join ─► epoch        beat(epoch): "I live", leases renewed or taken, the others as they are ─► Beat | None: fenced
                         lose(name, epoch): somebody else saw it die          leave(epoch)

Times are the database's: nodes need no common clock. An epoch is one life of a node and grows with every join; who was
declared lost, or replaced by a newer life, is told by `beat` and may do nothing more under the old one (fencing).
A lease's token grows with every new holder: `guard` inside a transaction makes sure that it is still ours there.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from bridge.errors import StoreError
from bridge.store.callrows import NODES
from bridge.store.database import POSTGRESQL, lock, notify, now
from bridge.store.store import Store
from bridge.store.tables import HERE_STATES, leases, node_health, node_keys, nodes

LIVE, DRAINING, LOST, LEFT = "live", "draining", "lost", "left"
HERE = frozenset(HERE_STATES)
MAX_JSON = 200_000
TOPIC = "nodes"
RELOAD = "reload"


@dataclass(frozen=True, slots=True)
class Card:
    """Who a node is, from its start on. `instance`: this machine's state folder; `key_print`: of its decision key."""

    name: str
    instance: str
    address: str
    version: str
    key_print: str


@dataclass(frozen=True, slots=True)
class NodeRow:
    """A node as the store knows it. Times are unix seconds of the database; `age_s`: since it was seen last."""

    name: str
    epoch: int
    instance: str
    state: str
    address: str
    version: str
    plan_version: str
    key_print: str
    started_at: float
    seen_at: float
    age_s: float = 0.0
    targets: tuple[Mapping[str, Any], ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pulse:
    """What a node says of itself with every beat."""

    plan_version: str = ""
    targets: Sequence[Mapping[str, Any]] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Beat:
    """The answer to a beat: every node, this one too, and the leases that are ours with their tokens."""

    nodes: tuple[NodeRow, ...]
    held: Mapping[str, int]
    state: str


class NodeStore:
    """The tables in `store`. Every method raises StoreError when the database does not do it."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def join(self, card: Card, lost_after_s: float) -> int:
        """Be a node from now on; answers the epoch. StoreError: the name is taken, or the keys differ."""

        def work(connection: sa.Connection) -> int:
            lock(connection, NODES)
            at = now(connection)
            known = _rows(connection, at)
            _admit(card, known, lost_after_s)
            mine = next((row for row in known if row.name == card.name), None)
            epoch = (mine.epoch if mine else 0) + 1
            values = {
                "epoch": epoch,
                # Who was told to drain does so through a crash; who has left in good order begins anew.
                "state": DRAINING if mine and mine.state == DRAINING else LIVE,
                "instance": card.instance,
                "address": card.address,
                "version": card.version,
                "key_print": card.key_print,
                "plan_version": "",
                "started_at": at,
                "seen_at": at,
                "targets": "[]",
                "facts": "{}",
            }
            if mine:
                connection.execute(sa.update(nodes).where(nodes.c.name == card.name).values(values))
            else:
                connection.execute(sa.insert(nodes).values(name=card.name, **values))
            connection.execute(
                sa.update(leases).where(leases.c.node == card.name, leases.c.epoch < epoch).values(until=0.0)
            )
            notify(connection, TOPIC)
            return epoch

        return await self._store.transaction("cannot join the nodes", work)

    async def beat(
        self, name: str, epoch: int, pulse: Pulse, wanted: Collection[str] = (), lease_s: float = 4.0
    ) -> Beat | None:
        """Say that this node lives, and take or renew the leases in `wanted`. None: this life of it is over."""
        values = {
            "plan_version": pulse.plan_version[:64],
            "targets": _bounded(list(pulse.targets), "[]"),
            "facts": _bounded(dict(pulse.facts), "{}"),
        }

        def work(connection: sa.Connection) -> Beat | None:
            at = now(connection)
            mine = (nodes.c.name == name) & (nodes.c.epoch == epoch) & nodes.c.state.in_(HERE)
            before = connection.execute(
                sa.select(nodes.c.state, nodes.c.targets, nodes.c.plan_version).where(mine).with_for_update()
            ).first()
            if before is None:
                return None
            connection.execute(sa.update(nodes).where(mine).values(**values, seen_at=at))
            if (before.targets, before.plan_version) != (values["targets"], values["plan_version"]):
                notify(connection, TOPIC)
            held = _renew(connection, name, epoch, wanted if before.state == LIVE else (), at, lease_s)
            return Beat(tuple(_rows(connection, at)), held, before.state)

        return await self._store.transaction("cannot say that this node lives", work)

    async def nodes(self) -> list[NodeRow]:
        """All of them, by name."""
        return await self._store.transaction("cannot read the nodes", lambda it: _rows(it, now(it)))

    async def lose(self, name: str, epoch: int, lost_after_s: float) -> bool:
        """Declare a life lost. False: it has been seen meanwhile, or is over already."""

        def work(connection: sa.Connection) -> bool:
            row = nodes.c
            silent = (row.name == name) & (row.epoch == epoch) & row.state.in_(HERE)
            silent &= row.seen_at < now(connection) - lost_after_s
            gone = connection.execute(sa.update(nodes).where(silent).values(state=LOST)).rowcount
            if gone:
                connection.execute(sa.update(leases).where(leases.c.node == name).values(until=0.0))
                notify(connection, TOPIC)
            return bool(gone)

        return await self._store.transaction("cannot declare a node lost", work)

    async def leave(self, name: str, epoch: int) -> None:
        """Stop in good order; the leases are free at once."""

        def work(connection: sa.Connection) -> None:
            mine = (nodes.c.name == name) & (nodes.c.epoch == epoch)
            connection.execute(
                sa.update(nodes).where(mine).values(state=LEFT, targets="[]", seen_at=now(connection))
            )
            held = (leases.c.node == name) & (leases.c.epoch == epoch)
            connection.execute(sa.update(leases).where(held).values(until=0.0))
            notify(connection, TOPIC)

        await self._store.transaction("cannot leave the nodes", work)

    async def set_state(self, name: str, before: Collection[str], state: str) -> bool:
        """Drain or undrain. False: there is no node of this name in one of the states `before`."""

        def work(connection: sa.Connection) -> bool:
            change = (
                sa.update(nodes).where(nodes.c.name == name, nodes.c.state.in_(before)).values(state=state)
            )
            done = connection.execute(change).rowcount
            notify(connection, TOPIC)
            return bool(done)

        return await self._store.transaction("cannot change a node", work)

    async def forget(self, name: str, lost_after_s: float) -> bool:
        """Remove a node that is not there. False: there is none; StoreError: it lives."""

        def work(connection: sa.Connection) -> bool:
            lock(connection, NODES)
            row = next((one for one in _rows(connection, now(connection)) if one.name == name), None)
            if row is not None and row.state in HERE and row.age_s < lost_after_s:
                raise StoreError(f"node {name} lives (seen {row.age_s:.0f} s ago): stop it first")
            notify(connection, TOPIC)
            connection.execute(sa.delete(node_health).where(node_health.c.name == name))
            return bool(connection.execute(sa.delete(nodes).where(nodes.c.name == name)).rowcount)

        return await self._store.transaction("cannot forget a node", work)

    async def tell(self, topic: str, **words: str | int) -> None:
        """Wake the other nodes, and say who does it."""
        node = self._store.node
        await self._store.transaction(
            "cannot tell the nodes", lambda it: notify(it, topic, origin=node, **words)
        )

    async def keep_key(self, key: Mapping[str, Any]) -> None:
        """Keep a node's public key of the audit chain, sealed: `key_id`, `node`, `public`, `seal`, `at`."""

        def work(connection: sa.Connection) -> None:
            lock(connection, NODES)
            mine = node_keys.c.key_id == key["key_id"]
            connection.execute(sa.delete(node_keys).where(mine))
            connection.execute(sa.insert(node_keys).values(**key))

        await self._store.transaction("cannot keep a public key", work)

    async def keys(self) -> list[dict[str, Any]]:
        """Every node's public keys, the oldest first."""

        def work(connection: sa.Connection) -> list[dict[str, Any]]:
            rows = connection.execute(sa.select(node_keys).order_by(node_keys.c.at)).all()
            return [dict(row._mapping) for row in rows]  # noqa: SLF001  # SQLAlchemy's public name

        return await self._store.transaction("cannot read the public keys", work)


def guard(connection: sa.Connection, name: str, token: int) -> None:
    """Inside a transaction: nobody else has taken the lease since. Raises StoreError."""
    query = sa.select(leases.c.token).where(leases.c.name == name)
    if connection.dialect.name == POSTGRESQL:
        query = query.with_for_update(read=True)
    if connection.execute(query).scalar_one_or_none() != token:
        raise StoreError(f"another node has the lease {name} now")


def _admit(card: Card, known: Sequence[NodeRow], lost_after_s: float) -> None:
    for row in known:
        here = row.state in HERE and row.age_s < lost_after_s
        if row.name == card.name and here and row.instance != card.instance:
            raise StoreError(
                f"there is a node {card.name} already, at {row.address}, seen {row.age_s:.0f} s ago: "
                "give this one another name (node.name)"
            )
        if row.name != card.name and here and row.key_print != card.key_print:
            raise StoreError(
                f"the decision key of this node ({card.key_print}) is not that of node {row.name} "
                f"({row.key_print}): give all nodes the same one (node.decision_key_env, or copy "
                "state_dir/keys/decisions.key)"
            )


def _renew(
    connection: sa.Connection, name: str, epoch: int, wanted: Collection[str], at: float, lease_s: float
) -> dict[str, int]:
    """Answers what is held, with tokens. Mostly there is only an end to move, or nothing: that takes no lock."""
    row, me = leases.c, (name, epoch)
    ours = (row.node == name) & (row.epoch == epoch) & (row.until > at)
    known = {one.name: one for one in connection.execute(sa.select(leases))}
    held = {
        lease: one.token for lease, one in known.items() if (one.node, one.epoch) == me and one.until > at
    }
    free = [lease for lease in wanted if lease not in known or known[lease].until <= at]
    if held.keys() <= {*wanted} and not free:
        moved = sa.update(leases).where(ours, row.name.in_(held)).values(until=at + lease_s)
        if not held or connection.execute(moved).rowcount == len(held):
            return held
    lock(connection, "leases")
    connection.execute(sa.update(leases).where(ours, row.name.not_in(wanted)).values(until=0.0))
    known = {one.name: one for one in connection.execute(sa.select(leases).where(row.name.in_(wanted)))}
    held = {}
    for lease in sorted(wanted):
        old = known.get(lease)
        values = {"node": name, "epoch": epoch, "until": at + lease_s}
        if old is None:
            connection.execute(sa.insert(leases).values(name=lease, token=1, **values))
            held[lease] = 1
        elif (old.node, old.epoch) == me or old.until <= at:
            token = old.token + ((old.node, old.epoch) != me or old.until <= at)
            connection.execute(sa.update(leases).where(row.name == lease).values(token=token, **values))
            held[lease] = token
    return held


def _rows(connection: sa.Connection, at: float) -> list[NodeRow]:
    found = []
    for row in connection.execute(sa.select(nodes).order_by(nodes.c.name)).all():
        kept = dict(row._mapping)  # noqa: SLF001  # SQLAlchemy's public name
        targets, facts = _json(kept.pop("targets"), list), _json(kept.pop("facts"), dict)
        usable = tuple(one for one in targets if isinstance(one, dict))
        found.append(NodeRow(**kept, age_s=max(at - row.seen_at, 0.0), targets=usable, facts=facts))
    return found


def _json(text: str, kind: type[Any]) -> Any:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return kind()
    return value if isinstance(value, kind) else kind()


def _bounded(value: Any, empty: str) -> str:
    text = json.dumps(value, separators=(",", ":"), default=str)
    return text if len(text) <= MAX_JSON else empty
