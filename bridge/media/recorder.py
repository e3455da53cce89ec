"""Stereo recordings of calls, written by one thread for all calls of a process.

    media thread --write(caller, agent)--> bounded queue --every 0.5 s--> writer thread --> file
                                                                           data first, then the header's sizes

`write` never waits for a disk. When the queue is full (a slow disk) audio is dropped and counted, and the same
length of silence is written later, so that both channels stay aligned with the call to the sample. Sizes in the
header never promise more than the file holds: the file can be played after a SIGKILL at any moment, at most half a
second short. A disk error ends that recording, not the call and not the other recordings.

A shell: it owns a thread and files. Recordings are private: the file is readable by owner and group only.
"""

import os
import struct
import threading
from collections import deque
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import structlog

from bridge.errors import MediaError
from bridge.media.frame import RATE_HZ, SAMPLE_BYTES

log = structlog.get_logger(__name__)

_CHANNELS = 2
_BLOCK_BYTES = _CHANNELS * SAMPLE_BYTES
_HEADER = struct.Struct("<4sI4s4sIHHIIHH4sI")
RESUME_MS = 400
"""Silence after a pause: audio of the pause may be on its way for so long (media/tape.py keeps up to 300 ms)."""
_MAX_DATA_BYTES = 0xFFFFFFFF - _HEADER.size  # what a RIFF size field can say: 37 hours at 8 kHz


@dataclass(frozen=True, slots=True)
class RecordingFacts:
    """What became of a recording: `dropped_ms` is silence in the file where there was audio in the call.

    `error`: why the disk ended it early, in the system's words; "" when all went well.
    """

    path: Path
    seconds: float
    dropped_ms: float
    error: str = ""


def wav_header(data_bytes: int, rate_hz: int = RATE_HZ) -> bytes:
    """RIFF/WAVE header of 16-bit stereo PCM, 44 bytes."""
    data_bytes = min(data_bytes, _MAX_DATA_BYTES)
    riff = (b"RIFF", data_bytes + _HEADER.size - 8, b"WAVE")
    form = (b"fmt ", 16, 1, _CHANNELS, rate_hz, rate_hz * _BLOCK_BYTES, _BLOCK_BYTES, 8 * SAMPLE_BYTES)
    return _HEADER.pack(*riff, *form, b"data", data_bytes)


class Recording:
    """One call's file. Made by `RecorderThread.open`; left channel the caller, right channel the agent."""

    def __init__(
        self, path: Path, rate_hz: int, max_queued_ms: int, wake: threading.Event, call_id: str = ""
    ) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o640)
            os.pwrite(self._file, wav_header(0, rate_hz), 0)
        except OSError as error:
            raise MediaError(f"{path}: cannot record there: {error.strerror}") from error
        self._path = path
        # The writer thread has no context of its own; what the opener's lines carry (process) goes along.
        carried = structlog.contextvars.get_contextvars() | ({"call_id": call_id} if call_id else {})
        self._log = log.bind(**carried | {"path": str(path)})
        self._rate_hz = rate_hz
        self._wake = wake
        self._max_bytes = max_queued_ms * rate_hz * SAMPLE_BYTES // 1000
        self._lock = threading.Lock()
        # (length of one channel, caller, agent); missing bytes are silence, so a gap is just a length.
        self._pieces: deque[tuple[int, bytes, bytes]] = deque()
        self._queued = 0
        self._gap = 0
        self._dropped = 0
        self._written = 0
        self._error = ""
        self._paused = False
        self._silence = 0
        self._closing = False
        self._closed = threading.Event()

    def write(self, caller: bytes, agent: bytes) -> None:
        """Queue the same moment of both sides; the shorter one is continued with silence. Never blocks."""
        size = max(len(caller), len(agent))
        with self._lock:
            if self._closing:
                return
            if self._error or self._queued + size > self._max_bytes:
                self._gap += size
                self._dropped += size
                return
            if self._gap:
                self._close_gap()
            if self._paused or self._silence:
                self._silence = max(self._silence - size, 0)
                caller = agent = b""
            self._pieces.append((size, caller, agent))
            self._queued += size

    def pause(self, *, paused: bool) -> None:
        """Silence instead of sound, on both channels, until it is resumed; RESUME_MS more then. Never blocks."""
        with self._lock:
            if self._paused and not paused:
                self._silence = RESUME_MS * self._rate_hz * SAMPLE_BYTES // 1000
            self._paused = paused

    def close(self, deadline_s: float = 2.0) -> RecordingFacts:
        """Write the rest and close the file; waits for the writer thread at most `deadline_s`. Idempotent.

        Blocks: from a loop, call it in a thread.
        """
        self.finish()
        if not self._closed.wait(deadline_s):
            self._log.warning("recording.still_written", waited_s=deadline_s)
        with self._lock:
            bytes_a_second = self._rate_hz * SAMPLE_BYTES
            seconds = self._written / (bytes_a_second * _CHANNELS)
            return RecordingFacts(self._path, seconds, self._dropped * 1000 / bytes_a_second, self._error)

    def finish(self) -> None:
        """No more audio comes; the writer thread closes the file on its next round, which is now."""
        with self._lock:
            self._closing = True
        self._wake.set()

    def flush(self) -> bool:
        """Writer thread: put what is queued into the file. False when the recording is over and its file closed."""
        with self._lock:
            closing = self._closing
            if closing:
                self._close_gap()
            pieces, self._pieces = self._pieces, deque()
            self._queued = 0
        if pieces and not self._error:
            self._append(_interleaved(pieces))
        if closing:
            os.close(self._file)
            self._closed.set()
        return not closing

    def _close_gap(self) -> None:
        if self._gap and not self._error:
            self._pieces.append((self._gap, b"", b""))
        self._gap = 0

    def _append(self, data: bytes) -> None:
        at = _HEADER.size + self._written
        try:
            done = 0
            while done < len(data):
                done += os.pwrite(self._file, data[done:], at + done)
            os.pwrite(self._file, wav_header(self._written + len(data), self._rate_hz), 0)
        except OSError as error:
            reason = error.strerror or str(error)
            self._log.error("recording.failed", reason=reason)  # a full disk has no use for a trace
            with self._lock:
                self._error = reason
                self._dropped += len(data) // _CHANNELS
            return
        self._written += len(data)


class RecorderThread:
    """The writer thread: a context manager that lives as long as the process records calls."""

    def __init__(self, rate_hz: int = RATE_HZ, flush_s: float = 0.5, max_queued_ms: int = 5000) -> None:
        self._rate_hz = rate_hz
        self._flush_s = flush_s
        self._max_queued_ms = max_queued_ms
        self._wake = threading.Event()
        self._lock = threading.Lock()
        self._recordings: list[Recording] = []
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def open(self, path: Path, call_id: str = "") -> Recording:
        """Start a recording; an existing file is replaced. Raises MediaError when the file cannot be made.

        `call_id` stands in what the log says of it, unless the opener's log context has it already.
        """
        with self._lock:
            if self._stopping:
                raise MediaError(f"{path}: the recorder has stopped")
            recording = Recording(path, self._rate_hz, self._max_queued_ms, self._wake, call_id)
            self._recordings.append(recording)
        return recording

    def stop(self, deadline_s: float = 2.0) -> None:
        """Close what is open and end the thread; waits at most `deadline_s`. Idempotent."""
        with self._lock:
            self._stopping = True
            for recording in self._recordings:
                recording.finish()
        self._wake.set()
        self._thread.join(deadline_s)

    def _run(self) -> None:
        stopping = False
        while not stopping:
            self._wake.wait(self._flush_s)
            self._wake.clear()
            with self._lock:
                stopping = self._stopping
                recordings = list(self._recordings)
            over = [recording for recording in recordings if not recording.flush()]
            with self._lock:
                for recording in over:
                    self._recordings.remove(recording)


def _interleaved(pieces: Collection[tuple[int, bytes, bytes]]) -> bytes:
    """Both channels of all pieces as stereo; at one go, because a piece is only 20 ms."""
    channels = zip(
        *((_filled(caller, size), _filled(agent, size)) for size, caller, agent in pieces), strict=True
    )
    caller, agent = (np.frombuffer(b"".join(channel), dtype="<i2") for channel in channels)
    stereo = np.empty((len(caller), _CHANNELS), dtype="<i2")
    stereo[:, 0], stereo[:, 1] = caller, agent
    return stereo.tobytes()


def _filled(pcm: bytes, size: int) -> bytes:
    """`pcm` continued with silence to `size` bytes, both cut to whole samples."""
    whole = size - size % SAMPLE_BYTES
    if len(pcm) == whole:
        return pcm
    return pcm[: len(pcm) - len(pcm) % SAMPLE_BYTES].ljust(whole, b"\0")
