"""A call's recording wherever it lies: a file of this node, or another node's control that can be asked for it.

    record ─► Recordings.find ─► there | elsewhere | gone          Recordings.answer ─► the WAV, also in parts (Range)
                                                                   Recordings.look   ─► and how loud, for the picture

Who may hear it is for whoever asks here to know (`personal`): the other node is told only that this one does.
"""

from typing import Protocol

from starlette.responses import FileResponse, Response

from bridge.console.waveforms import Waveforms
from bridge.media.peaks import Peaks
from bridge.records.cdr import CallRecord

THERE, ELSEWHERE, GONE = "there", "elsewhere", "gone"
WAV = "audio/wav"


class Far(Protocol):
    """The recordings of other nodes (control_recordings.py)."""

    def reached(self, node: str) -> bool:
        """Whether a node's control can be asked."""

    def console(self, node: str) -> str:
        """Where the node's own console is; "" when nobody knows."""

    def answer(self, record: CallRecord, disposition: str) -> Response:
        """The WAV from there; what is wrong is in the answer."""

    async def peaks(self, record: CallRecord) -> Peaks | None:
        """None: it does not say."""


class Recordings:
    """`node`: this one. `far`: None without others."""

    def __init__(self, waveforms: Waveforms, node: str, far: Far | None = None) -> None:
        self._waveforms = waveforms
        self._node = node
        self._far = far

    async def find(self, record: CallRecord) -> str:
        """THERE: it can be played here. ELSEWHERE: only on its own node. Its record names a file."""
        if await self._waveforms.file(record) is not None:
            return THERE
        if record.node in {"", self._node}:
            return GONE
        return THERE if self._far and self._far.reached(record.node) else ELSEWHERE

    def console(self, record: CallRecord) -> str:
        """Where the console of its node is, when that is another one that said so."""
        return self._far.console(record.node) if self._far and record.node != self._node else ""

    async def look(self, record: CallRecord) -> tuple[str, Peaks | None]:
        """As `find`, and how loud it is; None: there is no picture.

        Another node that does not say how loud a recording is would not give it either: no player without sound.
        """
        state = await self.find(record)
        if state != THERE:
            return state, None
        path = await self._waveforms.file(record)
        if path is not None:
            return state, await self._waveforms.of(path)
        found = await self._far.peaks(record) if self._far else None
        return (THERE, found) if found else (ELSEWHERE, None)

    async def answer(self, record: CallRecord, disposition: str = "attachment") -> Response | None:
        """The WAV; None: it cannot be had here. `disposition`: inline, or attachment."""
        path, name = await self._waveforms.file(record), f"{record.call_id}.wav"
        if path is not None:
            return FileResponse(path, media_type=WAV, filename=name, content_disposition_type=disposition)
        reached = self._far is not None and record.recording_path and self._far.reached(record.node)
        return self._far.answer(record, disposition) if self._far and reached else None
