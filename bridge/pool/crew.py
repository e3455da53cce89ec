"""The workers' side of the supervisor: carries the roster's moves out, and tells it what its workers do and use.

    Roster (rules) ◄──spawned, ready, exited, status lines, PSS and CPU── Crew ──► Supervision, words to workers

Called by bridge/supervisor.py. Reads /proc; starts and kills nothing itself.
"""

import contextlib
import os
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bridge.pool.launch import Program
from bridge.pool.moves import Fresh, Leave, Move, PoolLimits, RosterError, Say, Start, Stop, Tell
from bridge.pool.roster import Roster
from bridge.pool.watch import cpu_ticks, pss_mb
from bridge.supervision import Kill, Order, Supervision

TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Hands:
    """What the supervisor does for the crew."""

    obey: Callable[[Sequence[Order]], None]
    word: Callable[[str, str], None]
    fresh: Callable[[], None]
    say: Callable[[str], None]


@dataclass(slots=True)
class _Sample:
    pid: int
    ticks: int
    at: float


class Crew:
    """The pool as the supervisor has it: names instead of slots, and what the kernel says."""

    def __init__(
        self, programs: Sequence[Program], limits: PoolLimits, machine: Supervision, hands: Hands
    ) -> None:
        self._workers = [program for program in programs if program.role == "worker"]
        self._slots = {program.name: slot for slot, program in enumerate(self._workers)}
        self._roster = Roster([(program.pool, program.on_demand) for program in self._workers], limits)
        self._limits = limits
        self._machine = machine
        self._hands = hands
        self._samples: dict[str, _Sample] = {}
        self._pids: Mapping[str, int] = {}
        self._check_due: float | None = None
        self._stopped = False

    def configuration(self, name: str) -> bytes:
        """The line of JSON that this worker is told. Empty when it cannot be read: the worker says so and ends."""
        slot = self._slots[name]
        program = self._workers[slot]
        wide = self._roster.pool(slot) == "wide" and program.stdin_wide
        try:
            text = Path(program.stdin_wide if wide else program.stdin).read_bytes()
        except OSError as error:
            self._hands.say(f"cannot read the configuration of {name}: {error}")
            text = b""
        return text.rstrip(b"\n") + b"\n"

    # ---- what happens ----------------------------------------------------------------------------------------

    def spawned(self, name: str, now: float) -> None:
        """A process is started for this worker."""
        self._samples.pop(name, None)
        self._roster.spawned(self._slots[name], now, random.random())  # noqa: S311  # jitter, no secret

    def ready(self, name: str, now: float) -> None:
        """A child has said that it is ready; it may be none of ours."""
        if name in self._slots:
            self._do(self._roster.ready(self._slots[name], now), now)

    def exited(self, name: str, now: float) -> None:
        """A child has ended, and supervision knows it; it may be none of ours."""
        if name in self._slots:
            self._do(self._roster.exited(self._slots[name], now, free=self._machine.free(name)), now)

    def said(self, name: str, line: bytes, now: float) -> bool:
        """Take a line `status calls=2 taken=57`. False: it is none."""
        words = dict(word.partition("=")[::2] for word in line.decode("ascii", "replace").split()[1:])
        with contextlib.suppress(KeyError, ValueError):
            calls, taken = int(words["calls"]), int(words["taken"])
            self._do(self._roster.counted(self._slots[name], calls, taken, now), now)
            return True
        return False

    def tick(self, now: float, pids: Mapping[str, int]) -> None:
        """What has become due; `pids` are all children that run."""
        self._pids = pids
        if self._stopped:
            return
        if self._check_due is None or now >= self._check_due:
            self._check_due = now + self._limits.check_s
            self._check(now)
        self._do(self._roster.tick(now), now)

    def next_due(self) -> float | None:
        """When `tick` has something to do."""
        if self._stopped or not self._workers:
            return None
        dues = [self._check_due, self._roster.next_due()]
        return min((due for due in dues if due is not None), default=None)

    def stop(self) -> None:
        """The bridge stops: nothing is replaced any more."""
        self._stopped = True
        self._roster.stop()

    # ---- what ops ask for ------------------------------------------------------------------------------------

    def ask(self, order: Mapping[str, Any], now: float) -> dict[str, Any]:
        """Answer a request from the socket: `{"do": status|restart|drain|undrain, "slot": N}`, restart also "rolling".

        The answer is `{"ok": true, …}`, or `{"ok": false, "error": why}`.
        """
        try:
            self._do(self._asked(order, now), now)
        except RosterError as error:
            return {"ok": False, "error": str(error)}
        return {"ok": True, **self._status(now)}

    def _asked(self, order: Mapping[str, Any], now: float) -> list[Move]:
        do, slot, roster = order.get("do"), order.get("slot"), self._roster
        if do == "status":
            return []
        if self._stopped:
            raise RosterError("the bridge is stopping")
        if (do, slot) == ("restart", "rolling"):
            return roster.roll(now)
        if not isinstance(slot, int) or isinstance(slot, bool):
            raise RosterError('"slot" must be a number, or "rolling" for restart')
        if do == "restart":
            return roster.restart(slot, now)
        if do not in ("drain", "undrain"):
            raise RosterError('"do" must be status, restart, drain or undrain')
        return roster.drain(slot) if do == "drain" else roster.undrain(slot)

    def _status(self, now: float) -> dict[str, Any]:
        state = self._roster.status(now)
        for worker in state["workers"]:
            name = self._workers[worker["slot"]].name
            worker |= {"name": name, "pid": self._pids.get(name, 0)}
        return {**state, "children": self._machine.told(now), "supervisor": os.getpid()}

    # ---- hands and eyes --------------------------------------------------------------------------------------

    def _do(self, moves: Sequence[Move], now: float) -> None:
        for move in moves:
            match move:
                case Start(slot):
                    self._hands.obey(self._machine.start(self._workers[slot].name, now))
                case Leave(slot, again):
                    name = self._workers[slot].name
                    orders = self._machine.leave(name, again=again, now=now)
                    if self._machine.free(name):  # it was waiting to be started again
                        self.exited(name, now)
                    self._hands.obey(orders)
                case Say(slot, word):
                    self._hands.word(self._workers[slot].name, word)
                case Stop(slot, number):
                    self._hands.obey([Kill(self._workers[slot].name, number)])
                case Fresh():
                    self._hands.fresh()
                case Tell(text):
                    self._hands.say(text)

    def _check(self, now: float) -> None:
        """Memory and CPU of every worker, for the roster to judge."""
        for name, slot in self._slots.items():
            pid = self._pids.get(name)
            if pid is None:
                continue
            try:
                mb = pss_mb(Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii"))
                ticks = cpu_ticks(Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace"))
            except OSError:  # it has just ended
                continue
            before = self._samples.get(name)
            self._samples[name] = _Sample(pid, ticks, now)
            if before is not None and before.pid == pid and now > before.at:
                percent = (ticks - before.ticks) / TICKS_A_SECOND / (now - before.at) * 100
                self._do(self._roster.measured(slot, mb, percent, now), now)
