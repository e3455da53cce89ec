"""Control's desk for calls that the bridge places: judges wishes, dials when it is their turn, follows them to the end.

    asked ──policy──► queued ──due, pacing, a free line──► dialling ──PlaceCall──► worker
                        ▲                                     │   events of the call, from the store
                        └────────── retry ◄── after() ◄───────┘

Everything is in the store, so control may die at any moment: what is `dialling` was written before the worker was told
and is never told again; what became of it is read from the call's events, whoever stored them. A job of which no event
comes is `unknown`. One loop, one job after the other; the rules are in bridge/outbound.
"""

import asyncio
import time
import uuid
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Protocol

import structlog

from bridge.control_callback import VIA, expired, too_many
from bridge.control_health import Metric
from bridge.control_outbound_requests import is_sealed
from bridge.control_spent import SpentWishes
from bridge.dialplan.plan import Plan
from bridge.errors import StoreError
from bridge.link.messages import HangUp, Message, PlaceCall
from bridge.localday import midnight
from bridge.outbound.job import (
    FINAL,
    OPEN,
    Fact,
    Job,
    accepted,
    after,
    cancelled,
    dialled,
    lost,
    not_placed,
    refused,
    waits,
)
from bridge.outbound.number import Number, NumberError, read
from bridge.outbound.policy import Counts, Refusal, Rules, never, not_now
from bridge.outbound.rules import rules_of
from bridge.store.outboundstore import OutboundStore

log = structlog.get_logger(__name__)

LOOK_S = 0.2
IDLE_LOOK_S = 0.5
PLACE_S = 20.0
"""A call of which nothing was heard for so long after it was given to a worker (and since control is up) is lost."""
MAX_TOLD = 1000
"""Calls that were told to hang up; told twice does no harm."""
MAX_AGE_S = 30 * 86_400.0
"""An older wish is asked for anew: who could write the database would else have any old one dialled again."""
NOT_PLACED_MOST = 10
"""So often may a call be handed out beyond its tries, because no line was free after all."""
LATER_S = 600.0
"""A number that has had its calls for the day is looked at again after this."""


class WorkerPeer(Protocol):
    """The part of link.server.Peer that is needed."""

    @property
    def hello(self) -> Any: ...
    @property
    def status(self) -> Mapping[str, Any]: ...


class Workers(Protocol):
    """The part of link.server.LinkServer that is needed."""

    def peers(self) -> Sequence[WorkerPeer]:
        """The connected workers."""

    def tell(self, boot: str, message: Message) -> bool:
        """Say something to one worker process; False: it is not there."""


@dataclass(frozen=True, slots=True)
class OutboundDeps:
    """What it works with. `key`: of the seal. `max_calls`: lines of a worker. `now`: unix seconds.

    `spent`: what was dialled already, where whoever can write the store cannot write. `may_dial()`: this node begins
    new calls. Several nodes work on one store: a job's version and the lock in `OutboundStore.dial` keep them apart.
    """

    store: OutboundStore
    workers: Workers
    key: bytes
    max_calls: int
    spent: SpentWishes
    now: Callable[[], float] = time.time
    may_dial: Callable[[], bool] = lambda: True


class OutboundOffice:
    """`run` works for ever; `take_plan` says by which rules."""

    def __init__(self, deps: OutboundDeps) -> None:
        self._deps = deps
        self._store = deps.store
        self._plan: Plan | None = None
        self._rules: Rules | None = None
        self._ruling: Plan | None = None
        """The plan that `_rules` are of: a turn judges and dials by one plan, whatever comes meanwhile."""
        self._since = deps.now()
        self._told: deque[str] = deque(maxlen=MAX_TOLD)
        self._at_work: Counter[str] = Counter()
        self._ended: Counter[str] = Counter()

    def take_plan(self, plan: Plan | None) -> None:
        """The plan in force from now on."""
        self._plan = plan

    def metrics(self) -> tuple[Metric, Metric]:
        """Jobs that are due or under way, and what became of those that are over."""
        states = ("asked", "queued", *OPEN, "unknown")
        work = tuple(({"state": state}, float(self._at_work[state])) for state in states)
        over = tuple(({"outcome": state}, float(self._ended[state])) for state in FINAL)
        return (
            Metric("sipbridge_outbound_jobs", "gauge", "Outbound jobs that are due or under way.", work),
            Metric(
                "sipbridge_outbound_ended_total", "counter", "Outbound jobs that are over, by outcome.", over
            ),
        )

    async def run(self) -> None:
        """Until cancelled."""
        failing = False
        while True:
            try:
                await self.turn()
                failing = False
            except StoreError as error:
                if not failing:
                    log.warning("outbound.store", reason=str(error))
                failing = True
            await asyncio.sleep(LOOK_S if self._at_work else IDLE_LOOK_S)

    async def turn(self) -> None:
        """Carry every job on as far as it goes now. Raises StoreError."""
        if self._plan is not self._ruling:
            plan = self._plan
            self._rules, self._ruling = await asyncio.to_thread(rules_of, plan), plan
        jobs = await self._store.work(self._deps.now())
        self._at_work = Counter(job.state for job in jobs)
        followed = [job for job in jobs if job.call_id and job.state in (*OPEN, "unknown")]
        facts = await self._store.facts([job.call_id for job in followed])
        for job in followed:
            await self._follow(job, facts.get(job.call_id, []))
        for job in jobs:
            if job.state == "asked":
                await self._rule(job)
        await self._dial_due([job for job in jobs if job.state == "queued"], followed)

    async def not_placed(self, boot: str, data: Mapping[str, Any]) -> dict[str, Any]:
        """The worker process that was told to dial says that it has not (request "outbound.not_placed")."""
        job = await self._store.by_call(str(data.get("call_id")))
        if job is not None and job.state == "dialling" and job.boot == boot:
            await self._unplaced(job, str(data.get("reason", "")))
        return {}

    # ---- wishes ------------------------------------------------------------------------------------------------

    async def _rule(self, job: Job) -> None:
        now = self._deps.now()
        if job.cancel:
            await self._keep(cancelled(job))
            return
        number, why = self._judge(job)
        if number is None:
            await self._keep(refused(job, why))
            return
        why = await self._too_many(job, number.e164)
        if why:
            await self._keep(refused(job, why))
            return
        refusal = None
        # Who asks for one call wants to know; a campaign waits, and so does a caller who wants to be called back.
        if not job.wish.campaign and job.wish.via != VIA:
            refusal = not_now(number, self._rules, await self._counts(number.e164), _local(now))
        if refusal is not None and refusal.until != "soon":
            await self._keep(refused(job, refusal.reason))
        else:
            await self._keep(accepted(job, number.e164, now))

    async def _too_many(self, job: Job, number: str) -> str:
        if job.wish.via != VIA or self._rules is None:
            return ""
        others = await self._store.wishes(VIA)
        return too_many(job, number, others, self._rules.outbound.per_day, self._deps.now())

    def _judge(self, job: Job) -> tuple[Number | None, str]:
        """The number, if it may ever be dialled by the rules of now; else why not."""
        wrong = self._stale(job)
        if wrong:
            return None, wrong
        try:
            number = read(job.wish.number, self._rules.outbound.region if self._rules else None)
        except NumberError as error:
            return None, str(error)
        refusal = never(number, self._rules)
        wrong = refusal.reason if refusal and refusal.until == "never" else self._no_steps(job.wish.run)
        if wrong:
            return None, wrong
        if job.number and job.number != number.e164:
            return None, "the number is not the one that was asked for"
        return number, ""

    def _stale(self, job: Job) -> str:
        """Why it is no wish that somebody of this bridge still waits for."""
        if not is_sealed(self._deps.key, job):
            return "nobody of this bridge has asked for it: the seal is wrong"
        if self._deps.now() - job.wish.asked_at > MAX_AGE_S:
            return f"it was asked for more than {MAX_AGE_S / 86_400:.0f} days ago: ask again"
        if expired(job, self._deps.now()):
            return "the caller wanted to be called back a day ago"
        retries = self._rules.outbound.retries if self._rules else ()
        most = 1 + max((one.times for one in retries), default=0) + NOT_PLACED_MOST
        return self._deps.spent.refuses(job.job_id, most, self._deps.now())

    def _no_steps(self, run: str) -> str:
        kind, _, name = run.partition(":")
        plan = self._ruling
        if not run or plan is None:
            return ""
        names = [one.name for one in (plan.agents if kind == "agent" else plan.routes)]
        return "" if name in names else f"the dialplan has no {kind} {name}"

    # ---- dialling ----------------------------------------------------------------------------------------------

    async def _dial_due(self, due: Sequence[Job], followed: Sequence[Job]) -> None:
        used: dict[str, int] = {}
        for job in followed:
            used[job.boot] = used.get(job.boot, 0) + (job.state in OPEN)
        for job in due:
            if job.cancel:
                await self._keep(cancelled(job))
            elif not self._deps.may_dial() or not await self._dial(job, used):
                return

    async def _dial(self, job: Job, used: dict[str, int]) -> bool:
        """Dial it if it may be now. False: nothing can be dialled now."""
        now = self._deps.now()
        number, why = self._judge(job)
        if number is None:
            await self._keep(refused(job, why))
            return True
        refusal = never(number, self._rules) or not_now(
            number, self._rules, await self._counts(number.e164), _local(now)
        )
        boot = self._free_worker(used)
        if refusal is None and boot is None:
            refusal = Refusal("no worker has a free line", "soon", all=True)
        if refusal is not None:
            return await self._wait(job, refusal, now)
        used[str(boot)] = used.get(str(boot), 0) + 1
        job = replace(job, number=number.e164)  # what is counted is what is dialled
        await self._place(dialled(job, uuid.uuid4().hex, str(boot), now), number)
        return True

    async def _wait(self, job: Job, refusal: Refusal, now: float) -> bool:
        due_at = job.due_at if refusal.all else now + LATER_S
        if job.reason != refusal.reason or due_at != job.due_at:
            await self._keep(waits(job, refusal.reason, due_at))
        return not refusal.all

    async def _place(self, job: Job, number: Number) -> None:
        """The try is stored, then the worker is told: once."""
        now, rules, plan = job.dialled_at, self._rules, self._ruling
        if plan is None or not await self._store.dial(
            job, midnight(now), lambda counts: not_now(number, rules, counts, _local(now)) is None
        ):
            return
        await asyncio.to_thread(self._deps.spent.placed, job.job_id, self._deps.now())
        order = PlaceCall(job.call_id, number.e164, plan.version, job.wish.run, dict(job.wish.variables))
        log.info("outbound.placed", call_id=job.call_id, job_id=job.job_id, attempt=job.attempts)
        if not self._deps.workers.tell(job.boot, order):
            await self._unplaced(job, "the worker went away")

    async def _unplaced(self, job: Job, reason: str) -> None:
        """We know it ourselves, not from the store: it costs nothing."""
        await asyncio.to_thread(self._deps.spent.not_placed, job.job_id, self._deps.now())
        await self._unplace(job, reason)

    async def _unplace(self, job: Job, reason: str) -> None:
        log.info("outbound.not_placed", call_id=job.call_id, job_id=job.job_id, reason=reason)
        await self._store.not_placed(not_placed(job, reason, self._deps.now()), job.call_id)

    def _free_worker(self, used: Mapping[str, int]) -> str | None:
        """The worker process with the most free lines. What it told last may be seconds old, so ours count too."""
        lines = {
            str(peer.hello.boot): max(int(peer.status.get("calls", 0)), used.get(str(peer.hello.boot), 0))
            for peer in self._deps.workers.peers()
        }
        best = min(lines, key=lambda boot: lines[boot], default=None)
        return best if best is not None and lines[best] < self._deps.max_calls else None

    async def _counts(self, number: str) -> Counts:
        now = self._deps.now()
        return await self._store.counts(number, midnight(now), now)

    # ---- following ---------------------------------------------------------------------------------------------

    async def _follow(self, job: Job, facts: Sequence[Fact]) -> None:
        now = self._deps.now()
        new = after(job, facts, self._rules.outbound if self._rules else None, now)
        if new is not job:
            if new.call_id != job.call_id:  # it was not dialled after all
                await self._unplace(job, new.reason)
            else:
                await self._keep(new)
            return
        if job.state == "unknown":
            return
        if job.cancel and job.call_id not in self._told and facts:
            self._told.append(job.call_id)
            self._deps.workers.tell(job.boot, HangUp(job.call_id, "cancelled"))
        silent_s = now - max(job.dialled_at, self._since)
        if not facts and silent_s > PLACE_S:
            await self._keep(lost(job, "nothing was heard of it after it was given to a worker"))

    async def _keep(self, job: Job) -> None:
        if await self._store.save(job):
            facts = {"job_id": job.job_id, "state": job.state, "reason": job.reason}
            log.info("outbound.state", call_id=job.call_id, **facts)
            self._ended[job.state] += job.state in FINAL
            if job.state in FINAL and job.state != "unknown":
                await asyncio.to_thread(self._deps.spent.over, job.job_id, self._deps.now())


def _local(now: float) -> datetime:
    return datetime.fromtimestamp(now).astimezone()
