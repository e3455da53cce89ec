"""Dialplans as the console's pages see them (bridge/console/plans.py): in force, kept, and the files as they are.

The files are read again when they changed; whether they are right is found out once for each state of them. On a
thread, one at a time: a check of a large plan takes a second. Runs on control's loop.
"""

import asyncio
import contextlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from bridge.console.plans import DISK, RUNNING, Done, Look, Standing
from bridge.control_api_dialplan import settled, shown
from bridge.control_dialplan import Outcome, PlanDesk
from bridge.control_node import NodeOffice
from bridge.control_sources import inside, is_kept, read_sources
from bridge.control_versions import Cause, InForce, PlanVersions
from bridge.dialplan.around import Around
from bridge.dialplan.load import inspect
from bridge.dialplan.plan import Plan
from bridge.errors import BridgeError, FileProblems, Problem
from bridge.store.nodestore import RELOAD

HOW = "console"


class PlanWindow:
    """`around` and `environment`: as PlanFiles has them, so that a check says what a reload would."""

    def __init__(
        self,
        desk: PlanDesk,
        versions: PlanVersions,
        around: Around,
        environment: str | None,
        nodes: NodeOffice | None = None,
    ) -> None:
        self._desk = desk
        self._versions = versions
        self._around = around
        self._environment = environment
        self._nodes = nodes
        self._reading = asyncio.Lock()
        self._seen: tuple[str, Look] | None = None
        self._stamp: tuple[str, ...] = ()
        self._running: tuple[InForce | None, Look] | None = None

    def standing(self) -> Standing:
        """What is in force, and the last refusal."""
        desk, now, refusal = self._desk, self._desk.now, self._desk.refusal
        found = Standing(
            version=desk.version,
            since=now.at if now else None,
            how=now.cause.how if now else "",
            by=now.cause.by if now else "",
            rolled_back=bool(now and now.rolled_back),
            folder=str(desk.dialplans),
            watched=desk.watched,
            lagging=_workers(desk),
            others=tuple(row.name for row in self._nodes.desk.others()) if self._nodes else (),
        )
        if refusal is None:
            return found
        return replace(
            found,
            refused_action=refusal.action,
            refused_at=refusal.at,
            refused_how=refusal.cause.how,
            refused_by=refusal.cause.by,
            problems=refusal.problems,
        )

    async def heads(self) -> Sequence[Mapping[str, Any]]:
        """Every kept version, newest first."""
        kept = await asyncio.to_thread(self._versions.kept)
        return [shown(head, self._desk.version) for head in kept]

    async def look(self, which: str) -> Look:
        """RUNNING, DISK, a version. BridgeError: there is no such version."""
        if which == DISK:
            async with self._reading:
                return await asyncio.to_thread(self._on_disk)
        if which == RUNNING and self._desk.plan is None:
            return Look(RUNNING)
        if which != RUNNING:
            return await asyncio.to_thread(self._kept, which, which)
        now = self._desk.now
        if self._running is None or self._running[0] is not now:
            self._running = now, await asyncio.to_thread(self._kept, which, self._desk.version)
        return self._running[1]

    async def reload(self, by: str, *, everywhere: bool = False) -> Done:
        """The way of `sipbridge dialplan reload [--all-nodes]`."""
        done = await self._done("reload", await self._desk.reload(Cause(HOW, by)))
        if done.ok and everywhere and self._nodes is not None:
            await self._nodes.store.tell(RELOAD, by=by[:64])
        return done

    async def rollback(self, version: str, by: str) -> Done:
        """The way of `sipbridge dialplan rollback`."""
        return await self._done("rollback", await self._desk.rollback(version, Cause(HOW, by)))

    async def _done(self, action: str, outcome: Outcome) -> Done:
        if outcome.ok:
            await settled(self._desk)
        return Done(
            outcome.ok,
            action,
            outcome.version,
            outcome.changed,
            outcome.problems,
            outcome.warnings,
            outcome.note,
            _workers(self._desk),
        )

    def _kept(self, which: str, version: str) -> Look:
        plan = self._desk.plan
        try:
            whole = self._versions.read(self._versions.find(version))
        except BridgeError:
            if which != RUNNING:
                raise
            return Look(RUNNING, version, plan)  # the last good one may have been forgotten
        if which != RUNNING or plan is None or plan.version != whole["version"]:
            plan = Plan.from_json(json.dumps(whole["plan"]))
        return Look(which, plan.version, plan, _kept_texts(whole.get("files")))

    def _on_disk(self) -> Look:
        """A folder may hold hours of sound: what is as it was by name, size and time is not read again."""
        stamp = _stamp(self._desk.dialplans)
        if self._seen is not None and stamp == self._stamp:
            return self._seen[1]
        sources = read_sources(self._desk.dialplans)
        self._stamp = stamp
        if self._seen is not None and self._seen[0] == sources.fingerprint:
            return self._seen[1]
        look = Look(DISK, texts=sources.texts)
        try:
            found = inspect(self._desk.dialplans, self._around, environment=self._environment)
            look = replace(look, version=found.plan.version, plan=found.plan, warnings=found.warnings)
        except FileProblems as error:
            look = replace(look, problems=error.problems)
        except (BridgeError, OSError, ValueError) as error:
            self._stamp = ()  # tried again: what was seen before is not how the files are now
            return replace(look, problems=(Problem(str(self._desk.dialplans), 0, 0, "", str(error)),))
        self._seen = sources.fingerprint, look
        return look


def _stamp(folder: Path) -> tuple[str, ...]:
    found = []
    for name, file in inside(folder):
        with contextlib.suppress(OSError):
            facts = file.stat()
            found.append(f"{name}\0{facts.st_mtime_ns}\0{facts.st_size}\0{facts.st_ino}")
    return tuple(sorted(found))


def _kept_texts(files: Any) -> Mapping[str, str]:
    return {name: text for name, text in files.items() if is_kept(name)} if isinstance(files, dict) else {}


def _workers(desk: PlanDesk) -> dict[str, str]:
    return {str(worker): version for worker, version in desk.lagging().items()}
