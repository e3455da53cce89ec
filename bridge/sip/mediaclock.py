"""The clock that moves the audio of all legs of a worker: one thread, absolute deadlines, no sleep that adds up.

It wakes every `tick_ms`, ticks every attached port and, at most once a tick, wakes the asyncio loop for what
came in. It sleeps
without ticks while no leg has media. It copies bytes and returns: no log, no await, no SIP call.
"""

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

MAX_LATE_S = 0.2  # a clock later than this starts anew instead of sending the backlog as a burst
STILL_S = 2.0  # a clock that has ports and did not tick for so long will not tick again


class ClockedPort(Protocol):
    """What the clock needs of an AudioPort."""

    on_failure: Callable[[str], None] | None

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
    """The thread that ticks every attached port. It sleeps without ticks while no leg has media.

    A port that raises is ticked no more and told so by its `on_failure`; the others do not notice.
    """

    def __init__(self, tick_ms: int, register_thread: Callable[[str], None]) -> None:
        self._tick_s = tick_ms / 1000
        self._register_thread = register_thread
        self._ports: tuple[ClockedPort, ...] = ()
        self._change = threading.Lock()
        self._ticked_s = time.monotonic()
        self._work = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="media-clock", daemon=True)
        self.stats = ClockStats()

    def start(self) -> None:
        """Start the thread; pjlib must be initialised."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread and wait for it: afterwards no stream is touched."""
        self._stopping = True
        self._work.set()
        self._thread.join(timeout=1)

    def add(self, port: ClockedPort) -> None:
        """Tick `port` from now on; idempotent."""
        with self._change:
            if not self._ports:
                self._ticked_s = time.monotonic()
            if not any(other is port for other in self._ports):
                self._ports = (*self._ports, port)
        self._work.set()

    def remove(self, port: ClockedPort) -> None:
        """Tick `port` no more; idempotent."""
        with self._change:
            self._ports = tuple(other for other in self._ports if other is not port)

    def problem(self, now: float) -> str:
        """What is wrong with the thread at monotonic `now`; "" when nothing is. Any thread."""
        if not self._thread.is_alive():
            return "the media clock is dead"
        still_s = now - self._ticked_s
        return (
            f"the media clock stands still for {still_s:.1f} s" if self._ports and still_s > STILL_S else ""
        )

    def _run(self) -> None:
        self._register_thread("media-clock")
        due = time.monotonic()
        while not self._stopping:
            if not self._ports:
                self._work.clear()
                if not self._ports:
                    self._work.wait()
                due = time.monotonic()
            due += self._tick_s
            now = time.monotonic()
            if due > now:
                time.sleep(due - now)
                now = time.monotonic()
            due = self._account(now, due)
            ports = self._ports
            for port in ports:
                # The time it should be, not the time it is: a port whose packets are due close to a tick would find
                # itself now before and now after it, and send with gaps of 15 and 25 ms.
                self._tick(port, due)
            wake(ports)
            self._ticked_s = now

    def _tick(self, port: ClockedPort, now: float) -> None:
        try:
            port.tick(now)
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
        if late > MAX_LATE_S:
            self.stats.restarts += 1
            return now
        return due
