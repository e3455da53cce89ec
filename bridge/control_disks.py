"""How full the file systems of this node are, for the health page. Runs on control's loop, asks on a thread."""

import asyncio
import contextlib
import os
from collections.abc import Sequence
from pathlib import Path

import structlog

from bridge.console.healthfacts import Disk
from bridge.records.complaint import Complaint
from bridge.settings import Settings

log = structlog.get_logger(__name__)

ASK_S = 2.0


class Disks:
    """Of state_dir and recording.folder."""

    def __init__(self, settings: Settings, ask_s: float = ASK_S) -> None:
        self._folders = {"state": settings.state_dir}
        if settings.recording.enabled:
            self._folders["recordings"] = Path(str(settings.recording.folder))
        self._ask_s = ask_s
        self._asked: asyncio.Task[list[Disk]] | None = None
        self._silent = Complaint(log, "health.disk_silent", "health.disk_answers")

    async def look(self) -> Sequence[Disk]:
        """None when one does not answer: a thread waits for it (no deadline ends statvfs), and never a second one."""
        asked = self._asked
        if asked is None or asked.done():
            asked = self._asked = asyncio.create_task(asyncio.to_thread(self._found))
        await asyncio.wait({asked}, timeout=self._ask_s)
        if asked.done():
            self._silent.worked()
            return asked.result()
        self._silent.failed("the file system of state_dir or recording.folder does not answer")
        return ()

    def _found(self) -> list[Disk]:
        found = []
        for what, folder in self._folders.items():
            with contextlib.suppress(OSError):  # it is made when it is needed
                facts = os.statvfs(folder)
                free, total = facts.f_bavail * facts.f_frsize, facts.f_blocks * facts.f_frsize
                found.append(Disk(what, str(folder), free, total))
        return found
