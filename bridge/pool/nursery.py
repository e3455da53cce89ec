"""Which process becomes which worker: spares that were forked ahead, forks under way, workers that wait for one.

    want(name) ──► a spare is idle: Adopt      zygote up: AskFork … born(pid) ──► Adopt
                                               zygote away, or too slow: Exec (slow, but always possible)

A spare is a process that the zygote (bridge/zygote.py) has forked and that waits for its slot's configuration. As many
as are configured are kept ready, and one more for every worker that waits. Whoever waits longer than `patience_s` is
started the slow way; a zygote that answers nothing for `fork_s` is ended, so that supervision starts another, and one
that ends twice before it was ever up is not waited for any more. Spares that die by themselves, three in a row, stop
the asking for `rest_s`: something is wrong with the image.
Called by bridge/supervisor.py; no I/O here, `now` is monotonic seconds.
"""

from dataclasses import dataclass

MAX_ASKED = 4
"""Forks asked for at once: the zygote makes one after the other anyway."""
MAX_DEATHS = 3
MAX_STILLBORN = 2


@dataclass(frozen=True, slots=True)
class NurseryLimits:
    """`spares`: kept ready; None: there is no zygote, every worker is started the slow way. Seconds."""

    spares: int | None = None
    patience_s: float = 5.0
    fork_s: float = 3.0
    rest_s: float = 30.0


@dataclass(frozen=True, slots=True)
class AskFork:
    """Have the zygote fork a process; its answer names `request`."""

    request: int


@dataclass(frozen=True, slots=True)
class Adopt:
    """Spare `pid` is worker `name` from now on: give it its configuration."""

    name: str
    pid: int


@dataclass(frozen=True, slots=True)
class Exec:
    """Start worker `name` by exec."""

    name: str


@dataclass(frozen=True, slots=True)
class Drop:
    """End spare `pid`: nobody needs it."""

    pid: int


@dataclass(frozen=True, slots=True)
class ZygoteStuck:
    """End the zygote: it does not answer."""


Step = AskFork | Adopt | Exec | Drop | ZygoteStuck


class Nursery:
    """Tell it what happens; each call returns what is to be done, in order."""

    def __init__(self, limits: NurseryLimits) -> None:
        self._limits = limits
        self._up = False
        self._stopped = False
        self._requests = 0
        self._asked: dict[int, float] = {}
        self._idle: list[int] = []
        self._waiting: dict[str, float] = {}
        self._deaths = 0
        self._stillborn = 0
        self._rest_until = 0.0

    @property
    def idle(self) -> int:
        """Spares that could become a worker now."""
        return len(self._idle)

    def zygote_up(self, now: float) -> list[Step]:
        """A zygote has loaded everything; what was asked of the one before is void."""
        self._up, self._deaths, self._stillborn, self._rest_until = True, 0, 0, 0.0
        self._asked.clear()
        return self._steps(now)

    def zygote_gone(self, now: float) -> list[Step]:
        """It is dead; the spares it made live on."""
        self._stillborn += not self._up
        self._up = False
        self._asked.clear()
        return self._steps(now)

    def want(self, name: str, now: float) -> list[Step]:
        """Worker `name` is to be started."""
        self._waiting[name] = now
        return self._steps(now)

    def cancel(self, name: str) -> bool:
        """Worker `name` is not wanted any more. False: it was not waiting."""
        return self._waiting.pop(name, None) is not None

    def born(self, request: int, pid: int, now: float) -> list[Step]:
        """The zygote has forked `pid`. One that nobody asked this zygote for is dropped."""
        if self._asked.pop(request, None) is None or self._stopped:
            return [Drop(pid)]
        self._idle.append(pid)
        return self._steps(now)

    def died(self, pid: int, now: float) -> list[Step]:
        """A spare ended without having been adopted."""
        if pid not in self._idle:
            return []
        self._idle.remove(pid)
        self._deaths += 1
        if self._deaths >= MAX_DEATHS:
            self._deaths, self._rest_until = 0, now + self._limits.rest_s
        return self._steps(now)

    def fresh(self) -> list[Step]:
        """The image on disk may be another one: what was forked from the old one is not used any more."""
        dropped: list[Step] = [Drop(pid) for pid in self._idle]
        self._idle.clear()
        self._asked.clear()
        self._up = False
        return dropped

    def stop(self) -> list[Step]:
        """Everything ends: no spares any more."""
        self._stopped = True
        self._waiting.clear()
        return self.fresh()

    def tick(self, now: float) -> list[Step]:
        """What has become due."""
        if self._up and any(now - since >= self._limits.fork_s for since in self._asked.values()):
            self._up = False
            self._asked.clear()
            return [ZygoteStuck(), *self._steps(now)]
        return self._steps(now)

    def next_due(self) -> float | None:
        """When `tick` has something to do; None: only an event can change anything."""
        dues = [since + self._limits.fork_s for since in self._asked.values()]
        dues += [since + self._limits.patience_s for since in self._waiting.values()]
        if self._rest_until and self._up:
            dues.append(self._rest_until)
        return min(dues, default=None)

    def _steps(self, now: float) -> list[Step]:
        if self._stopped:
            return []
        steps: list[Step] = []
        for name, since in list(self._waiting.items()):
            if self._idle:
                self._deaths = 0
                steps.append(Adopt(name, self._idle.pop(0)))
            elif self._slow(now - since, now):
                steps.append(Exec(name))
            else:
                continue
            del self._waiting[name]
        return steps + self._ask(now)

    def _slow(self, waited_s: float, now: float) -> bool:
        """Whether who has waited so long is better started without the zygote."""
        hopeless = self._limits.spares is None or self._stillborn >= MAX_STILLBORN
        return hopeless or now < self._rest_until or waited_s >= self._limits.patience_s

    def _ask(self, now: float) -> list[Step]:
        if not self._up or self._limits.spares is None or now < self._rest_until:
            return []
        self._rest_until = 0.0
        missing = self._limits.spares + len(self._waiting) - len(self._idle) - len(self._asked)
        steps: list[Step] = []
        for _ in range(min(missing, MAX_ASKED - len(self._asked))):
            self._requests += 1
            self._asked[self._requests] = now
            steps.append(AskFork(self._requests))
        return steps
