"""A worker's two pipes to the supervisor: its configuration and orders come in, what it does goes out.

    standard input    configuration (one line of JSON), then words: retire · pause · resume
    standard output   `ready NAME: …` once, then `status calls=N taken=M` whenever that changes

The supervisor counts by the status lines; one that does not fit into the pipe is left out, the next one replaces it.
Nothing here may ever block: a supervisor that stands still must cost no call. Belongs to the loop.
"""

import asyncio
import contextlib
import os
import stat
from collections.abc import Callable, Mapping

MAX_CONFIG_BYTES = 1024 * 1024
MAX_WORD_BYTES = 1024


def read_config(fd: int = 0) -> tuple[str, bytes]:
    """The first line, and what of later ones came with it. Blocks until it is there; "" at the end of the input."""
    data = b""
    while b"\n" not in data and len(data) < MAX_CONFIG_BYTES:
        some = os.read(fd, 65536)
        if not some:
            break
        data += some
    line, _, rest = data.partition(b"\n")
    return line.decode("utf-8"), rest


class SupervisorWire:
    """`words` says what to do for each word. Ends of the input mean nothing: a supervisor that dies ends us anyway."""

    def __init__(self, words: Mapping[str, Callable[[], None]], rest: bytes = b"") -> None:
        self._words = words
        self._rest = rest
        self._told = ""

    def listen(self, fd: int = 0) -> None:
        """Take words from now on. Call it on the loop; a file instead of a pipe has no words."""
        self._take(b"")
        with contextlib.suppress(OSError):
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                os.set_blocking(fd, False)
                asyncio.get_running_loop().add_reader(fd, self._read, fd)

    def leave(self, fd: int = 0) -> None:
        """Take no more words."""
        with contextlib.suppress(OSError, ValueError):
            asyncio.get_running_loop().remove_reader(fd)

    def status(self, calls: int, taken: int, fd: int = 1) -> None:
        """Say what we carry, when it is news."""
        line = f"status calls={calls} taken={taken}\n"
        if line != self._told:
            self._told = line
            with contextlib.suppress(OSError):
                if stat.S_ISFIFO(os.fstat(fd).st_mode):
                    os.set_blocking(fd, False)
                    os.write(fd, line.encode())

    def _read(self, fd: int) -> None:
        try:
            data = os.read(fd, 4096)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self._take(data)
        else:
            self.leave(fd)

    def _take(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        self._rest = self._rest[:MAX_WORD_BYTES]
        for line in lines:
            act = self._words.get(line.decode("ascii", "replace").strip())
            if act is not None:
                act()
