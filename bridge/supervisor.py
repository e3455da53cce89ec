"""The small process over all others: starts them, waits, starts them again, stops them in order.

    serve.json ──► Supervisor ──fork/exec──► zygote · sim · control      ──zygote forks──► worker-0 … worker-N, spares
                     │  ▲ SIGCHLD, what children say, SIGTERM, SIGHUP, run/supervisor.sock
                     ▼  │
                  Supervision · Roster · Nursery     (bridge/supervision.py, bridge/pool: every rule is there)

It lives as long as the bridge and imports only a little of the standard library (no asyncio, nothing of
ours but the machines), so that it is the last thing on the machine to run out of memory. What to start was
worked out by bridge/serve.py, which replaces itself by this module (`python -m bridge.supervisor
SERVE_JSON`). Children die with it (PR_SET_PDEATHSIG), have their own process groups (Ctrl-C reaches only
us, we stop them in order), and their standard output goes through us line by line, to see who is ready. Workers are
its children too: what the zygote's forks leave behind becomes ours (PR_SET_CHILD_SUBREAPER), and so do orphans of
anybody else, which are only waited for.
"""

import contextlib
import fcntl
import json
import os
import selectors
import signal
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from bridge.outlet import Outlet
from bridge.pool.become import adopt_orphans
from bridge.pool.crew import Crew, Hands
from bridge.pool.door import Door
from bridge.pool.launch import Boots, Process, Program, ended_child, how_it_ended, launch
from bridge.pool.moves import PoolLimits
from bridge.pool.nursery import NurseryLimits
from bridge.pool.tidy import tidy
from bridge.pool.warm import Warm, WarmHandlers
from bridge.sdnotify import Manager
from bridge.supervision import AllReady, Child, Kill, Left, Limits, Order, Restarting, Spawn, Supervision

__all__ = ["Program", "Supervisor", "SupervisorError", "how_it_ended", "lock", "main", "read_serve", "say"]

READY_WORDS = (b"ready", b"listening")
"""How the line begins that a child says when it works."""
STATUS = b"status "
MAX_LINE_BYTES = 64 * 1024
_OUTPUT = Outlet(1, "sipbridge: {} lines were lost here\n".format)
SOCKET = "supervisor.sock"


class SupervisorError(Exception):
    """Another supervisor runs on the same state folder, or it cannot be written."""


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
    """Runs until everything it started has stopped. `socket_path`: where ops reach the pool; None: nowhere."""

    def __init__(
        self,
        programs: Sequence[Program],
        limits: Limits,
        announcement: str = "",
        pool: PoolLimits | None = None,
        *,
        spares: int = 0,
        socket_path: Path | None = None,
    ) -> None:
        self._programs = {program.name: program for program in programs}
        self._machine = Supervision(
            [Child(one.name, one.stage, one.says_ready, one.on_demand) for one in programs], limits
        )
        self._announcement = announcement
        self._processes: dict[str, Process] = {}
        self._selector = selectors.DefaultSelector()
        self._boots = Boots()
        self._zygote = next((program.name for program in programs if program.role == "zygote"), "")
        handlers = WarmHandlers(self._adopted, self._launch, self._end_zygote)
        self._warm = Warm(NurseryLimits(spares=spares if self._zygote else None), handlers)
        hands = Hands(self._obey, self._word, self._fresh, say)
        self._crew = Crew(programs, pool or PoolLimits(), self._machine, hands)
        self._door = Door(socket_path, self._selector, self._crew.ask) if socket_path else None
        self._manager = Manager(os.environ)

    def run(self) -> int:
        """Exit status 0: stopped because it was asked to."""
        adopt_orphans()
        wake_read, wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        numbers = (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
        before = {number: signal.signal(number, lambda *_: None) for number in numbers}
        before_fd = signal.set_wakeup_fd(wake_write)
        self._selector.register(wake_read, selectors.EVENT_READ, partial(self._woken, wake_read))
        if self._door is not None:
            say(self._door.problem)
        try:
            self._obey(self._machine.begin(time.monotonic()))
            while not self._machine.done:
                self._wait()
                self._tick(time.monotonic())
        finally:
            signal.set_wakeup_fd(before_fd)
            for number, handler in before.items():
                signal.signal(number, handler)
            self._warm.close()
            if self._door is not None:
                self._door.close()
            self._selector.close()
            os.close(wake_read)
            os.close(wake_write)
        say("stopped")
        return 0

    def _wait(self) -> None:
        dues = [
            self._machine.next_due(),
            self._warm.next_due(),
            self._crew.next_due(),
            self._manager.next_due(),
            self._door.next_due() if self._door is not None else None,
        ]
        due = min((one for one in dues if one is not None), default=None)
        timeout_s = None if due is None else max(due - time.monotonic(), 0.0)
        for key, _ in self._selector.select(timeout_s):
            act: Callable[[], None] = key.data
            act()

    def _tick(self, now: float) -> None:
        self._manager.tick(now)
        self._obey(self._machine.tick(now))
        self._warm.tick(now)
        self._crew.tick(now, {name: process.pid for name, process in self._processes.items()})
        if self._door is not None:
            self._door.tick(now)

    # ---- signals and exits -----------------------------------------------------------------------------------

    def _woken(self, wake: int) -> None:
        now = time.monotonic()
        for number in os.read(wake, 4096):
            if number in (signal.SIGTERM, signal.SIGINT):
                say("stopping" if not self._machine.stopping else "stopping at once")
                self._manager.stopping()
                self._crew.stop()
                self._obey(
                    self._machine.stop(now)
                )  # before warm: who still waits for a process is found there
                self._warm.stop()
            elif number == signal.SIGHUP:
                self._obey(self._machine.reload())
        while (found := ended_child()) is not None:
            self._reap(*found)

    def _reap(self, pid: int, status: int) -> None:
        now = time.monotonic()
        name = next((name for name, process in self._processes.items() if process.pid == pid), None)
        if name is None:
            self._warm.ended(pid, now)
            return
        self._read(name, last=True)
        process = self._processes.pop(name)
        self._selector.unregister(process.output)
        process.close()
        if name == self._zygote:
            self._hear()
            self._warm.zygote_gone(now)
        how = how_it_ended(status)
        self._note_exit(self._programs[name], process.boot, how)
        self._exited(name, how, now)

    def _exited(self, name: str, how: str, now: float) -> None:
        orders = self._machine.exited(name, how, now)
        self._crew.exited(name, now)
        self._obey(orders)

    def _note_exit(self, program: Program, boot: str, how: str) -> None:
        """For the record of its calls (bridge/link/spool.py). The folder may be another user's: no link is followed."""
        if not program.spool_dir:
            return
        path = Path(program.spool_dir, f"worker-{program.index}-{boot}.exit")
        fresh = path.with_suffix(".new")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            fresh.unlink(missing_ok=True)
            with fresh.open("x", encoding="utf-8") as file:
                file.write(how + "\n")
            fresh.replace(path)
        except OSError as error:
            say(f"cannot write {path}: {error}")

    # ---- what children say -----------------------------------------------------------------------------------

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
        now = time.monotonic()
        if line.startswith(STATUS) and self._crew.said(name, line, now):
            return
        if name != self._zygote:
            _print(line)
        if line.startswith(READY_WORDS):
            if name == self._zygote:
                self._warm.zygote_up(now)
            self._obey(self._machine.ready(name, now))
            self._crew.ready(name, now)

    # ---- what the machines order -----------------------------------------------------------------------------

    def _obey(self, orders: Sequence[Order]) -> None:
        for order in orders:
            match order:
                case Spawn(name):
                    self._spawn(name)
                case Kill(name, number):
                    self._kill(name, number)
                case Restarting(name, how, delay_s):
                    say(f"{name} ended: {how}; starting it again in {delay_s:g} s")
                case Left(name, how):
                    say(f"{name} has left: {how}")
                case AllReady(late):
                    say(self._announcement)
                    self._manager.ready(self._announcement)
                    if late:
                        say(f"still waiting for: {', '.join(late)}")

    def _spawn(self, name: str) -> None:
        if self._programs[name].role == "worker":
            self._crew.spawned(name, time.monotonic())
            self._warm.want(name, time.monotonic())
        else:
            self._launch(name)

    def _launch(self, name: str) -> None:
        """The slow way: fork and exec. Without memory, processes or descriptors for it, tried again like a crash."""
        program = self._programs[name]
        try:
            channel = self._warm.new_channel() if program.role == "zygote" else None
            with channel or contextlib.nullcontext():
                process = launch(program, self._boots.next(), channel)
        except OSError as error:
            if program.role == "zygote":
                self._warm.zygote_gone(time.monotonic())
            self._exited(name, f"cannot be started: {error.strerror or error}", time.monotonic())
            return
        if self._warm.channel is not None and channel is not None:
            self._selector.register(self._warm.channel, selectors.EVENT_READ, self._hear)
        self._keep(name, process, first_line=False)

    def _adopted(self, name: str, process: Process) -> None:
        """The fast way: a spare gets the slot."""
        process.boot = self._boots.next()
        self._keep(name, process, first_line=True)

    def _keep(self, name: str, process: Process, *, first_line: bool) -> None:
        self._processes[name] = process
        self._selector.register(process.output, selectors.EVENT_READ, partial(self._read, name))
        if self._programs[name].role != "worker":
            return
        words = f"{process.boot} {name}\n".encode() if first_line else b""
        if not process.tell(words + self._crew.configuration(name)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)

    def _kill(self, name: str, number: signal.Signals) -> None:
        process = self._processes.get(name)
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, number)
        elif self._warm.cancel(name):  # it was waiting for a process
            self._exited(name, "never started", time.monotonic())

    def _word(self, name: str, word: str) -> None:
        process = self._processes.get(name)
        if process is None:
            if word == "retire":  # the successor of one that died while it was being replaced
                self._kill(name, signal.SIGTERM)
        elif not process.tell(f"{word}\n".encode()):
            say(f"{name} does not hear: {word}")

    def _hear(self) -> None:
        channel = self._warm.channel
        self._warm.hear(time.monotonic())
        if channel is not None and self._warm.channel is None:
            with contextlib.suppress(KeyError, ValueError):
                self._selector.unregister(channel)

    def _fresh(self) -> None:
        """Load the image anew: spares go, and the zygote is replaced by another one."""
        self._warm.fresh()
        if self._zygote:
            self._obey(self._machine.leave(self._zygote, again=True, now=time.monotonic()))
            self._end_zygote()

    def _end_zygote(self) -> None:
        self._kill(self._zygote, signal.SIGKILL)


def say(text: str) -> None:
    """A line for the person who started us."""
    if text:
        _print(f"sipbridge: {text}".encode())


def _print(line: bytes) -> None:
    """One line on standard output; nobody reading it any more is no reason to end calls, or to stand still."""
    _OUTPUT.write(line.decode("utf-8", "backslashreplace") + "\n")


def _read_some(fd: int) -> bytes:
    try:
        return os.read(fd, 65536)
    except BlockingIOError:
        return b""


def read_serve(path: str) -> dict[str, Any]:
    """What bridge/serve.py wrote, as the arguments of Supervisor; and `leftovers`, to be removed after it."""
    data: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
    return {
        "programs": [_program(one) for one in data["programs"]],
        "limits": Limits(**data["limits"]),
        "announcement": data["announcement"],
        "pool": PoolLimits(**data.get("pool", {})),
        "spares": data.get("spares", 0),
        "leftovers": data.get("leftovers", ()),
    }


def _program(data: dict[str, Any]) -> Program:
    run_as = data.get("run_as")
    return Program(**{**data, "argv": tuple(data["argv"]), "run_as": tuple(run_as) if run_as else None})


def main(arguments: Sequence[str]) -> int:
    """`python -m bridge.supervisor SERVE_JSON LOCK_FD`: the descriptor of the lock came over the exec."""
    os.set_inheritable(int(arguments[1]), False)
    told = read_serve(arguments[0])
    leftovers, told["socket_path"] = told.pop("leftovers"), Path(arguments[0]).with_name(SOCKET)
    status = Supervisor(**told).run()
    tidy(leftovers)
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
