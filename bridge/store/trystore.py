"""Wrong passwords and codes, counted for all nodes. Part of the Store.

What is counted is named by a hash: somebody types a password where the name belongs. When and how long one waits is
the caller's rule (`Rule`), the counting is one transaction: tries at the same moment are counted one after another.
"""

from collections.abc import Callable, Mapping, Sequence

import sqlalchemy as sa

from bridge.store.database import lock
from bridge.store.sessionstore import hashed
from bridge.store.store import Store
from bridge.store.tables import console_tries

MAX_KEPT = 20_000
"""A flood of made-up names takes no more room; the oldest go first."""
_LOCK = "tries"


Rule = Callable[[Mapping[str, tuple[int, float]], float], float]
"""({name: (wrong ones, when last)}, now) -> seconds to wait; 0: go on. Times are unix seconds."""


class TryStore:
    """`forget_s`: what is older does not count."""

    def __init__(self, store: Store, forget_s: float) -> None:
        self._store = store
        self._forget_s = forget_s

    async def begin(self, names: Sequence[str], rule: Rule, now: float) -> float:
        """How long this try has to wait; 0: it goes on, and counts as wrong until `right` takes that back."""
        keys = {hashed(name): name for name in names}

        def work(connection: sa.Connection) -> float:
            lock(connection, _LOCK)
            row = console_tries.c
            rows = connection.execute(sa.select(console_tries).where(row.hash.in_(list(keys))))
            found = {
                one._mapping["hash"]: (int(one._mapping["count"]), float(one.last_at))  # noqa: SLF001  # public
                for one in rows
                if now - one.last_at <= self._forget_s
            }
            failures = {name: found.get(key, (0, 0.0)) for key, name in keys.items()}
            if wait_s := rule(failures, now):
                return wait_s
            self._tidy(connection, list(keys), now)
            new = [
                {"hash": key, "count": failures[name][0] + 1, "last_at": now} for key, name in keys.items()
            ]
            connection.execute(sa.insert(console_tries).values(new))
            return 0.0

        return await self._store.transaction("cannot count a try", work)

    async def right(self, forget: Sequence[str], take_back: Sequence[str]) -> None:
        """The try that was begun last was right: all of `forget` is forgotten, and one of each in `take_back`."""
        row = console_tries.c
        gone = sa.delete(console_tries).where(row.hash.in_([hashed(name) for name in forget]))
        less = sa.update(console_tries).where(
            row.hash.in_([hashed(name) for name in take_back]), row.count > 0
        )

        def work(connection: sa.Connection) -> None:
            connection.execute(gone)
            connection.execute(less.values(count=row.count - 1))

        await self._store.transaction("cannot count a try", work)

    def _tidy(self, connection: sa.Connection, keys: list[str], now: float) -> None:
        row = console_tries.c
        old = row.hash.in_(keys) | (row.last_at < now - self._forget_s)
        connection.execute(sa.delete(console_tries).where(old))
        newest = sa.select(row.last_at).order_by(row.last_at.desc()).offset(MAX_KEPT - 1).limit(1)
        last = connection.execute(newest).scalar_one_or_none()
        if last is not None:
            connection.execute(sa.delete(console_tries).where(row.last_at <= last))
