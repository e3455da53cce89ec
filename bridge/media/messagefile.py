"""Where a caller's message is kept: one WAV file each, private, whole or not there at all.

Blocking: call it in a thread. Files are 0600 and folders of our own 0700: a message is personal data.
"""

import contextlib
import errno
import os
import stat
import time
import wave
from io import BufferedReader
from pathlib import Path

from bridge.errors import MediaError
from bridge.media.frame import RATE_HZ, SAMPLE_BYTES

FOLDER = "voicemail"


def message_path(recordings: str, call_id: str, number: int, at: float) -> Path:
    """`recordings`/voicemail/YYYY-MM-DD/<call_id>-<number>.wav; `at`: unix seconds, the day is local."""
    day = time.strftime("%Y-%m-%d", time.localtime(at))
    return Path(recordings, FOLDER, day, f"{call_id}-{number}.wav")


def is_message(path: Path, recordings: str) -> bool:
    """Whether `path` is a file in the messages' folder, links followed. Paths come from workers: not to be trusted."""
    try:
        real = path.resolve(strict=True)
    except OSError:
        return False
    return real.is_file() and real.is_relative_to(Path(recordings, FOLDER).resolve())


def open_message(path: Path, recordings: str) -> BufferedReader:
    """The file of a message, for reading. Raises OSError: there is none, or it is elsewhere.

    What was opened is looked at, not what the path names: a folder on the way may be swapped for a link meanwhile.
    """
    real = path.resolve(strict=True)
    handle = os.open(real, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    found = Path(f"/proc/self/fd/{handle}").readlink()
    inside = found.is_relative_to(Path(recordings, FOLDER).resolve())
    if not inside or not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(errno.EPERM, "no file in the messages' folder")
    return os.fdopen(handle, "rb")


def save(path: Path, pcm: bytes) -> float:
    """Write 8 kHz mono 16-bit `pcm`; answers its seconds. Raises MediaError, and leaves nothing behind then."""
    part = path.with_name(f".{path.name}.part")
    try:
        for folder in (path.parent.parent, path.parent):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(file, "wb") as raw:
            with wave.open(raw, "wb") as writer:
                writer.setnchannels(1)
                writer.setsampwidth(SAMPLE_BYTES)
                writer.setframerate(RATE_HZ)
                writer.writeframes(pcm)
            raw.flush()
            os.fsync(raw.fileno())
        part.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink()
        raise MediaError(f"{path}: the message cannot be kept: {error.strerror}") from error
    return len(pcm) / SAMPLE_BYTES / RATE_HZ
