"""Who wants to see what changes: how they hear of it, how they share a look, and whether there is anybody at all."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable


class Bell:
    """`rung`: how often. Nothing is queued: who comes again looks at what there is then."""

    def __init__(self) -> None:
        self.rung = 0
        self._event = asyncio.Event()

    def ring(self) -> None:
        """There is something new."""
        self.rung += 1
        event, self._event = self._event, asyncio.Event()
        event.set()

    async def wait(self, known: int, within_s: float) -> int:
        """`rung`, as soon as it is not `known` any more; `known` again after so long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while self.rung == known:
                    await self._event.wait()
        return self.rung


class Looks:
    """Of those who ask for a look while one runs, all that come too late for it share the next one."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._turn = asyncio.Lock()
        self._began_at = float("-inf")

    async def share(self, look: Callable[[], Awaitable[None]]) -> None:
        """Back when a look that began after this was asked for has ended. Raises what it raises."""
        asked_at = self._clock()
        async with self._turn:
            if self._began_at > asked_at:  # it began while this one waited
                return
            before, self._began_at = self._began_at, self._clock()
            try:
                await look()
            except BaseException:
                self._began_at = before
                raise


class Watchers:
    """Those who want something kept up to date; whoever does that rests while there is nobody."""

    def __init__(self) -> None:
        self._count = 0
        self._some = asyncio.Event()

    @contextlib.asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        """Be one of them, inside of it."""
        self._count += 1
        self._some.set()
        try:
            yield
        finally:
            self._count -= 1
            if not self._count:
                self._some.clear()

    async def some(self, within_s: float | None = None) -> None:
        """Wait until there is somebody, or for so long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._some.wait()
