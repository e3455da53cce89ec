"""Whether those whose streams are open still may: one look at the store for all of them, every other second.

    stream ─still?─► Standing ─(nobody has looked for every_s)─► SessionStore.users, UserStore.holders
                         └──── else what the last look found

Who signs out, is disabled, changed or removed, or whose token is taken back, sees nothing more after every_s and the
stream's own pause. Nothing runs while no stream is open. On control's loop.
"""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping

from bridge.errors import StoreError
from bridge.store.userstore import User

LOOK_EVERY_S = 2.0
Look = Callable[[Collection[str], float], Awaitable[Mapping[str, User]]]
"""(keys, now in unix seconds) -> whose they are; those that are nobody's any more are not in it."""


class Standing:
    """`look`: of keys, such as a session's secret or a token's id. `clock`: monotonic seconds."""

    def __init__(
        self, look: Look, every_s: float = LOOK_EVERY_S, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._look = look
        self._every_s = every_s
        self._clock = clock
        self._open: Counter[tuple[str, User]] = Counter()
        self._asked: frozenset[tuple[str, User]] = frozenset()
        self._found: Mapping[str, User] = {}
        self._looked_at = float("-inf")
        self._turn = asyncio.Lock()

    @contextlib.contextmanager
    def open(self, key: str, user: User) -> Iterator[None]:
        """A stream of this user, who has this key. Opened after the last look it is judged by the next."""
        self._open[key, user] += 1
        try:
            yield
        finally:
            self._open[key, user] -= 1
            self._open += Counter()  # forgets who has none

    async def still(self, key: str, user: User) -> bool:
        """Whether the key is still that of this user, as they were. While the store is slow or away: as known last."""
        if self._clock() - self._looked_at >= self._every_s and not self._turn.locked():
            async with self._turn:  # one looks; a slow store holds up no other stream
                await self._see()
        return (key, user) not in self._asked or self._found.get(key) == user

    async def _see(self) -> None:
        asked = frozenset(self._open)
        with contextlib.suppress(StoreError):  # then it is looked at the next time
            self._found = await self._look({key for key, _ in asked}, time.time())
            self._asked = asked
        self._looked_at = self._clock()
