"""The supervisor's side of the zygote: asks it for processes, keeps the spares, gives one its slot when it is needed.

    supervisor ──{"request": 7} + its stdin, its stdout──► zygote ──fork, fork──► spare (our child)
               ◄──────────── {"request": 7, "pid": 4711} ─┘
    spare's stdin:  BOOT NAME / configuration / words…      the same a worker gets that was started by exec, but
                                                              for the first line

The rules are in nursery.py; this is the shell that has the socket and the pipes. Never blocks: a zygote that does not
take an order counts as one that does not answer.
"""

import contextlib
import json
import os
import signal
import socket
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bridge.pool.launch import Process, pipes
from bridge.pool.nursery import Adopt, AskFork, Drop, Exec, Nursery, NurseryLimits, Step, ZygoteStuck

MAX_WORDS_BYTES = 1024
STRANGERS = 64


@dataclass(frozen=True, slots=True)
class WarmHandlers:
    """What the supervisor does. `adopted` gets a process that waits for its first line."""

    adopted: Callable[[str, Process], None]
    cold: Callable[[str], None]
    stuck: Callable[[], None]


class Warm:
    """Spares, and the channel to the zygote that makes them."""

    def __init__(self, limits: NurseryLimits, handlers: WarmHandlers) -> None:
        self._nursery = Nursery(limits)
        self._handlers = handlers
        self._ends: dict[int, Process] = {}
        """Our ends of the pipes of processes that were asked for and are not born yet, by request."""
        self._spares: dict[int, Process] = {}
        self._strangers: deque[int] = deque(maxlen=STRANGERS)
        self.channel: socket.socket | None = None

    @property
    def spares(self) -> int:
        """How many are ready."""
        return self._nursery.idle

    def new_channel(self) -> socket.socket:
        """A channel for a zygote that is about to be started; answers its end, to be closed after the fork."""
        self._forget()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        self.channel = ours
        return theirs

    def want(self, name: str, now: float) -> None:
        """Start worker `name`, one way or the other."""
        self._do(self._nursery.want(name, now))

    def cancel(self, name: str) -> bool:
        """Worker `name` is not wanted any more. False: it is not waiting for a process."""
        return self._nursery.cancel(name)

    def zygote_up(self, now: float) -> None:
        """The zygote has said that it is ready."""
        self._do(self._nursery.zygote_up(now))

    def zygote_gone(self, now: float) -> None:
        """The zygote has ended."""
        self._do(self._nursery.zygote_gone(now))

    def fresh(self) -> None:
        """Use nothing of the present image any more."""
        self._do(self._nursery.fresh())

    def stop(self) -> None:
        """No spares any more."""
        self._do(self._nursery.stop())

    def close(self) -> None:
        """Let go of everything."""
        self._forget()
        for spare in self._spares.values():
            spare.close()
        self._spares.clear()

    def tick(self, now: float) -> None:
        """What has become due."""
        self._do(self._nursery.tick(now))

    def next_due(self) -> float | None:
        """When `tick` has something to do."""
        return self._nursery.next_due()

    def ended(self, pid: int, now: float) -> None:
        """A child that is not known by a name has ended: a spare, or somebody's orphan."""
        spare = self._spares.pop(pid, None)
        if spare is None:
            self._strangers.append(pid)  # perhaps a spare whose birth we have not read yet
            return
        spare.close()
        self._do(self._nursery.died(pid, now))

    def hear(self, now: float) -> None:
        """The channel has something to say: births, or the zygote's end."""
        while self.channel is not None:
            try:
                data = self.channel.recv(MAX_WORDS_BYTES)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data:
                self._forget()
                return
            born = json.loads(data)
            self._born(int(born["request"]), int(born["pid"]), now)

    def _born(self, request: int, pid: int, now: float) -> None:
        ends = self._ends.pop(request, None)
        if ends is None:
            _kill(pid)
            return
        ends.pid = pid
        self._spares[pid] = ends
        self._do(self._nursery.born(request, pid, now))
        if pid in self._strangers:
            self._strangers.remove(pid)
            self.ended(pid, now)

    def _do(self, steps: Sequence[Step]) -> None:
        for step in steps:
            match step:
                case AskFork(request):
                    self._ask(request)
                case Adopt(name, pid):
                    self._handlers.adopted(name, self._spares.pop(pid))
                case Exec(name):
                    self._handlers.cold(name)
                case Drop(pid):
                    _kill(pid)
                case ZygoteStuck():
                    self._forget()
                    self._handlers.stuck()

    def _ask(self, request: int) -> None:
        try:
            child_input, our_input, child_output, our_output = pipes()
        except OSError:  # no descriptors left: as if the zygote did not answer
            return
        self._ends[request] = Process(0, our_output, our_input, "")
        with contextlib.suppress(OSError):  # then it does not answer, and its time runs out
            if self.channel is not None:
                words = json.dumps({"request": request}).encode()
                socket.send_fds(self.channel, [words], [child_input, child_output])
        os.close(child_input)
        os.close(child_output)

    def _forget(self) -> None:
        """What this zygote was asked for does not come any more; a process that comes all the same reads an end."""
        for ends in self._ends.values():
            ends.close()
        self._ends.clear()
        if self.channel is not None:
            self.channel.close()
            self.channel = None


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
