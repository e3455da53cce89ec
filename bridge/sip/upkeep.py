"""What keeps one trunk usable, as a machine: its account opened, its registration renewed, OPTIONS asked. Sans-IO.

    OPEN (password fetched, account made) ──► registered ──(pjsip renews)──► …
      ▲ failed: later, ever later                 └ refused, timed out ──► REGISTER, later
    every options_every_s: ASK ──► reachable or not

`due(now)` says what is to be done now, each thing once until its answer is told. Times are monotonic seconds.
"""

from dataclasses import dataclass
from enum import Enum

from bridge.trunk import Trunk

RETRY_S = (2.0, 5.0, 15.0, 30.0, 60.0)
REFUSED_RETRY_S = (10.0, 60.0, 300.0)
"""After 401, 403, 407: the password is wrong, and who asks too often is locked out."""
REFUSALS = frozenset({401, 403, 407})
ANSWER_S = (
    45.0  # pjsip reports every REGISTER and OPTIONS within Timer F; after this we ask again all the same
)
UNREACHABLE = frozenset(
    {408, 503}
)  # a timeout and what pjsip makes of a transport error; any other answer is a sign of life


class Do(Enum):
    """What is to be done for a trunk."""

    OPEN = "open"
    REGISTER = "register"
    ASK = "ask"


@dataclass(frozen=True, slots=True)
class TrunkFacts:
    """How a trunk is. `registered`, `reachable`: None when it is not for us to know. `problem`: "" when all is well."""

    registered: bool | None = None
    reachable: bool | None = None
    problem: str = ""


class Upkeep:
    """One trunk's. `registers`: this worker is the one that registers."""

    def __init__(self, trunk: Trunk, *, registers: bool, now: float) -> None:
        self.trunk = trunk
        self.registers = registers and trunk.register is not None
        self._open_s: float | None = now
        self._register_s: float | None = None
        self._ask_s: float | None = None
        self._opened = False
        self._changed = False
        self._failures = 0
        self._registered: bool | None = False if self.registers else None
        self._reachable: bool | None = None
        self._problem = self._open_problem = ""

    def due(self, now: float) -> Do | None:
        """What to do now."""
        if self._open_s is not None and now >= self._open_s:
            self._open_s = None
            return Do.OPEN
        if self._register_s is not None and now >= self._register_s:
            self._register_s = now + ANSWER_S
            return Do.REGISTER
        if self._ask_s is not None and now >= self._ask_s:
            self._ask_s = now + max(ANSWER_S, self.trunk.options_every_s)
            return Do.ASK
        return None

    def follow(self, trunk: Trunk, now: float, *, registers: bool) -> None:
        """A plan came in which the trunk has the same identity: its account stays, its password may be another.

        Or the word came that this worker is (not) the one that registers.
        """
        self._take_over(now, registers=registers and trunk.register is not None)
        if trunk.options_every_s != self.trunk.options_every_s:
            self._ask_s = now if trunk.options_every_s else None
            self._reachable = None
        self.trunk = trunk
        if trunk.digest is not None:
            self._open_s = now

    def _take_over(self, now: float, *, registers: bool) -> None:
        if registers is self.registers:
            return
        self.registers = registers
        self._registered = False if registers else None
        self._problem = ""
        self._register_s = None
        self._failures = 0
        self._open_s = now
        self._changed = self._opened

    def opened(self, now: float) -> None:
        """The account is there (or is as it is to be now), and its first REGISTER on its way."""
        self._open_problem = ""
        if self._changed:
            self._changed = False
            self._register_s = now + ANSWER_S if self.registers else None
        if self._opened:
            return
        self._opened = True
        self._failures = 0
        self._register_s = now + ANSWER_S if self.registers else None
        self._ask_s = now if self.trunk.options_every_s else None

    def failed(self, reason: str, now: float) -> None:
        """Opening failed: control is away, it has no such password, or there is no free account."""
        self._open_problem = reason
        self._open_s = now + self._pause_s(RETRY_S)

    def registration(self, status: int, reason: str, now: float) -> bool:
        """What became of a REGISTER (200, or why not). Returns whether it is news."""
        if not self.registers:  # it is another worker's now: what came of letting go of it
            return False
        before = self._registered, self._problem
        self._registered = status == 200
        if self._registered:
            self._failures = 0
            self._problem = ""
            self._register_s = None
        else:
            self._problem = f"{status} {reason}".strip()
            self._register_s = now + self._pause_s(REFUSED_RETRY_S if status in REFUSALS else RETRY_S)
        return before != (self._registered, self._problem)

    def answered(self, status: int, now: float) -> bool:
        """What came to our OPTIONS. Returns whether it is news."""
        if not self.trunk.options_every_s:  # not asked any more
            return False
        before = self._reachable
        self._reachable = status not in UNREACHABLE
        self._ask_s = now + self.trunk.options_every_s
        return before is not self._reachable

    @property
    def facts(self) -> TrunkFacts:
        """How the trunk is now."""
        return TrunkFacts(self._registered, self._reachable, self._open_problem or self._problem)

    def _pause_s(self, table: tuple[float, ...]) -> float:
        pause_s = table[min(self._failures, len(table) - 1)]
        self._failures += 1
        return pause_s
