"""What a fresh process does to itself: signals, parent, user, name. Linux only; between fork and exec, or in a spare.

It calls the kernel and nothing of ours; the process must have one thread.
"""

import contextlib
import ctypes
import os
import signal
import time
from pathlib import Path

PR_SET_PDEATHSIG = 1
PR_SET_NAME = 15
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38
ADOPTION_S = 2.0
"""How long a process that was forked twice waits to become the supervisor's child. It takes a millisecond."""

User = tuple[int, ...]
"""Numbers of a user, of their group, and of all groups they are in."""


def settle(parent: int, user: User | None) -> None:
    """Become a process of its own: own group, no more rights ever, this user, dead when `parent` is dead.

    OSError: the user cannot be taken on. Exits when the parent is gone already.
    """
    os.setpgid(0, 0)
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # lasts over exec: a reload must not kill a starting control
    if user is not None:
        os.setgroups(user[2:])
        os.setgid(user[1])
        os.setuid(user[0])
    _prctl(PR_SET_NO_NEW_PRIVS, 1)
    until = time.monotonic() + ADOPTION_S
    while os.getppid() != parent and time.monotonic() < until:
        time.sleep(0.0005)
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # after the change of user, which would clear it
    if os.getppid() != parent:
        os._exit(1)


def adopt_orphans() -> None:
    """From now on what our descendants leave behind becomes our child instead of init's."""
    _prctl(PR_SET_CHILD_SUBREAPER, 1)


def rename(words: list[str]) -> None:
    """Show these words as the command line (`ps`), and the last of them as the name of the thread.

    They are written where the kernel keeps the real command line, and cut at its length. A name is worth no trouble:
    what does not work is left.
    """
    libc = ctypes.CDLL(None)
    libc.prctl(PR_SET_NAME, ctypes.c_char_p(words[-1].encode()[:15]))
    with contextlib.suppress(OSError, ValueError, IndexError):
        fields = Path("/proc/self/stat").read_bytes().rpartition(b")")[2].split()
        first, last = int(fields[45]), int(fields[46])  # arg_start and arg_end, fields 48 and 49 of proc(5)
        text = b"\0".join(word.encode() for word in words)[: last - first - 1]
        if 0 < first < last:
            ctypes.memmove(first, text.ljust(last - first, b"\0"), last - first)


def _prctl(option: int, value: int) -> None:
    ctypes.CDLL(None).prctl(option, value, 0, 0, 0)
