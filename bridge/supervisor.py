"""The small process over all others: starts them, waits, starts them again, stops them in order.

    serve.json ──► Supervisor ──fork/exec──► sim · control · worker-0 … worker-N
                     │  ▲ SIGCHLD, ready lines, SIGTERM, SIGHUP
                     ▼  │
                  Supervision (bridge/supervision.py: every rule is there)

It lives as long as the bridge and imports only a little of the standard library (no asyncio, nothing of
ours but the machine), so that it is the last thing on the machine to run out of memory. What to start was
worked out by bridge/serve.py, which replaces itself by this module (`python -m bridge.supervisor
SERVE_JSON`). Children die with it (PR_SET_PDEATHSIG), have their own process groups (Ctrl-C reaches only
us, we stop them in order), and their standard output goes through us line by line, to see who is ready.
"""

import contextlib
import ctypes
import fcntl
import json
import os
import selectors
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bridge.supervision import AllReady, Child, Kill, Limits, Order, Restarting, Spawn, Supervision

PR_SET_PDEATHSIG = 1
READY_WORDS = (b"ready", b"listening")
"""How the line begins that a child says when it works."""
MAX_LINE_BYTES = 64 * 1024
BOOT_VARIABLE = "BRIDGE_BOOT"
"""Environment of a worker: the name of this life of it, under which its spool and its exit note lie."""
PASSED_ON = frozenset({"PATH", "HOME", "LANG", "TZ", "TMPDIR", "VIRTUAL_ENV", "OPENBLAS_NUM_THREADS"})
PASSED_ON_PREFIXES = ("LC_", "PYTHON", "COVERAGE", "SSL_CERT_", "LD_LIBRARY_")
"""What every child gets of our environment. Keys and SIPBRIDGE_* (a store's URL may hold a password) are not
among it: they reach only a program that has `secrets`."""


class SupervisorError(Exception):
    """Another supervisor runs on the same state folder, or it cannot be written."""


@dataclass(frozen=True, slots=True)
class Program:
    """What to run for one child. `stdin` is a file; `spool_dir`, for workers only, takes the exit notes.

    `secrets`: it gets the whole environment, with every key in it, instead of the few harmless variables.
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


@dataclass(slots=True)
class _Process:
    pid: int
    output: int
    boot: str
    line: bytes = b""


def lock(state_dir: str) -> int:
    """Become the one supervisor of this folder; answers the file descriptor that holds the lock.

    The kernel drops the lock with the process, so a file left behind by a killed supervisor is no obstacle.
    Raises SupervisorError naming the process that has it.
    """
    path = Path(state_dir, "supervisor.pid")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        held = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise SupervisorError(f"cannot write {path}: {error.strerror}") from error
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        pid = os.read(held, 20).decode("ascii", "replace").strip() or "unknown"
        os.close(held)
        raise SupervisorError(
            f"a bridge already runs on {state_dir} (process {pid}); stop it or set another state_dir"
        ) from None
    try:
        os.ftruncate(held, 0)
        os.pwrite(held, f"{os.getpid()}\n".encode(), 0)
    except OSError as error:  # a full disk
        os.close(held)
        raise SupervisorError(f"cannot write {path}: {error.strerror}") from error
    return held


class Supervisor:
    """Runs until everything it started has stopped."""

    def __init__(self, programs: Sequence[Program], limits: Limits, announcement: str = "") -> None:
        self._programs = {program.name: program for program in programs}
        children = [Child(program.name, program.stage, program.says_ready) for program in programs]
        self._machine = Supervision(children, limits)
        self._announcement = announcement
        self._processes: dict[str, _Process] = {}
        self._selector = selectors.DefaultSelector()
        self._boots = 0

    def run(self) -> int:
        """Exit status 0: stopped because it was asked to."""
        wake_read, wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        numbers = (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
        before = {number: signal.signal(number, lambda *_: None) for number in numbers}
        before_fd = signal.set_wakeup_fd(wake_write)
        self._selector.register(wake_read, selectors.EVENT_READ)
        try:
            self._obey(self._machine.begin(time.monotonic()))
            while not self._machine.done:
                self._wait(wake_read)
                self._obey(self._machine.tick(time.monotonic()))
        finally:
            signal.set_wakeup_fd(before_fd)
            for number, handler in before.items():
                signal.signal(number, handler)
            self._selector.close()
            os.close(wake_read)
            os.close(wake_write)
        say("stopped")
        return 0

    def _wait(self, wake: int) -> None:
        due = self._machine.next_due()
        timeout_s = None if due is None else max(due - time.monotonic(), 0.0)
        for key, _ in self._selector.select(timeout_s):
            if key.fd == wake:
                self._signals(os.read(wake, 4096))
            else:
                self._read(key.data)

    def _signals(self, numbers: bytes) -> None:
        now = time.monotonic()
        for number in numbers:
            if number in (signal.SIGTERM, signal.SIGINT):
                say("stopping" if not self._machine.stopping else "stopping at once")
                self._obey(self._machine.stop(now))
            elif number == signal.SIGHUP:
                self._obey(self._machine.reload())
        for name in list(self._processes):
            self._reap(name)

    def _reap(self, name: str) -> None:
        process = self._processes[name]
        pid, status = os.waitpid(process.pid, os.WNOHANG)
        if pid == 0:
            return
        self._read(name, last=True)
        del self._processes[name]
        self._selector.unregister(process.output)
        os.close(process.output)
        how = how_it_ended(status)
        self._note_exit(self._programs[name], process.boot, how)
        self._obey(self._machine.exited(name, how, time.monotonic()))

    def _note_exit(self, program: Program, boot: str, how: str) -> None:
        """For the record of the calls the worker was carrying (bridge/link/spool.py)."""
        if not program.spool_dir:
            return
        path = Path(program.spool_dir, f"worker-{program.index}-{boot}.exit")
        fresh = path.with_suffix(".new")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            fresh.write_text(how + "\n", encoding="utf-8")
            fresh.replace(path)
        except OSError as error:
            say(f"cannot write {path}: {error}")

    def _read(self, name: str, *, last: bool = False) -> None:
        """Pass the child's lines on; one of them may say that it is ready."""
        process = self._processes.get(name)
        if process is None:  # reaped by a signal of the same round of select
            return
        while data := _read_some(process.output):
            *lines, process.line = (process.line + data).split(b"\n")
            for line in lines:
                self._line(name, line)
            if len(process.line) > MAX_LINE_BYTES:
                self._line(name, process.line)
                process.line = b""
        if last and process.line:
            self._line(name, process.line)

    def _line(self, name: str, line: bytes) -> None:
        _print(line)
        if line.startswith(READY_WORDS):
            self._obey(self._machine.ready(name, time.monotonic()))

    def _obey(self, orders: Sequence[Order]) -> None:
        for order in orders:
            match order:
                case Spawn(name):
                    self._spawn(self._programs[name])
                case Kill(name, number):
                    if name in self._processes:
                        os.kill(self._processes[name].pid, number)
                case Restarting(name, how, delay_s):
                    say(f"{name} ended: {how}; starting it again in {delay_s:g} s")
                case AllReady(late):
                    say(self._announcement)
                    if late:
                        say(f"still waiting for: {', '.join(late)}")

    def _spawn(self, program: Program) -> None:
        self._boots += 1
        boot = f"{int(time.time() * 1000):011x}_{os.getpid()}_{self._boots}"
        output, child_output = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(output, False)
        environ = {**environment(program, os.environ), BOOT_VARIABLE: boot}
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            _become(program, environ, child_output, parent)
        os.close(child_output)
        self._processes[program.name] = _Process(pid, output, boot)
        self._selector.register(output, selectors.EVENT_READ, program.name)


def _become(program: Program, environ: Mapping[str, str], output: int, parent: int) -> None:
    """In the child, between fork and exec: this process has one thread, so anything may be done here."""
    try:
        os.setpgid(0, 0)
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(
            signal.SIGHUP, signal.SIG_IGN
        )  # lasts over exec: a reload must not kill a starting control
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)
        os.dup2(os.open(program.stdin, os.O_RDONLY), 0)
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


def how_it_ended(status: int) -> str:
    """A wait status in words: `exit code 1`, `signal 9 (SIGKILL)`."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        return f"signal {number} ({signal.Signals(number).name})"
    return f"exit code {os.waitstatus_to_exitcode(status)}"


def say(text: str) -> None:
    """A line for the person who started us."""
    if text:
        _print(f"sipbridge: {text}".encode())


def _print(line: bytes) -> None:
    """One line on standard output; nobody reading it any more is no reason to end calls."""
    with contextlib.suppress(OSError):
        os.write(
            1, line + b"\n"
        )  # unbuffered: what stays in a buffer fails at exit, and makes the exit status 120


def _read_some(fd: int) -> bytes:
    try:
        return os.read(fd, 65536)
    except BlockingIOError:
        return b""


def read_serve(path: str) -> tuple[list[Program], Limits, str]:
    """What bridge/serve.py wrote: `{programs: [...], limits: {...}, announcement}`."""
    data: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
    programs = [Program(**{**program, "argv": tuple(program["argv"])}) for program in data["programs"]]
    return programs, Limits(**data["limits"]), data["announcement"]


def main(arguments: Sequence[str]) -> int:
    """`python -m bridge.supervisor SERVE_JSON LOCK_FD`: the descriptor of the lock came over the exec."""
    os.set_inheritable(int(arguments[1]), False)
    programs, limits, announcement = read_serve(arguments[0])
    return Supervisor(programs, limits, announcement).run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
