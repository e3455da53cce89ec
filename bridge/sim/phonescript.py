"""What the phone does in a call, step by step: say, press, wait, listen, interrupt, hang up.

    steps ──► PhoneScript ◄── answered(now), frame(agent's level, now) every 20 ms, hung_up(now)
                  └──► orders: Speak, SendKeys, HangUp

Sans-IO: bridge/sim/phone.py owns the SIP leg, plays what it is told and reports what it hears. Agent speech is told by
level: what comes from a speech model is clean, so a fixed threshold is enough. Times are monotonic seconds.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

SPEECH_DBFS = -45.0
"""Louder than this is speech; comfort noise is near -60, spoken words near -20."""
LOUD_FRAMES = 2
"""So many loud frames in a row begin speech: a click is none."""
HANGOVER_S = 0.2
"""Shorter gaps are part of the speech around them."""
QUIET_MS = 700
"""The agent has finished when it was quiet for this long; gaps between sentences are shorter."""
KEY_MS = 300
"""Time a keypad digit takes, tone and pause."""
FRAME_S = 0.02


@dataclass(frozen=True, slots=True)
class Say:
    """Speak utterance number `index`, which lasts `ms`; the next step comes after it."""

    index: int
    ms: int


@dataclass(frozen=True, slots=True)
class Press:
    """Send keypad digits."""

    keys: str


@dataclass(frozen=True, slots=True)
class Wait:
    """Do nothing for `ms`."""

    ms: int


@dataclass(frozen=True, slots=True)
class At:
    """Wait until `ms` after the answer."""

    ms: int


@dataclass(frozen=True, slots=True)
class AfterAgent:
    """Wait until the agent has begun to speak after our last words, and has then been quiet for `quiet_ms`."""

    quiet_ms: int = QUIET_MS


@dataclass(frozen=True, slots=True)
class DuringAgent:
    """Wait until the agent, having begun after our last words, has been speaking for `ms`: time to interrupt."""

    ms: int


@dataclass(frozen=True, slots=True)
class UntilHungUp:
    """Wait until the other side hangs up."""


Step = Say | Press | Wait | At | AfterAgent | DuringAgent | UntilHungUp


@dataclass(frozen=True, slots=True)
class Speak:
    """Play utterance number `index` now."""

    index: int


@dataclass(frozen=True, slots=True)
class SendKeys:
    """Send these keypad digits now."""

    keys: str


@dataclass(frozen=True, slots=True)
class HangUp:
    """The script is over, done or failed: end the call."""


Order = Speak | SendKeys | HangUp


class Outcome(Enum):
    """How the script went."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class Ear:
    """Whether somebody speaks, from the level of each 20 ms frame."""

    def __init__(self) -> None:
        self.speaking = False
        self.began_s = 0.0
        self.ended_s = 0.0
        self._loud_frames = 0

    def hear(self, level_dbfs: float, now: float) -> None:
        """One frame that ended at `now`. `began_s` and `ended_s` are the edges of the loud part, without hangover."""
        if level_dbfs <= SPEECH_DBFS:
            self._loud_frames = 0
            self.speaking = self.speaking and now - self.ended_s < HANGOVER_S
            return
        self._loud_frames += 1
        if self.speaking or self._loud_frames >= LOUD_FRAMES:
            if not self.speaking:
                self.began_s = now - self._loud_frames * FRAME_S
            self.speaking = True
            self.ended_s = now


class PhoneScript:
    """Runs `steps` from the answer on.

    `patience_ms`: how long a step waits for an agent that says nothing, or for a hang-up, before the script fails.
    `outcome` and `problem` say how it went, `position` counts the steps that are over.
    """

    def __init__(self, steps: Sequence[Step], patience_ms: int = 20_000) -> None:
        self.outcome = Outcome.RUNNING
        self.problem = ""
        self.position = 0
        self._steps = tuple(steps)
        self._patience_s = patience_ms / 1000
        self._ear = Ear()
        self._answered_s: float | None = None
        self._begun = False
        self._step_began_s = 0.0
        self._over_s = 0.0
        self._own_end_s = -math.inf  # whatever the agent says first is meant
        self._agent_began_s: float | None = None

    def answered(self, now: float) -> list[Order]:
        """The call was answered: the first steps may begin."""
        self._answered_s = now
        return self._run(now)

    def frame(self, level_dbfs: float, now: float) -> list[Order]:
        """20 ms of the agent were heard (or of its silence)."""
        self._ear.hear(level_dbfs, now)
        fresh = self._ear.began_s >= self._own_end_s
        if self._agent_began_s is None and self._ear.speaking and fresh:
            self._agent_began_s = self._ear.began_s
        return self._run(now)

    def hung_up(self, now: float) -> None:
        """The other side ended the call: that is fine only where nothing but listening was left to do."""
        if self.outcome is not Outcome.RUNNING:
            return
        left = self._steps[self.position :]
        listening = all(isinstance(step, AfterAgent | UntilHungUp) for step in left)
        heard = isinstance(next(iter(left), None), UntilHungUp) or self._agent_began_s is not None
        if self._answered_s is not None and listening and heard:
            self._finish(Outcome.DONE)
        elif self._answered_s is None:
            self._finish(Outcome.FAILED, "the call was not answered")
        else:
            after_s = now - self._answered_s
            self._finish(Outcome.FAILED, f"the other side hung up after {after_s:.1f} s, {self._place()}")

    def stop(self, why: str) -> None:
        """The call has to end before the script does."""
        if self.outcome is Outcome.RUNNING:
            self._finish(Outcome.FAILED, f"{why}, {self._place()}")

    def _run(self, now: float) -> list[Order]:
        orders: list[Order] = []
        while self._answered_s is not None and self.outcome is Outcome.RUNNING:
            if self.position == len(self._steps):
                self._finish(Outcome.DONE)
                return [*orders, HangUp()]
            step = self._steps[self.position]
            if not self._begun:
                orders += self._begin(step, now)
            if not self._is_over(step, now):
                return [*orders, *self._lose_patience(step, now)]
            self._end(step)
        return orders

    def _begin(self, step: Step, now: float) -> list[Order]:
        self._begun = True
        self._step_began_s = self._over_s = now
        match step:
            case Say(index, ms):
                self._over_s = now + ms / 1000
                return [Speak(index)]
            case Press(keys):
                self._over_s = now + len(keys) * KEY_MS / 1000
                return [SendKeys(keys)]
            case Wait(ms):
                self._over_s = now + ms / 1000
            case At(ms):
                self._over_s = (self._answered_s or 0.0) + ms / 1000
            case _:
                pass
        return []

    def _is_over(self, step: Step, now: float) -> bool:
        began_s, ear = self._agent_began_s, self._ear
        match step:
            case AfterAgent(quiet_ms):
                return began_s is not None and not ear.speaking and now - ear.ended_s >= quiet_ms / 1000
            case DuringAgent(ms):
                return began_s is not None and ear.speaking and now - began_s >= ms / 1000
            case UntilHungUp():
                return False
            case _:
                return now >= self._over_s

    def _end(self, step: Step) -> None:
        self.position += 1
        self._begun = False
        if isinstance(step, Say | Press):
            self._own_end_s = self._over_s
            self._agent_began_s = None

    def _lose_patience(self, step: Step, now: float) -> list[Order]:
        since_s = max(self._step_began_s, self._ear.ended_s)
        if not isinstance(step, AfterAgent | DuringAgent | UntilHungUp) or now - since_s < self._patience_s:
            return []
        waited = "hang-up" if isinstance(step, UntilHungUp) else "word from the agent"
        self._finish(Outcome.FAILED, f"no {waited} for {self._patience_s:g} s, {self._place()}")
        return [HangUp()]

    def _finish(self, outcome: Outcome, problem: str = "") -> None:
        self.outcome = outcome
        self.problem = problem

    def _place(self) -> str:
        return f"{self.position} of {len(self._steps)} steps were done"
