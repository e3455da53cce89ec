"""Who of the worker slots takes calls, who is being replaced, and why: the rules of the pool.

    FREE ──Start──► STARTING ──ready──► ACTIVE ◄──undrain/drain──► PAUSED
      ▲                 ▲ exit (supervision starts it again)
      │                 │
      └───exit─── LEAVING ◄── told to retire: takes no new calls, ends after its last one

With surge slots (the edge is there) a worker is replaced like this: a new one starts in a free slot, and when it has
said that it is ready and the edge knows it, the old one is told to retire; so never fewer than configured take calls.
Without them the old one retires first, and the new one follows in the same slot. Replacements happen one after the
other, whatever the reason: asked for (one, or all of them: a rolling restart), too many calls, too old, too much
memory or CPU. A replacement that does not get ready ends a rolling restart: what runs goes on running.
Crashes are not its matter: bridge/supervision.py starts who dies again. Called by bridge/supervisor.py; no I/O here,
`now` is monotonic seconds.
"""

import signal
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from bridge.pool.moves import Fresh, Leave, Move, PoolLimits, RosterError, Say, Stage, Start, Stop, Tell

MB_CHECKS = 2
CPU_CHECKS = 3
"""In a row: a garbage collection or a burst of calls is no reason."""


@dataclass(slots=True)
class _Slot:
    index: int
    pool: str
    stage: Stage
    life: int = 0
    since: float = 0.0
    born: float = 0.0
    ready_ms: float = 0.0
    calls: int = 0
    taken: int = 0
    max_taken: float = 0.0
    max_age_s: float = 0.0
    mb: float = 0.0
    cpu_percent: float = 0.0
    heavy: int = 0
    busy: int = 0
    stops: int = 0


@dataclass(slots=True)
class _Job:
    """Replace the worker that lives its `life` in `slot`. `patient`: without surge slots it waits for no calls."""

    slot: int
    life: int
    why: str
    rolling: bool = False
    patient: bool = False
    heir: int | None = None
    since: float = 0.0
    settled: float = float("inf")


@dataclass(slots=True)
class _Rolling:
    total: int
    replaced: int = 0
    leaving: set[int] = field(default_factory=set)


class Roster:
    """Tell it what happens to the slots; each call returns what is to be done, in order."""

    def __init__(self, slots: Sequence[tuple[str, bool]], limits: PoolLimits) -> None:
        """`slots`: pool of each slot, and whether it is a surge slot, free at the start."""
        self._slots = [
            _Slot(index, pool, Stage.FREE if surge else Stage.STARTING)
            for index, (pool, surge) in enumerate(slots)
        ]
        self._surge = any(surge for _, surge in slots)
        self._limits = limits
        self._jobs: deque[_Job] = deque()
        self._current: _Job | None = None
        self._rolling: _Rolling | None = None
        self._rest_until = 0.0
        self._stopped = False

    def pool(self, slot: int) -> str:
        """What a worker that starts in this slot now is to be: narrow or wide."""
        return self._slots[slot].pool

    # ---- what happens ----------------------------------------------------------------------------------------

    def spawned(self, slot: int, now: float, chance: float) -> None:
        """A process was started in this slot. `chance`: any number from 0 up to 1, for its own limits."""
        one, limits = self._slots[slot], self._limits
        part = 1 - limits.spread * chance
        self._slots[slot] = _Slot(
            slot,
            one.pool,
            Stage.STARTING,
            life=one.life + 1,
            since=now,
            born=now,
            max_taken=limits.recycle_after_calls * part,
            max_age_s=limits.recycle_after_s * part,
        )

    def ready(self, slot: int, now: float) -> list[Move]:
        """The worker of the slot takes calls."""
        one = self._slots[slot]
        if one.stage is Stage.STARTING:
            one.stage, one.ready_ms = Stage.ACTIVE, (now - one.since) * 1000
        job = self._current
        moves: list[Move] = []
        if job is not None and job.heir == slot:
            job.settled = now + self._limits.settle_s
            moves = self._pass_on(job, now) if now >= job.settled else []
        elif job is not None and job.heir is None and job.slot == slot and one.life > job.life:
            self._replaced(job)
            self._current = None
        return moves + self._advance(now)

    def exited(self, slot: int, now: float, *, free: bool) -> list[Move]:
        """The process of the slot is gone; `free`: no other follows by itself."""
        one = self._slots[slot]
        one.stage, one.since, one.calls = (Stage.FREE if free else Stage.STARTING), now, 0
        job = self._current
        if self._rolling is not None:
            self._rolling.leaving.discard(slot)
        moves: list[Move] = []
        if job is not None and job.heir == slot:
            moves = self._failed(job, f"the new worker in slot {slot} ended before it was ready", now)
        elif job is not None and job.heir is None and job.slot == slot:
            job.since = now
            if one.life > job.life:
                moves = self._failed(job, f"the new worker in slot {slot} ended before it was ready", now)
        return moves + self._advance(now)

    def counted(self, slot: int, calls: int, taken: int, now: float) -> list[Move]:
        """The worker carries `calls` now and has taken `taken` since its start."""
        one = self._slots[slot]
        one.calls, one.taken = calls, taken
        return self._check(one, now) + self._advance(now)

    def measured(self, slot: int, mb: float, cpu_percent: float, now: float) -> list[Move]:
        """What the worker uses: PSS in MB, percent of one core since the last check."""
        one, limits = self._slots[slot], self._limits
        one.mb, one.cpu_percent = mb, cpu_percent
        one.heavy = one.heavy + 1 if 0 < limits.max_memory_mb < mb else 0
        one.busy = one.busy + 1 if 0 < limits.max_cpu_percent < cpu_percent else 0
        return self._check(one, now) + self._advance(now)

    def tick(self, now: float) -> list[Move]:
        """What has become due."""
        if self._stopped:
            return []
        moves: list[Move] = []
        self._rest_until = self._rest_until if now < self._rest_until else 0.0
        job = self._current
        if job is not None and now >= job.settled:
            moves += self._pass_on(job, now)
        elif job is not None and now >= self._give_up(job):
            slot = job.slot if job.heir is None else job.heir
            moves += self._failed(job, f"the new worker in slot {slot} does not get ready", now)
        for one in self._slots:
            moves += [*self._overdue(one, now), *self._check(one, now)]
        return moves + self._advance(now)

    def next_due(self) -> float | None:
        """When `tick` has something to do; None: only an event can change anything."""
        if self._stopped:
            return None
        dues = [self._stop_due(one) for one in self._slots if one.stage is Stage.LEAVING]
        dues += [one.born + one.max_age_s for one in self._slots if one.max_age_s and self._unwatched(one)]
        if self._current is not None:
            dues.append(min(self._give_up(self._current), self._current.settled))
        elif self._jobs and self._rest_until:
            dues.append(self._rest_until)
        return min((due for due in dues if due != float("inf")), default=None)

    def stop(self) -> None:
        """The whole bridge stops: nobody is replaced any more."""
        self._stopped = True
        self._jobs.clear()
        self._current = self._rolling = None

    # ---- what ops ask for ------------------------------------------------------------------------------------

    def restart(self, slot: int, now: float) -> list[Move]:
        """Replace one worker. RosterError when there is none, or it is being replaced already."""
        one = self._known(slot)
        if one.stage is Stage.FREE:
            raise RosterError(f"slot {slot} is free: no worker is there to be restarted")
        if one.stage in (Stage.STARTING, Stage.LEAVING) or self._job_of(one):
            raise RosterError(f"worker {slot} is being started or replaced already")
        self._jobs.append(_Job(slot, one.life, "asked for"))
        return self._advance(now)

    def roll(self, now: float) -> list[Move]:
        """Replace all workers, one after the other; those that are drained by hand stay. RosterError when under way."""
        if self._rolling is not None:
            raise RosterError(f"a rolling restart is under way: {self._progress()}")
        old = [one for one in self._slots if one.stage in (Stage.ACTIVE, Stage.STARTING)]
        self._jobs = deque(job for job in self._jobs if all(job.slot != one.index for one in old))
        self._jobs.extend(_Job(one.index, one.life, "rolling restart", rolling=True) for one in old)
        self._rolling = _Rolling(len(old))
        moves: list[Move] = [Fresh(), Tell(f"rolling restart of {len(old)} workers")]
        moves += [
            Tell(f"worker-{one.index} is drained by hand and stays as it is")
            for one in self._slots
            if one.stage is Stage.PAUSED
        ]
        return moves + self._advance(now)

    def drain(self, slot: int) -> list[Move]:
        """The worker takes no new calls until `undrain`; it stays when its calls are over."""
        one = self._known(slot)
        if one.stage is not Stage.ACTIVE:
            raise RosterError(f"worker {slot} is {one.stage.value}: only an active one can be drained")
        one.stage = Stage.PAUSED
        return [Say(slot, "pause"), Tell(f"worker-{slot} drains: asked for")]

    def undrain(self, slot: int) -> list[Move]:
        """The worker takes calls again."""
        one = self._known(slot)
        if one.stage is not Stage.PAUSED:
            raise RosterError(f"worker {slot} is {one.stage.value}: only a drained one can be undrained")
        one.stage = Stage.ACTIVE
        return [Say(slot, "resume"), Tell(f"worker-{slot} takes calls again")]

    def status(self, now: float) -> dict[str, Any]:
        """Slots, and the rolling restart when one is under way. Plain values for JSON."""
        workers = [
            {
                "slot": one.index,
                "pool": one.pool,
                "state": one.stage.value,
                "calls": one.calls,
                "taken": one.taken,
                "age_s": round(now - one.born, 1) if one.life and one.stage is not Stage.FREE else 0.0,
                "ready_ms": round(one.ready_ms, 1),
                "memory_mb": round(one.mb, 1),
                "cpu_percent": round(one.cpu_percent, 1),
                "life": one.life,
                "why": next((job.why for job in self._all_jobs() if job.slot == one.index), ""),
            }
            for one in self._slots
        ]
        return {"workers": workers, "rolling": self._progress()}

    # ---- the rules -------------------------------------------------------------------------------------------

    def _known(self, slot: int) -> _Slot:
        if not 0 <= slot < len(self._slots):
            raise RosterError(f"there is no slot {slot}: they are 0 to {len(self._slots) - 1}")
        return self._slots[slot]

    def _all_jobs(self) -> list[_Job]:
        return [*([self._current] if self._current else []), *self._jobs]

    def _job_of(self, one: _Slot) -> bool:
        return any((job.slot, job.life) == (one.index, one.life) for job in self._all_jobs())

    def _unwatched(self, one: _Slot) -> bool:
        return one.stage is Stage.ACTIVE and not self._job_of(one)

    def _check(self, one: _Slot, now: float) -> list[Move]:
        """Whether a worker has to be replaced for what it has become."""
        if self._stopped or not self._unwatched(one):
            return []
        limits, patient, why = self._limits, False, ""
        if one.heavy >= MB_CHECKS:
            why = f"it uses {one.mb:.0f} MB of memory (pool.max_memory_mb: {limits.max_memory_mb:g})"
        elif one.busy >= CPU_CHECKS:
            why = f"it uses {one.cpu_percent:.0f} % of a core (pool.max_cpu_percent: {limits.max_cpu_percent:g})"
        elif one.max_taken and one.taken >= one.max_taken:
            why, patient = f"it has carried {one.taken} calls (pool.recycle_after_calls)", True
        elif one.max_age_s and now - one.born >= one.max_age_s:
            why, patient = f"it is {(now - one.born) / 3600:.1f} hours old (pool.recycle_after_h)", True
        if not why:
            return []
        self._jobs.append(_Job(one.index, one.life, why, patient=patient))
        return [Tell(f"worker-{one.index} will be replaced: {why}")]

    def _advance(self, now: float) -> list[Move]:
        """Begin the next replacement, when none is under way and there is room for it."""
        if self._stopped or self._current is not None:
            return []
        self._jobs = deque(job for job in self._jobs if self._stands(job))
        moves: list[Move] = []
        for job in list(self._jobs):
            one = self._slots[job.slot]
            if one.stage is Stage.STARTING or (now < self._rest_until and not job.rolling):
                continue
            begun = self._begin_beside(job, one) if self._surge else self._begin_in_place(job, one)
            if begun:
                self._jobs.remove(job)
                job.since = now
                self._current = job
                moves = begun
                one.since = now
                break
        return moves + self._finish_rolling()

    def _stands(self, job: _Job) -> bool:
        """Whether the worker that a job is about is still there. One that died meanwhile has been replaced by that."""
        one = self._slots[job.slot]
        if job.rolling and one.stage is Stage.PAUSED:  # by hand, meanwhile
            return False
        stands = one.life == job.life and one.stage in (Stage.ACTIVE, Stage.PAUSED, Stage.STARTING)
        if not stands:
            self._replaced(job)
        return stands

    def _begin_beside(self, job: _Job, old: _Slot) -> list[Move]:
        free = next((one for one in self._slots if one.stage is Stage.FREE), None)
        if free is None:
            return []
        free.stage, free.pool, job.heir = Stage.STARTING, old.pool, free.index
        return [Tell(f"worker-{job.slot} is replaced by worker-{free.index}: {job.why}"), Start(free.index)]

    def _begin_in_place(self, job: _Job, old: _Slot) -> list[Move]:
        others_down = any(one.stage in (Stage.STARTING, Stage.LEAVING) for one in self._slots)
        if others_down or (job.patient and old.calls):
            return []
        old.stage = Stage.LEAVING
        return [
            Tell(f"worker-{job.slot} drains and is replaced: {job.why}"),
            Leave(job.slot, again=True),
            Say(job.slot, "retire"),
        ]

    def _pass_on(self, job: _Job, now: float) -> list[Move]:
        """The heir takes calls: the old one may go, or whoever followed it in its slot when it crashed meanwhile."""
        old = self._slots[job.slot]
        self._current = None
        self._replaced(job)
        if old.stage is Stage.FREE:
            return []
        old.stage, old.since, old.stops = Stage.LEAVING, now, 0
        if job.rolling and self._rolling is not None:
            self._rolling.leaving.add(job.slot)
        return [Leave(job.slot, again=False), Say(job.slot, "retire")]

    def _replaced(self, job: _Job) -> None:
        if job.rolling and self._rolling is not None:
            self._rolling.replaced += 1

    def _failed(self, job: _Job, what: str, now: float) -> list[Move]:
        """The replacement does not come: the old ones go on, and nothing else is replaced for a while."""
        self._current, self._rest_until = None, now + self._limits.rest_s
        moves: list[Move] = [Tell(f"worker-{job.slot} is not replaced: {what}")]
        if job.heir is not None:
            self._slots[job.heir].stage = Stage.LEAVING
            moves += [Leave(job.heir, again=False), Stop(job.heir, signal.SIGKILL)]
        if job.rolling and self._rolling is not None:
            moves.append(
                Tell(f"the rolling restart ends here: {self._progress()}; the others go on as they are")
            )
            self._jobs = deque(one for one in self._jobs if not one.rolling)
            self._rolling = None
        return moves

    def _finish_rolling(self) -> list[Move]:
        if self._rolling is None or self._rolling.leaving or any(job.rolling for job in self._all_jobs()):
            return []
        done = self._progress()
        self._rolling = None
        return [Tell(f"the rolling restart is done: {done}")]

    def _progress(self) -> str:
        rolling = self._rolling
        if rolling is None:
            return ""
        text = f"{rolling.replaced} of {rolling.total} replaced"
        return f"{text}, {len(rolling.leaving)} still with calls" if rolling.leaving else text

    def _give_up(self, job: _Job) -> float:
        """When a replacement counts as failed. One that waits for its slot to become empty has no such time."""
        if job.settled < float("inf") or (job.heir is None and self._slots[job.slot].stage is Stage.LEAVING):
            return float("inf")
        return job.since + self._limits.ready_s

    def _stop_due(self, one: _Slot) -> float:
        if one.stops > 1:
            return float("inf")
        return one.since + self._limits.leave_s + (self._limits.stop_s if one.stops else 0.0)

    def _overdue(self, one: _Slot, now: float) -> list[Move]:
        """A retired worker that does not end: asked to stop, which ends its calls, and killed at last."""
        if one.stage is not Stage.LEAVING or now < self._stop_due(one):
            return []
        one.stops += 1
        number = signal.SIGTERM if one.stops == 1 else signal.SIGKILL
        return [Tell(f"worker-{one.index} has not left: {number.name}"), Stop(one.index, number)]
