"""Recordings for the pages of calls: where the file is, and how loud it is, computed once and off the loop.

One file at a time is read, on a thread; what was computed is kept for the last MAX_KEPT files as they were then.
Recordings lie in the folder of the node that made them: the store names a file, and only one inside of this node's own
folder is ever opened.
"""

import asyncio
from collections import OrderedDict
from pathlib import Path

import structlog

from bridge.errors import MediaError
from bridge.media.peaks import Peaks, peaks
from bridge.records.cdr import CallRecord

log = structlog.get_logger(__name__)

BUCKETS = 4000
MAX_KEPT = 64
HEADER_BYTES = 44
"""A recording of nothing is none."""
DEADLINE_S = 20.0
"""An hour takes a second or two; a disk that is slower than that costs the picture, not the page."""


class Waveforms:
    """`folder`: of this node's recordings; None: it makes none."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._kept: OrderedDict[tuple[str, int, int], Peaks] = OrderedDict()
        self._reading = asyncio.Lock()

    async def file(self, record: CallRecord) -> Path | None:
        """The recording's file; None: it is not here."""
        if self._folder is None or not record.recording_path:
            return None
        return await asyncio.to_thread(_inside, Path(record.recording_path), self._folder)

    async def of(self, path: Path) -> Peaks | None:
        """None: it cannot be read (and the log says why)."""
        try:
            async with asyncio.timeout(DEADLINE_S), self._reading:
                return await self._read(path)
        except (MediaError, OSError, TimeoutError) as error:
            log.warning("console.no_waveform", path=str(path), reason=str(error) or "it took too long")
            return None

    async def _read(self, path: Path) -> Peaks:
        facts = await asyncio.to_thread(path.stat)
        key = (str(path), facts.st_mtime_ns, facts.st_size)
        if key not in self._kept:
            self._kept[key] = await asyncio.to_thread(peaks, path, BUCKETS)
            while len(self._kept) > MAX_KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return self._kept[key]


def _inside(path: Path, folder: Path) -> Path | None:
    real = path.resolve()
    there = real.is_relative_to(folder.resolve()) and real.is_file() and real.stat().st_size > HEADER_BYTES
    return real if there else None
