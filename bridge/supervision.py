"""When which child is started, restarted and stopped: exits, signals and `now` in, orders out.

    WAITING ──due──► RUNNING ──exit──► WAITING (backoff) …      stop: RUNNING ──SIGTERM──► STOPPING ──exit──► STOPPED

Children start in stages (0 sim and zygote, 1 control, 2 workers); a stage waits until everything before it
has said that it is ready, or `ready_s` long. A child that is `on_demand` starts only when it is asked for. One
that was told to `leave` may end: then it is started again at once, or its place is free. They stop in the
opposite order, so that control still hears the workers' last events. A first stop drains: the last stage gets
SIGTERM and `drain_s`; a second stop ends the patience, a third kills. Who dies is started again, first almost
at once, then after a doubling delay up to `restart_max_s`, for ever: a telephone system that gives up is off.
`stable_s` of running forgives.
Called by bridge/supervisor.py; no I/O here.
"""

import signal
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any


@dataclass(frozen=True, slots=True)
class Child:
    """One process to keep. `says_ready`: it writes a line when it works; others are ready once started."""

    name: str
    stage: int
    says_ready: bool = False
    on_demand: bool = False


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds."""

    drain_s: float = 300.0
    ready_s: float = 10.0
    restart_min_s: float = 0.05
    restart_max_s: float = 10.0
    stable_s: float = 30.0
    stop_s: float = 10.0
    """A stage that is not the last has so long after SIGTERM; then it is killed."""
    hurry_s: float = 3.0
    """The last stage has so long after drain_s, or after the second stop; then it is killed."""


@dataclass(frozen=True, slots=True)
class Spawn:
    """Start this child."""

    name: str


@dataclass(frozen=True, slots=True)
class Kill:
    """Send this signal to this child."""

    name: str
    signal: signal.Signals


@dataclass(frozen=True, slots=True)
class Restarting:
    """To be told: a child ended by itself and comes back in `delay_s`."""

    name: str
    how: str
    delay_s: float


@dataclass(frozen=True, slots=True)
class Left:
    """To be told: a child that was told to leave has ended."""

    name: str
    how: str


@dataclass(frozen=True, slots=True)
class AllReady:
    """To be told, once: everything has been started; `late` are those that have not said they are ready."""

    late: tuple[str, ...]


Order = Spawn | Kill | Restarting | Left | AllReady


class Phase(Enum):
    """What a child is doing."""

    FREE = "free"
    HELD = "held"
    WAITING = "waiting"
    RUNNING = "running"
    STOPPING = "stopping"
    STOPPED = "stopped"


@dataclass(slots=True)
class _State:
    child: Child
    phase: Phase = Phase.HELD
    ready: bool = False
    since: float = 0.0
    due: float = 0.0
    failures: int = 0
    restarts: int = 0
    last: str = ""
    leaving: bool = False
    again: bool = False
    kills: list[tuple[float, signal.Signals]] = field(default_factory=list)

    @property
    def alive(self) -> bool:
        return self.phase in (Phase.RUNNING, Phase.STOPPING)


class Supervision:
    """Feed it `begin` once, then every exit, ready line, stop signal, and `tick` when `next_due` has come."""

    def __init__(self, children: Iterable[Child], limits: Limits) -> None:
        self._states = {
            child.name: _State(child, Phase.FREE if child.on_demand else Phase.HELD) for child in children
        }
        self._limits = limits
        self._stage_due = 0.0
        self._announced = False
        self._stops = 0

    @property
    def stopping(self) -> bool:
        """Whether a stop was asked for."""
        return self._stops > 0

    @property
    def done(self) -> bool:
        """Everything has stopped."""
        return all(state.phase is Phase.STOPPED for state in self._states.values())

    def told(self, now: float) -> list[dict[str, Any]]:
        """Every child that has been started: its phase, since when, and how often it ended by itself. For JSON.

        `failures`: in a row, without a stable time in between; `last`: how it ended last, in words.
        """
        return [
            {
                "name": name,
                "state": state.phase.value,
                "ready": state.ready,
                "since_s": round(now - state.since, 1),
                "restarts": state.restarts,
                "failures": state.failures,
                "last": state.last,
            }
            for name, state in self._states.items()
            if state.phase not in (Phase.FREE, Phase.HELD)
        ]

    def begin(self, now: float) -> list[Order]:
        """Start the first stage."""
        return self._advance(now)

    def ready(self, name: str, now: float) -> list[Order]:
        """A child said that it works."""
        self._states[name].ready = True
        return self._advance(now)

    def exited(self, name: str, how: str, now: float) -> list[Order]:
        """A child is gone; `how` in words, e.g. `exit code 1`."""
        state = self._states[name]
        state.kills.clear()
        if self.stopping:
            state.phase = Phase.STOPPED
            return self._stop_next(now)
        if state.leaving:
            return [Left(name, how), *self._leave(state, now)]
        if now - state.since >= self._limits.stable_s:
            state.failures = 0
        delay_s = min(self._limits.restart_min_s * 2**state.failures, self._limits.restart_max_s)
        state.failures = min(state.failures + 1, 30)
        state.restarts, state.last = state.restarts + 1, how
        state.phase, state.due = Phase.WAITING, now + delay_s
        return [Restarting(name, how, delay_s)]

    def start(self, name: str, now: float) -> list[Order]:
        """Start a child whose place is free."""
        state = self._states[name]
        if self.stopping or state.phase is not Phase.FREE:
            return []
        state.failures = 0
        return [self._spawn(state, now)]

    def leave(self, name: str, *, again: bool, now: float) -> list[Order]:
        """The next exit of this child is wanted. `again`: another is started then, else its place is free."""
        state = self._states[name]
        if self.stopping or state.phase in (Phase.FREE, Phase.HELD):
            return []
        state.leaving, state.again = True, again
        return self._leave(state, now) if state.phase is Phase.WAITING else []

    def free(self, name: str) -> bool:
        """Whether nothing runs under this name and nothing will by itself."""
        return self._states[name].phase is Phase.FREE

    def reload(self) -> list[Order]:
        """Control reads its dialplans again."""
        return [
            Kill(name, signal.SIGHUP)
            for name, state in self._states.items()
            if name == "control" and state.phase is Phase.RUNNING
        ]

    def stop(self, now: float) -> list[Order]:
        """First: drain. Second: hurry. Third: kill everything that is left."""
        self._stops += 1
        if self._stops >= 3:
            return [Kill(name, signal.SIGKILL) for name, state in self._states.items() if state.alive]
        if self._stops == 2:
            return self._hurry(now)
        for state in self._states.values():
            if not state.alive:
                state.phase = Phase.STOPPED
        return self._stop_next(now)

    def tick(self, now: float) -> list[Order]:
        """What has become due."""
        if self.stopping:
            return [order for state in self._states.values() for order in self._due_kills(state, now)]
        return [
            order for state in self._states.values() for order in self._due_spawn(state, now)
        ] + self._advance(now)

    def next_due(self) -> float | None:
        """When `tick` has something to do; None: only an event can change anything."""
        dues = [state.due for state in self._states.values() if state.phase is Phase.WAITING]
        dues += [due for state in self._states.values() for due, _ in state.kills]
        if not self.stopping and not self._announced:
            dues.append(self._stage_due)
        return min(dues, default=None)

    def _leave(self, state: _State, now: float) -> list[Order]:
        state.leaving, state.failures = False, 0
        if state.again:
            return [self._spawn(state, now)]
        state.phase = Phase.FREE
        return []

    def _advance(self, now: float) -> list[Order]:
        """Start held stages as far as the ones before them allow."""
        orders: list[Order] = []
        while not self.stopping and not self._announced:
            started = [
                state for state in self._states.values() if state.phase not in (Phase.HELD, Phase.FREE)
            ]
            late = tuple(state.child.name for state in started if not state.ready)
            if late and now < self._stage_due:
                break
            held = [state for state in self._states.values() if state.phase is Phase.HELD]
            if not held:
                self._announced = True
                orders.append(AllReady(late))
                break
            stage = min(state.child.stage for state in held)
            self._stage_due = now + self._limits.ready_s
            orders.extend(self._spawn(state, now) for state in held if state.child.stage == stage)
        return orders

    def _spawn(self, state: _State, now: float) -> Spawn:
        state.phase, state.since = Phase.RUNNING, now
        state.ready = state.ready or not state.child.says_ready
        return Spawn(state.child.name)

    def _due_spawn(self, state: _State, now: float) -> Sequence[Order]:
        if state.phase is Phase.WAITING and now >= state.due:
            return [self._spawn(state, now)]
        return []

    def _due_kills(self, state: _State, now: float) -> list[Order]:
        due = [number for at, number in state.kills if now >= at]
        state.kills = [(at, number) for at, number in state.kills if now < at]
        return [Kill(state.child.name, number) for number in due]

    def _stop_next(self, now: float) -> list[Order]:
        """SIGTERM for the last stage that is still alive, unless it has it already."""
        alive = [state for state in self._states.values() if state.alive]
        stage = max((state.child.stage for state in alive), default=0)
        asked = [state for state in alive if state.child.stage == stage and state.phase is Phase.RUNNING]
        for state in asked:
            state.phase, state.kills = Phase.STOPPING, self._kills(stage, now)
        return [Kill(state.child.name, signal.SIGTERM) for state in asked]

    def _kills(self, stage: int, now: float) -> list[tuple[float, signal.Signals]]:
        limits = self._limits
        if stage < max(state.child.stage for state in self._states.values()):
            return [(now + limits.stop_s, signal.SIGKILL)]
        patience_s = limits.drain_s if self._stops == 1 else 0.0
        return [
            (now + patience_s, signal.SIGTERM),
            (now + patience_s + limits.hurry_s, signal.SIGKILL),
        ]

    def _hurry(self, now: float) -> list[Order]:
        """The drained ones get their second SIGTERM now."""
        stopping = [state for state in self._states.values() if state.phase is Phase.STOPPING]
        for state in stopping:
            state.kills = [(now + self._limits.hurry_s, signal.SIGKILL)]
        return [Kill(state.child.name, signal.SIGTERM) for state in stopping]
