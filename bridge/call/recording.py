"""The recording of one call: begun by rule and consent, paused while a card number is said, closed with the call.

    consent ─► begin ─► [pause ─► silence in the file, words and digits hidden in the record ─► resume] ─► close

Why here and not in call.py: a pause is a promise (PCI DSS 4.0 requirement 3.3: no card data after authorisation), so
whatever could keep what was said meanwhile is switched in one place: the file and the journal. On the worker's loop.
"""

import asyncio
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import structlog

from bridge.call.journal import Journal
from bridge.config import RecordingConfig
from bridge.errors import MediaError
from bridge.media.recorder import RecorderThread, Recording
from bridge.sip.port import AudioPort

log = structlog.get_logger(__name__)


class CallRecording:
    """At most one file a call."""

    def __init__(
        self, config: RecordingConfig, recorder: RecorderThread, audio: AudioPort, journal: Journal
    ) -> None:
        self._config = config
        self._recorder = recorder
        self._audio = audio
        self._journal = journal
        self._recording: Recording | None = None
        self._paused: dict[str, float] = {}
        self._hiding: set[str] = set()

    @property
    def enabled(self) -> bool:
        """Whether the settings record at all."""
        return self._config.enabled

    @property
    def running(self) -> bool:
        """Whether there is a file."""
        return self._recording is not None

    def begin(self) -> None:
        """From now on; a second time nothing happens. A file that cannot be made costs the recording, not the call."""
        if self._recording is not None or not self.enabled:
            return
        day = datetime.now().astimezone().strftime("%Y-%m-%d")
        path = Path(self._config.folder, day, f"{self._journal.call_id}.wav")
        try:
            self._recording = self._recorder.open(path, self._journal.call_id)
        except MediaError as error:
            self._journal.note("error", where="recording", code="unwritable", message=str(error))
            log.warning("recording.unwritable", path=str(path), reason=str(error))
            return
        self._recording.pause(paused=bool(self._paused))
        self._audio.record(self._recording.write)
        # Said at once: the file of a call whose worker dies must be found too.
        self._journal.note("recording", path=str(path))

    def pause(self, by: str, *, hide: bool = True) -> bool:
        """Silence from now on, and hide what is said in the record. False: it is so already.

        `by`: who wants it; it lasts until each of them resumes.
        """
        if by in self._paused:
            return False
        if hide:
            self._journal.hide(hidden=True)
            self._hiding.add(by)
        if self._recording is not None:
            self._recording.pause(paused=True)
        self._paused[by] = time.monotonic()
        self._journal.note("recording.paused", by=by)
        return True

    def resume(self, by: str) -> bool:
        """Sound again, if nobody else wants the pause. False: `by` had not paused it."""
        since_s = self._paused.pop(by, None)
        if since_s is None:
            return False
        self._hiding.discard(by)
        if not self._hiding:
            self._journal.hide(hidden=False)
        if not self._paused and self._recording is not None:
            self._recording.pause(paused=False)
        self._journal.note("recording.resumed", by=by, ms=round((time.monotonic() - since_s) * 1000))
        return True

    def command(self, data: Mapping[str, Any]) -> Mapping[str, Any]:
        """A tool's or an operator's word: {action: pause | resume}. Gives the state; ValueError for another action.

        What one operator has paused another may resume; what a tool has paused only tools do.
        """
        action, by = str(data.get("action", "")), "operator" if data.get("by") else "tool"
        if action not in {"pause", "resume"}:
            raise ValueError("the action is pause or resume")
        changed = self.pause(by) if action == "pause" else self.resume(by)
        return {"recording": self.running, "paused": bool(self._paused), "changed": changed}

    async def close(self) -> None:
        """The call is over."""
        if self._recording is None:
            return
        facts = await asyncio.to_thread(self._recording.close)
        self._journal.recording(facts, self._audio.recording_dropped_ms)
