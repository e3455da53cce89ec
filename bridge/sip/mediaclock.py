"""The clock that moves the audio of all legs of a worker: absolute deadlines, no sleep that adds up.

    timerfd, every tick_ms ──► loop: poll (RTP of all legs) ─► tick every port ─► wake who waits
    guard thread: its own timer rings when the loop is GRACE_S late with a tick; it ticks in the loop's place

Waking a thread costs more than what a tick does, so the loop itself ticks: packets in, packets out and what the session
is sent are one wake-up. What holds the loop up (the start of a call, a long message) may not hold up the audio of the
calls beside it: for that there is the guard, which the loop loses the interpreter to within SWITCH_INTERVAL_S. Every
turn puts its timer off, so that it is woken only when it is needed. It sleeps without ticks while no leg has media. A
tick copies bytes and returns: no log, no await, no SIP call. Without a loop (tests) the guard is the clock.

A worker that has BUSY_PORTS or more ticks half as often: with so many legs a tick that finds nothing costs as much as
one that moves packets, and other calls want the cores. The caller's words are 5 ms later for it on average.
"""

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from bridge.sip.timerfd import TimerFd

MAX_LATE_S = 0.2  # a clock later than this starts anew instead of sending the backlog as a burst
STILL_S = 2.0  # a clock that has ports and did not tick for so long will not tick again
GRACE_S = 0.02  # a loop later than this is ticked for
BUSY_PORTS = 3  # a worker with so many saves the CPU of every second tick
LONGEST_TICK_S = 0.02  # a packet, as nearly every phone sends them
PRESSED_S = 0.003  # ticks that are so late on average: the machine has more to do than it can do at once
RELAXED_S = 0.001
AVERAGE_OF = 64  # ticks: a second or so
STALL_S = 0.05  # a tick counts for no more: one stall is no lack of time


class ClockedPort(Protocol):
    """What the clock needs of an AudioPort."""

    on_failure: Callable[[str], None] | None

    @property
    def ptime_ms(self) -> int:
        """Length of the packets that it sends."""

    def tick(self, now: float) -> None:
        """Move what is due at monotonic `now`: when this tick was due, which is a little before it comes."""

    def wants_wake(self) -> bool:
        """Whether the loop has something to see; True once for each wake."""

    def wake(self) -> None:
        """Let those who wait see it. Loop."""

    def call_loop(self, callback: Callable[..., None], *args: object) -> None:
        """Run `callback` on the loop."""


@dataclass(slots=True)
class ClockStats:
    """Lateness of the media clock in seconds, since the last reading."""

    ticks: int = 0
    late_ticks: int = 0
    max_late_s: float = 0.0
    restarts: int = 0


def wake(ports: Iterable[ClockedPort]) -> None:
    """One wake of the loop for all ports of a tick: waking it costs more than what it then does. Media thread."""
    waiting = [port for port in ports if port.wants_wake()]
    if waiting:
        waiting[0].call_loop(_wake_all, waiting)


def _wake_all(ports: Iterable[ClockedPort]) -> None:
    for port in ports:
        port.wake()


class MediaClock:
    """Ticks every attached port every `tick_ms`, on `loop`, or on a thread of its own when the loop does not come.

    `register_thread(name)` makes pjlib know the calling thread; `poll` brings in what the network has, before the
    ports look. A port that raises is ticked no more and told so by its `on_failure`; the others do not notice.
    `pressed`: the machine is short of time, so what can be done less often should be.
    """

    def __init__(
        self,
        tick_ms: int,
        register_thread: Callable[[str], None],
        loop: asyncio.AbstractEventLoop | None = None,
        poll: Callable[[], None] | None = None,
    ) -> None:
        self._usual_tick_s = self._tick_s = tick_ms / 1000
        self._register_thread = register_thread
        self._loop = loop
        self._poll = poll
        self._ports: tuple[ClockedPort, ...] = ()
        self._change = threading.Lock()
        self._turning = threading.Lock()
        self._ticked_s = self._due_s = time.monotonic()
        self._grace_s = 0.0 if loop is None else GRACE_S
        self._timer: TimerFd | None = None
        self._guard = TimerFd(blocking=True)
        self._changed = self._stopping = False
        self._late_s = 0.0
        self.pressed = False
        self._thread = threading.Thread(target=self._run, name="media-clock", daemon=True)
        self.stats = ClockStats()

    def start(self) -> None:
        """Start; pjlib must be initialised. Any thread."""
        self._thread.start()
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._attend, self._loop)

    def stop(self) -> None:
        """End the thread and wait for it: afterwards no stream is touched. Not the loop's thread."""
        self._stopping = True
        if self._thread.is_alive():
            self._guard.arm(0.0)
            self._thread.join(timeout=1)
        with contextlib.ExitStack() as stack:
            if self._turning.acquire(timeout=1):  # a turn that the loop is in the middle of
                stack.callback(self._turning.release)
            with self._change:
                self._guard.close()
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # a loop that is closed reads no timer
                self._loop.call_soon_threadsafe(self._leave, self._loop)

    def add(self, port: ClockedPort) -> None:
        """Tick `port` from now on; idempotent. To be called again when its packets have another length."""
        with self._change:
            first = not self._ports
            if not any(other is port for other in self._ports):
                self._ports = (*self._ports, port)
            self._changed = True
            if first and not self._stopping:
                self._ticked_s = self._due_s = time.monotonic()
                self._arm(self._due_s)
                self._guard.arm(self._due_s + self._grace_s)

    def remove(self, port: ClockedPort) -> None:
        """Tick `port` no more; idempotent."""
        with self._change:
            self._ports = tuple(other for other in self._ports if other is not port)
            self._changed = True
            if not self._ports and not self._stopping:
                self._guard.disarm()
                if self._timer is not None:
                    self._timer.disarm()

    def poll(self) -> None:
        """Bring in what the network has, out of turn. Any thread that pjlib knows, without the interpreter's locks."""
        if self._poll is not None:
            self._poll()

    def problem(self, now: float) -> str:
        """What is wrong with the clock at monotonic `now`; "" when nothing is. Any thread."""
        if not self._thread.is_alive():
            return "the media clock is dead"
        still_s = now - self._ticked_s
        return (
            f"the media clock stands still for {still_s:.1f} s" if self._ports and still_s > STILL_S else ""
        )

    # ---- the loop's side -------------------------------------------------------------------------------------

    def _attend(self, loop: asyncio.AbstractEventLoop) -> None:
        self._register_thread("loop")
        timer = TimerFd()
        loop.add_reader(timer.fd, self._ring)
        with self._change:
            self._timer = timer
            if self._ports:
                self._arm(self._due_s)

    def _leave(self, loop: asyncio.AbstractEventLoop) -> None:
        with self._change:
            timer, self._timer = self._timer, None
        if timer is not None:
            loop.remove_reader(timer.fd)
            timer.close()

    def _ring(self) -> None:
        if self._timer is None or not self._timer.read() or not self._turning.acquire(blocking=False):
            return
        try:
            ports = self._turn(time.monotonic())
        finally:
            self._turning.release()
        for port in ports:
            if port.wants_wake():
                self._do(port, port.wake)

    def _arm(self, first_s: float) -> None:
        if self._timer is not None:
            self._timer.arm(first_s, self._tick_s)

    # ---- the guard's side ------------------------------------------------------------------------------------

    def _run(self) -> None:
        self._register_thread("media-clock")
        while not self._stopping:
            self._guard.read()
            with self._turning:
                now = time.monotonic()
                late = bool(self._ports) and now >= self._due_s + self._grace_s
                ports = self._turn(now) if late else ()
            wake(ports)

    # ---- a turn, on either side ------------------------------------------------------------------------------

    def _turn(self, now: float) -> tuple[ClockedPort, ...]:
        """Every tick that is due; who was ticked. The caller holds `_turning`."""
        if self._stopping:
            return ()
        if self._poll is not None:
            self._poll()
        while self._due_s <= now:
            due = self._account(now, self._due_s)
            if due != self._due_s:
                self._arm(due + self._tick_s)
            for port in self._ports:
                # The time it should be, not the time it is: a port whose packets are due close to a tick would find
                # itself now before and now after it, and send with gaps of 15 and 25 ms.
                self._do(port, port.tick, due)
            self._due_s = due + self._tick_s
        self._ticked_s = now
        if self._changed:
            with (
                self._change
            ):  # or a port that goes now would disarm the timer first, and this arm it for nobody
                self._pace()
        if self._ports:
            self._guard.put_off(self._due_s + self._grace_s)
        return self._ports

    def _pace(self) -> None:
        """How often to tick what there is to tick, from the next one on. The caller holds `_change`."""
        self._changed = False
        if not self._ports:
            return
        long_s = max(min(2 * self._usual_tick_s, LONGEST_TICK_S), self._usual_tick_s)
        long_ms = round(long_s * 1000)
        rare = len(self._ports) >= BUSY_PORTS and all(port.ptime_ms % long_ms == 0 for port in self._ports)
        tick_s = long_s if rare else self._usual_tick_s
        if tick_s != self._tick_s:
            self._tick_s = tick_s
            self._arm(self._due_s)

    def _do(self, port: ClockedPort, work: Callable[..., None], *arguments: float) -> None:
        try:
            work(*arguments)
        except Exception as error:  # noqa: BLE001  # whatever it is must cost one call, not all of the worker
            self.remove(port)
            if port.on_failure is not None:
                port.on_failure(repr(error))

    def _account(self, now: float, due: float) -> float:
        """Count lateness; a clock that is hopelessly late starts anew. Returns the deadline in force."""
        late = now - due
        self.stats.ticks += 1
        self.stats.max_late_s = max(self.stats.max_late_s, late)
        if late > self._tick_s:
            self.stats.late_ticks += 1
        self._late_s += (min(late, STALL_S) - self._late_s) / AVERAGE_OF
        self.pressed = self._late_s > (RELAXED_S if self.pressed else PRESSED_S)
        if late > MAX_LATE_S:
            self.stats.restarts += 1
            return now
        return due
