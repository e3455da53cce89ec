"""Starting one process by fork and exec: its pipes, its environment, its user; and how it ended. The slow way.

    Program ──► launch() ──► Process: pid, what it says (output), what it is told (input)

Called by bridge/supervisor.py, which has one thread. What a process does to itself is in become.py; forking from a
warm image is in warm.py.
"""

import os
import signal
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from bridge.pool.become import User, settle

BOOT_VARIABLE = "BRIDGE_BOOT"
"""Environment of a worker: the name of this life of it, under which its spool and its exit note lie."""
PASSED_ON = frozenset(
    {
        "PATH",
        "HOME",
        "LANG",
        "TZ",
        "TMPDIR",
        "VIRTUAL_ENV",
        "OPENBLAS_NUM_THREADS",
        "JOURNAL_STREAM",
        "BRIDGE_LOG",
    }
)
PASSED_ON_PREFIXES = ("LC_", "PYTHON", "COVERAGE", "SSL_CERT_", "LD_LIBRARY_", "MALLOC_")
"""What every child gets of our environment. Keys and SIPBRIDGE_* (a store's URL may hold a password) are not
among it: they reach only a program that has `secrets`."""


@dataclass(frozen=True, slots=True)
class Program:
    """What to run for one child. `stdin` is a file; `spool_dir`, for workers only, takes the exit notes.

    `secrets`: it gets the whole environment, with every key in it, instead of the few harmless variables.
    `role`: `worker` (its configuration is told through a pipe, or to a spare), `zygote`, or "" for all others.
    `pool` and `stdin_wide`: for workers, the pool the slot begins in, and the configuration of a wide one in it.
    `on_demand`: a surge slot. `run_as`: user and group, when the supervisor is root.
    """

    name: str
    stage: int
    argv: tuple[str, ...]
    environ: Mapping[str, str] = field(default_factory=dict)
    stdin: str = os.devnull
    spool_dir: str = ""
    index: int = 0
    says_ready: bool = False
    secrets: bool = False
    role: str = ""
    pool: str = "narrow"
    stdin_wide: str = ""
    on_demand: bool = False
    run_as: User | None = None


@dataclass(slots=True)
class Process:
    """A running child. `input` is -1 when it is told nothing; `line`: what it has said of a line so far."""

    pid: int
    output: int
    input: int
    boot: str
    line: bytes = b""

    def tell(self, text: bytes) -> bool:
        """Write to its standard input. False: it is not there any more, or reads nothing."""
        try:
            return self.input >= 0 and os.write(self.input, text) == len(text)
        except OSError:
            return False

    def close(self) -> None:
        """Let go of its pipes."""
        for fd in (self.output, self.input):
            if fd >= 0:
                os.close(fd)
        self.output = self.input = -1


class Boots:
    """Names for the lives of processes: none is used twice."""

    def __init__(self) -> None:
        self._count = 0

    def next(self) -> str:
        """`<unix ms in hex>_<our pid>_<number>`."""
        self._count += 1
        return f"{int(time.time() * 1000):011x}_{os.getpid()}_{self._count}"


def pipes() -> tuple[int, int, int, int]:
    """(its input, our end of that, its output, our end of that). Ours do not block. OSError: there are no more."""
    child_input, our_input = os.pipe2(os.O_CLOEXEC)
    try:
        our_output, child_output = os.pipe2(os.O_CLOEXEC)
    except OSError:
        _close(child_input, our_input)
        raise
    os.set_blocking(our_input, False)
    os.set_blocking(our_output, False)
    return child_input, our_input, child_output, our_output


def _close(*fds: int) -> None:
    for fd in fds:
        os.close(fd)


def launch(program: Program, boot: str, channel: socket.socket | None = None) -> Process:
    """Start it. A worker's input is a pipe, a zygote's is `channel`, others read the file `program.stdin`.

    A program that cannot be started is one that ends at once with status 127. OSError: no process can be made now.
    """
    child_input, our_input, child_output, our_output = ends = pipes()
    environ = {**environment(program, os.environ), BOOT_VARIABLE: boot}
    parent = os.getpid()
    try:
        pid = os.fork()
    except OSError:
        _close(*ends)
        raise
    if pid == 0:
        standard_input = {"worker": child_input, "zygote": channel.fileno() if channel else -1}
        _become(program, environ, standard_input.get(program.role, -1), child_output, parent)
    _close(child_input, child_output)
    if program.role != "worker":
        os.close(our_input)
        our_input = -1
    return Process(pid, our_output, our_input, boot)


def _become(program: Program, environ: Mapping[str, str], given: int, output: int, parent: int) -> None:
    """In the child, between fork and exec: this process has one thread, so anything may be done here."""
    try:
        settle(parent, program.run_as)
        os.dup2(given if given >= 0 else os.open(program.stdin, os.O_RDONLY), 0)
        os.dup2(output, 1)
        os.execvpe(program.argv[0], program.argv, environ)  # noqa: S606  # no shell is wanted
    except BaseException as error:  # noqa: BLE001  # whatever it is, the child must not run the parent's code
        os.write(2, f"sipbridge: cannot start {program.name}: {error}\n".encode())
    finally:
        os._exit(127)


def environment(program: Program, ours: Mapping[str, str]) -> dict[str, str]:
    """What a child gets of our environment, and its own variables."""
    passed = {
        name: value
        for name, value in ours.items()
        if program.secrets or name in PASSED_ON or name.startswith(PASSED_ON_PREFIXES)
    }
    return {**passed, **program.environ}


def ended_child() -> tuple[int, int] | None:
    """A child that has ended, and how; None: no more."""
    try:
        pid, status = os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return None
    return (pid, status) if pid else None


def how_it_ended(status: int) -> str:
    """A wait status in words: `exit code 1`, `signal 9 (SIGKILL)`."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        known = number in signal.Signals.__members__.values()  # most real-time signals have no name
        return f"signal {number} ({signal.Signals(number).name})" if known else f"signal {number}"
    return f"exit code {os.waitstatus_to_exitcode(status)}"
