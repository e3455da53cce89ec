"""Which dialplan is in force: the one way a reload and a rollback go, whoever asks.

    SIGHUP, file watch, CLI, API ──► reload ──► read tools, policy, dialplan ──mistakes──► Refusal, all stays
                                                     └──right──► kept, on disk, in force, pushed to the workers
                        CLI, API ──► rollback VERSION ──► the kept plan is in force until the next reload that succeeds

One at a time; files are read on a thread. Live calls keep the plan they were routed by. A rollback is of the dialplan
alone: tools and policy stay as they are. Runs on control's loop.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import structlog

from bridge.control_health import Metric
from bridge.control_pages import Facts, More
from bridge.control_plan import PlanFiles, Read
from bridge.control_prompts import Prompts
from bridge.control_sources import Sources, read_sources
from bridge.control_toolbox import FreshTools, ToolSource
from bridge.control_versions import Cause, InForce, PlanVersions
from bridge.dialplan.plan import Plan
from bridge.errors import BridgeError, FileProblems, Problem

log = structlog.get_logger(__name__)

START = Cause("start")


@dataclass(frozen=True, slots=True)
class Refusal:
    """A reload (or rollback: `action`) that left everything as it was, and why."""

    at: float
    cause: Cause
    action: str
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a reload or a rollback. `version`: in force now. `note`: what else whoever asked should know."""

    ok: bool
    version: str
    changed: bool = False
    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class Parts:
    """What the desk works with. `push` gives workers a plan (text, version); `reported`: the version each has."""

    facts: Facts
    files: PlanFiles
    versions: PlanVersions
    tools: ToolSource
    prompts: Prompts
    push: Callable[[str, str], None]
    reported: Callable[[], Mapping[int, str]]


class PlanDesk:
    """One per control. `plan` None: nothing is in force, calls get 503. `refusal`: the last one, until a success."""

    def __init__(self, parts: Parts, *, watched: bool) -> None:
        self.plan: Plan | None = None
        self.now: InForce | None = None
        self.refusal: Refusal | None = None
        self._parts = parts
        self.watched = watched
        self._lock = asyncio.Lock()
        self._seen = ""

    @property
    def version(self) -> str:
        """Of the plan in force; "" without one."""
        return self.plan.version if self.plan else ""

    @property
    def dialplans(self) -> Path:
        """The file or folder."""
        return self._parts.files.dialplans

    def more(self) -> More:
        """For /healthz and /metrics."""
        notes = []
        if self.refusal is not None:
            # Anybody may read this: neither what stands in the files nor who did it.
            count = len(self.refusal.problems)
            words = f"{count} {'mistake' if count == 1 else 'mistakes'} (sipbridge dialplan status)"
            notes.append(f"the last {self.refusal.action} ({self.refusal.cause.how}) was refused: {words}")
        if self.now is not None and self.now.rolled_back:
            notes.append(f"rolled back to {self.now.version} ({self.now.cause.how}): {self._until()}")
        lagging = self.lagging()
        notes += [f"worker {one} has plan {seen or 'none'} in force" for one, seen in lagging.items()]
        since = self.now.at if self.now else 0.0
        gauges = (
            ("sipbridge_plan_in_force_since_seconds", "When the plan came into force, unix time.", since),
            (
                "sipbridge_plan_rolled_back",
                "1 while a rollback is in force.",
                bool(self.now and self.now.rolled_back),
            ),
            ("sipbridge_plan_workers_lagging", "Workers with another plan than control.", len(lagging)),
        )
        info = Metric(
            "sipbridge_plan_info", "gauge", "The plan in force.", (({"version": self.version}, 1.0),)
        )
        made = (Metric(name, "gauge", text, (({}, float(value)),)) for name, text, value in gauges)
        return More(tuple(notes), (info, *made))

    def lagging(self) -> dict[int, str]:
        """Workers that have another plan in force than control, and which."""
        return {one: seen for one, seen in self._parts.reported().items() if seen != self.version}

    async def start(self) -> None:
        """Put a plan in force: what somebody rolled back to, or what the files say, or else the last good one."""
        async with self._lock:
            before = await asyncio.to_thread(self._parts.versions.in_force)
            if before is not None and before.rolled_back and await self._stay(before):
                return
            outcome = await self._load(START, before)
            if not outcome.ok and self.plan is None:
                await self._last_good(before)

    async def reload(self, cause: Cause) -> Outcome:
        """Read dialplans, tools and policy again: all of it comes into force, or nothing."""
        async with self._lock:
            return await self._load(cause, None)

    async def changed(self, cause: Cause) -> Outcome | None:
        """A reload if the dialplan's files are not what they were at the last one; else None."""
        async with self._lock:
            sources = await asyncio.to_thread(read_sources, self.dialplans)
            if sources.fingerprint == self._seen:
                return None
            if self.now is not None and self.now.rolled_back and sources.fingerprint == self.now.fingerprint:
                # A change was taken back: the files say again what somebody rolled back from.
                self._seen, self.refusal = sources.fingerprint, None
                return None
            return await self._load(cause, None)

    async def rollback(self, prefix: str, cause: Cause) -> Outcome:
        """Put a kept plan in force for new calls. It stays until the next reload that succeeds, over restarts too."""
        async with self._lock:
            return await self._roll_back(prefix, cause)

    async def _load(self, cause: Cause, before: InForce | None) -> Outcome:
        """`before`: what was in force when control ended, at its start."""
        tools: FreshTools | None = None
        read: Read | None = None
        problems: list[Problem] = []
        try:
            if cause is not START:
                tools = await asyncio.to_thread(self._parts.tools.read)
                problems += tools.problems
            read = await asyncio.to_thread(self._parts.files.read)
        except FileProblems as error:
            problems += error.problems
        except (BridgeError, OSError) as error:
            problems.append(Problem(str(self.dialplans), 0, 0, "", str(error)))
        except Exception:
            log.exception("dialplan.crashed")
            problems.append(
                Problem(str(self.dialplans), 0, 0, "", "cannot be read: a bug of the bridge, see the log")
            )
        self._seen = (await asyncio.to_thread(read_sources, self.dialplans)).fingerprint
        if read is None or problems:
            return self._refuse(cause, "reload", problems)
        self._seen = read.sources.fingerprint
        for warning in read.warnings:
            log.warning("dialplan.odd", problem=str(warning))
        now = InForce(read.plan.version, time.time(), cause, self._seen)
        if before is not None and before.version == now.version and not before.rolled_back:
            now = replace(before, fingerprint=self._seen)  # a restart is not what had it come into force
        outcome = await _to_the_end(
            self._come_into_force(read, now, "load", known=now.cause != cause, tools=tools)
        )
        return replace(outcome, warnings=read.warnings)

    async def _roll_back(self, prefix: str, cause: Cause) -> Outcome:
        parts = self._parts
        try:
            version = await asyncio.to_thread(parts.versions.find, prefix)
            plan = await asyncio.to_thread(parts.versions.plan, version, parts.prompts.folder)
            await asyncio.to_thread(parts.files.speak_all, plan)
        except (BridgeError, OSError) as error:
            return self._refuse(cause, "rollback", [Problem("rollback", 0, 0, "", str(error))])
        sources = await asyncio.to_thread(read_sources, self.dialplans)
        self._seen = sources.fingerprint
        now = InForce(version, time.time(), cause, self._seen, rolled_back=True)
        outcome = await _to_the_end(self._come_into_force(Read(plan, (), sources), now, "rollback"))
        return replace(outcome, note=self._until()) if outcome.ok else outcome

    async def _come_into_force(
        self, read: Read, now: InForce, action: str, *, known: bool = False, tools: FreshTools | None = None
    ) -> Outcome:
        """`known`: it has been in force before control was started again. `tools` come along."""
        plan = read.plan
        try:
            await asyncio.to_thread(self._write, plan, read.sources, now, action, known)
        except (BridgeError, OSError) as error:
            return self._refuse(now.cause, action, [Problem("state_dir", 0, 0, "", str(error))])
        changed, over = self.version != plan.version, self.now is not None and self.now.rolled_back
        await self._take(plan, now)
        if tools is not None:
            self._parts.tools.take(tools)
        note = ""
        if over and not now.rolled_back:
            note = "the rollback is over: the files are in force again"
            log.info("plan.rollback_ended", version=plan.version, cause=str(now.cause))
        await asyncio.to_thread(self._tidy)
        return Outcome(True, plan.version, changed, note=note)

    def _write(self, plan: Plan, sources: Sources, now: InForce, action: str, known: bool) -> None:
        if known and plan.version in {head.version for head in self._parts.versions.kept()}:
            self._parts.versions.note(now)
        else:
            self._parts.versions.put(plan, sources, now, action)
        self._parts.files.put(plan)

    async def _take(self, plan: Plan, now: InForce) -> None:
        text = await asyncio.to_thread(plan.to_json)
        self.plan, self.now, self.refusal = plan, now, None
        self._parts.push(text, plan.version)
        log.info(
            "plan.in_force",
            version=plan.version,
            routes=len(plan.routes),
            agents=len(plan.agents),
            cause=str(now.cause),
            rolled_back=now.rolled_back,
        )
        if now.rolled_back:
            log.warning("plan.rolled_back", version=plan.version, cause=str(now.cause), until=self._until())

    def _until(self) -> str:
        ends = (
            "the next successful reload or change of a file" if self.watched else "the next successful reload"
        )
        return f"this plan stays in force, over restarts too, until {ends}"

    def _refuse(self, cause: Cause, action: str, problems: list[Problem]) -> Outcome:
        self._parts.facts.plans_refused += cause is not START
        self.refusal = Refusal(time.time(), cause, action, tuple(problems))
        for problem in problems:
            log.error(
                "dialplan.refused",
                in_force=self.version,
                cause=str(cause),
                action=action,
                problem=str(problem),
            )
        return Outcome(False, self.version, problems=tuple(problems))

    async def _stay(self, before: InForce) -> bool:
        """Keep a rollback over a restart; False: a file was changed meanwhile, or the plan is gone."""
        parts = self._parts
        self._seen = (await asyncio.to_thread(read_sources, self.dialplans)).fingerprint
        try:
            plan = await asyncio.to_thread(parts.versions.plan, before.version, parts.prompts.folder)
            await asyncio.to_thread(parts.files.speak_all, plan)
            await asyncio.to_thread(parts.files.put, plan)
        except (BridgeError, OSError) as error:
            log.error("plan.rollback_lost", version=before.version, reason=str(error))  # noqa: TRY400
            return False
        await self._take(plan, before)
        if self.watched and self._seen != before.fingerprint:
            await self._load(Cause("file watch"), None)
        return True

    async def _last_good(self, before: InForce | None) -> None:
        plan = await asyncio.to_thread(self._parts.files.last)
        if plan is None:
            log.error("plan.none", reason="calls are answered with 503")
            return
        log.warning("plan.last_good", version=plan.version)
        same = before is not None and before.version == plan.version
        refusal = self.refusal
        await self._take(plan, before if before and same else InForce(plan.version, time.time(), START))
        self.refusal = refusal

    def _tidy(self) -> None:
        """Forget the oldest plans, and prompts that nobody can need any more."""
        versions = self._parts.versions
        for version in versions.prune(self.version):
            log.info("plan.forgotten", version=version)
        heads = {head.version for head in versions.kept()}
        if all(seen in heads for seen in self._parts.reported().values() if seen):
            self._parts.prompts.tidy(versions.prompts(), time.monotonic())


async def _to_the_end(work: Coroutine[Any, Any, Outcome]) -> Outcome:
    """Carry it through even if whoever asked goes away meanwhile: what is on disk and what is in force are one."""
    task = asyncio.create_task(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        if not task.cancelled():
            task.exception()
        raise
