"""Which entries of Kamailio's dispatcher get calls: workers and Kamailio's own list in, set_state orders out.

    targets (links, other nodes) ─┐
    dispatcher.list ──────────────┴► Dispatch.sync ──► SetState(set, uri, "ap" | "i") …, or a reload for new places

Every place has GENERATIONS entries (tables.py) of which at most one is in use: the one that counts the calls of the
worker that lives there now. When a worker died with calls up, the next life takes an entry that counts nothing.

    unused ──a life begins──► in use (active, probed) ──draining──► in use (no new calls) ──gone──► unused

Sans-IO. Used by control alone (bridge/control_edge.py).
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bridge.edge.tables import GENERATIONS, Entry, entries
from bridge.edge.target import SETS, Target

ACTIVE, INACTIVE = "ap", "i"
"""Kamailio's words: active and probed by OPTIONS; inactive."""
GONE_S = 3.0
"""A worker comes back to the link within a second when only the link broke."""
FORGET_S = 600.0
"""A place of another node where nobody has been for so long is dropped when the list is read anew anyway."""
_GENERATION = re.compile(r"(.+);g=(\d+)\Z")


@dataclass(frozen=True, slots=True)
class Listed:
    """One entry as Kamailio shows it. `flags`: two letters, state (A, T, I, D) and probing (P, X)."""

    set_id: int
    uri: str
    flags: str
    load: int


@dataclass(frozen=True, slots=True)
class SetState:
    """Arguments of the RPC dispatcher.set_state."""

    state: str
    set_id: int
    uri: str


@dataclass(frozen=True, slots=True)
class Orders:
    """What Kamailio has to be told. `reload`: it knows too few places; its counts of calls begin at zero then."""

    states: tuple[SetState, ...]
    reload: bool


@dataclass(slots=True)
class _Life:
    boot: str
    generation: int


def listed(answer: Any) -> list[Listed]:
    """The result of the RPC dispatcher.list; what cannot be read is left out."""
    found = []
    for record in _list(_dict(answer).get("RECORDS")):
        one = _dict(_dict(record).get("SET"))
        for target in _list(one.get("TARGETS")):
            entry = _dict(_dict(target).get("DEST"))
            load = _dict(entry.get("RUNTIME")).get("DLGLOAD", 0)
            if isinstance(entry.get("URI"), str) and isinstance(one.get("ID"), int):
                found.append(
                    Listed(one["ID"], entry["URI"], str(entry.get("FLAGS", "")), int(load) if load else 0)
                )
    return found


class Dispatch:
    """`places`: (URI, calls) of our own slots, known before any worker is there; other nodes' are learned."""

    def __init__(
        self,
        places: Iterable[tuple[str, int]],
        lives: Mapping[str, tuple[str, int]] | None = None,
        probe_every_s: float = 5.0,
    ) -> None:
        self._places = dict(places)
        self._own = frozenset(self._places)
        self._seen: dict[str, float] = {}
        self._probe_every_s = probe_every_s
        self._asked: dict[tuple[int, str], float] = {}
        self._lives = {uri: _Life(boot, generation) for uri, (boot, generation) in (lives or {}).items()}
        self._wanted: set[tuple[str, str]] = set()
        self._missing: dict[str, float] = {}
        self._over: set[tuple[str, str]] = set()

    @property
    def lives(self) -> dict[str, tuple[str, int]]:
        """Which entry of each place counts for which life of its worker; to be kept over a restart of control."""
        return {uri: (life.boot, life.generation) for uri, life in self._lives.items()}

    @property
    def lines(self) -> list[Entry]:
        """All lines of the dispatcher's list."""
        return entries(sorted(self._places.items()))

    @property
    def in_use(self) -> set[tuple[str, str]]:
        """(pool, dispatcher URI) of what gets calls."""
        return set(self._wanted)

    @property
    def addresses(self) -> set[str]:
        """URIs of all places."""
        return set(self._places)

    def sync(
        self, targets: Sequence[Target], shown: Sequence[Listed], now: float, *, settled: bool = True
    ) -> Orders:
        """Bring what Kamailio shows in line with the workers there are.

        `settled` false: workers that are not among `targets` may only not have told yet, and stay as they are.
        """
        loads = {(one.set_id, one.uri): one for one in shown}
        if any(target.uri not in self._places for target in targets):
            self._forget({target.uri for target in targets}, now)
        for target in targets:
            self._places[target.uri] = target.max_calls
            self._seen[target.uri] = now
            self._live(target, loads)
        wanted: set[tuple[str, str]] = {
            (target.pool, f"{target.uri};g={self._lives[target.uri].generation}")
            for target in targets
            if target.state == "active"
        }
        if not settled:
            told = {target.uri for target in targets}
            wanted |= {one for one in self._wanted | _active(shown) if _place(one[1]) not in told}
        for pool, uri in wanted - self._wanted:  # whatever probes found of the one that was there before
            self._asked.pop((SETS[pool], uri), None)
        self._wanted = wanted
        missing = any((line.set_id, line.dispatcher_uri) not in loads for line in self.lines)
        return Orders(tuple(self._states(shown, now)), reload=missing)

    def lost(self, targets: Sequence[Target], now: float) -> list[tuple[str, int]]:
        """(URI, generation) of lives that have ended, each once: whoever is on a call with one hears nobody any more.

        Before `sync`, which forgets the life before. A life is over when another one is at its place, or when nobody
        has been there for GONE_S: a link that broke is back before that.
        """
        here = {target.uri: target.boot for target in targets}
        found = []
        for uri, life in self._lives.items():
            boot = here.get(uri)
            if boot == life.boot or (uri, life.boot) in self._over:
                self._missing.pop(uri, None)
                continue
            if boot is None and now - self._missing.setdefault(uri, now) < GONE_S:
                continue
            self._missing.pop(uri, None)
            self._over.add((uri, life.boot))
            found.append((uri, life.generation))
        self._over &= {(uri, life.boot) for uri, life in self._lives.items()}
        return found

    def _forget(self, here: set[str], now: float) -> None:
        """Nodes come and go (a pod has a new address each time); what is at an old one by now is no worker of ours."""
        known = {*self._places, *self._lives} - self._own - here
        for uri in [uri for uri in known if now - self._seen.setdefault(uri, now) > FORGET_S]:
            for told in (self._places, self._lives, self._seen, self._missing):
                told.pop(uri, None)
            self._asked = {key: at for key, at in self._asked.items() if _place(key[1]) != uri}
            self._wanted = {one for one in self._wanted if _place(one[1]) != uri}

    def _live(self, target: Target, loads: Mapping[tuple[int, str], Listed]) -> None:
        before = self._lives.get(target.uri)
        if before is not None and before.boot == target.boot:
            if (target.uri, target.boot) not in self._over:
                return
            self._over.discard(
                (target.uri, target.boot)
            )  # it is back; its calls were ended, their counts are left

        def load(generation: int) -> int:
            uri = f"{target.uri};g={generation}"
            return sum(loads[number, uri].load for number in SETS.values() if (number, uri) in loads)

        first = before.generation if before is not None else 0
        order = [(first + step) % GENERATIONS for step in range(GENERATIONS)]
        self._lives[target.uri] = _Life(target.boot, min(order, key=load))
        self._wanted = {one for one in self._wanted if _place(one[1]) != target.uri}

    def _states(self, shown: Sequence[Listed], now: float) -> Iterable[SetState]:
        """Kamailio ends the probing of an entry that answers (ds_probing_mode 0), so it is ordered again and again."""
        wanted = {(SETS[pool], uri) for pool, uri in self._wanted}
        for one in shown:
            key = (one.set_id, one.uri)
            if _place(one.uri) not in self._places:
                continue
            if key not in wanted:
                if one.flags != "IX":
                    yield SetState(INACTIVE, one.set_id, one.uri)
            elif self._due(key, one.flags, now):
                self._asked[key] = now
                yield SetState(ACTIVE, one.set_id, one.uri)

    def _due(self, key: tuple[int, str], flags: str, now: float) -> bool:
        asked = self._asked.get(key)
        if asked is None or flags == "IX":
            return True
        return "P" not in flags and now - asked >= self._probe_every_s  # with it the probes decide


def _active(shown: Sequence[Listed]) -> set[tuple[str, str]]:
    names = {number: pool for pool, number in SETS.items()}
    return {(names[one.set_id], one.uri) for one in shown if one.set_id in names and one.flags != "IX"}


def _place(uri: str) -> str:
    found = _GENERATION.match(uri)
    return found[1] if found else uri


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
