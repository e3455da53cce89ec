"""Files that a dialplan names (sounds, music, the do-not-call list): only the plan's own, and never without an end.

Whoever may have a plan checked would else have any file of the machine read. A path is followed to its end, which must
be a regular file below the plan's folder; it is opened without waiting (a FIFO) and read up to a bound (/dev/zero).
Every refusal is an OSError whose `strerror` says why. Not worker-safe; blocking, any thread.
"""

import errno
import os
import stat
from io import BufferedReader
from pathlib import Path

MAX_PLAY_BYTES = 16_000 * 600
"""Ten minutes of 8000 Hz, mono, 16 bit."""
_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC


def opened(path: Path, root: Path | None) -> BufferedReader:
    """The regular file, for reading. `root`: it must lie below this folder; None: anywhere."""
    try:
        real = path.resolve()
        outside = root is not None and not real.is_relative_to(root.resolve())
    except (RuntimeError, ValueError) as error:  # a loop of links; a name with NUL
        raise OSError(errno.EINVAL, "that is no path") from error
    if outside:
        raise OSError(errno.EPERM, "it is not in the plan's folder, or below")
    number = os.open(real, _FLAGS)
    wrong = _wrong(os.fstat(number).st_mode)
    if wrong:
        os.close(number)
        raise OSError(*wrong)
    return os.fdopen(number, "rb")


def _wrong(mode: int) -> tuple[int, str] | None:
    if stat.S_ISDIR(mode):
        return errno.EISDIR, os.strerror(errno.EISDIR)
    return None if stat.S_ISREG(mode) else (errno.EINVAL, "it is not a regular file")


def read(path: Path, root: Path | None, most: int) -> bytes:
    """The content, or its first `most` + 1 bytes: whoever gets more than `most` says that it is too long."""
    with opened(path, root) as file:
        return file.read(most + 1)
