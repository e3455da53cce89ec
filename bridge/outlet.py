"""Lines for whoever reads our standard output or error: one who is gone, or stands still, costs lines and nothing else.

A terminal may be closed, a pager may wait at its first page, the journal may be restarted: a write fails then, or does
not return, and neither may end or stop a call. So a line waits WAIT_S for room at most, none while the reader stands
still, and what could not be written is counted and told when there is room again. The descriptor itself stays as it is,
others share it: pipes and terminals are opened once more without blocking, sockets are asked for it with each write.
Standard library only. Any thread.
"""

import contextlib
import io
import os
import select
import socket
import stat
import threading
import time
from collections.abc import Callable

WAIT_S = 0.02
PIECE_BYTES = 4096
"""A pipe that has any room takes so much at once (PIPE_BUF)."""


class Outlet(io.TextIOBase):
    """Text to a file descriptor. `told`: the line that says how many lines were lost."""

    def __init__(self, fd: int, told: Callable[[int], str] = "{} lines were lost\n".format) -> None:
        self._fd = fd
        self._told = told
        self._lock = threading.Lock()
        self._which = (-1, -1)
        self._own = -1
        self._socket: socket.socket | None = None
        self._torn = False
        self.lost = 0

    def write(self, text: str) -> int:
        """Whole lines, please. Never raises."""
        with self._lock:
            if self.lost and self._put(self._told(self.lost)):
                self.lost = 0
            if self.lost or not self._put(text):
                self.lost += 1
        return len(text)

    def close(self) -> None:
        """Let go of what was opened here; the descriptor stays open."""
        self._let_go()
        super().close()

    def _put(self, text: str) -> bool:
        """False: not all of it could be written in time."""
        whole = left = (b"\n" if self._torn else b"") + text.encode("utf-8", "backslashreplace")
        until = time.monotonic() + (0.0 if self.lost else WAIT_S)
        try:
            self._follow()
            while left:
                with contextlib.suppress(BlockingIOError):
                    left = left[self._some(left, until) :]
                if left and not self._room(until):
                    break
        except OSError:  # nobody reads any more
            return False
        self._torn = bool(left) and (self._torn or len(left) < len(whole))
        return not left

    def _some(self, data: bytes, until: float) -> int:
        """Write what there is room for. BlockingIOError: for nothing."""
        if self._socket is not None:
            return self._socket.send(data, socket.MSG_DONTWAIT)
        if self._own >= 0:
            return os.write(self._own, data)
        return os.write(self._fd, data[:PIECE_BYTES]) if self._room(until) else 0

    def _room(self, until: float) -> bool:
        poll = select.poll()
        poll.register(self._fd, select.POLLOUT)
        return bool(poll.poll(max(until - time.monotonic(), 0.0) * 1000))

    def _follow(self) -> None:
        """Somebody may have put another file behind the descriptor."""
        facts = os.fstat(self._fd)
        which = facts.st_dev, facts.st_ino
        if which == self._which:
            return
        self._let_go()
        if stat.S_ISSOCK(facts.st_mode):
            self._socket = socket.socket(fileno=os.dup(self._fd))
        elif stat.S_ISFIFO(facts.st_mode) or stat.S_ISCHR(facts.st_mode):
            again = os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
            with contextlib.suppress(OSError):  # it belongs to another user: asked for room before each write
                self._own = os.open(f"/proc/self/fd/{self._fd}", again)
        self._which = which

    def _let_go(self) -> None:
        if self._own >= 0:
            os.close(self._own)
        if self._socket is not None:
            self._socket.close()
        self._own, self._socket, self._which = -1, None, (-1, -1)
