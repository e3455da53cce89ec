"""Which steps would run, and how the call would end, when things go as assumed. Nothing is dialled or spoken.

    steps + assumptions ──walk──► Path(steps that run, how it ends)

What an assumption is: a word for a step, in the order in which the steps come: the key or words a caller gives to a
step that branches on them ("1" takes `options.1`), or how a step goes (`transfer: failed` takes its or_else). Without
one a step goes well. It knows steps by their fields only, so that new kinds of steps just work. Pure, any thread.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from bridge.dialplan.steps import GoStep, Step
from bridge.dialplan.words import PROMPTS, ways

OK = "ok"
FAILED = "failed"
OR_ELSE = "or_else"
MAX_STEPS = 1000
MAX_JUMPS = 100
"""As in a call: flows may go to each other."""


@dataclass(frozen=True, slots=True)
class Assumed:
    """How things go.

    `outcomes`: by the step's action, one word for each time it runs (the last one stays): `ok`,
    `failed`, or the name of one of its branches. `given`: what the caller presses or says, one for each step that
    branches on it.
    """

    outcomes: Mapping[str, Sequence[str]]
    given: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Path:
    """`steps` in the order in which they run. `wrong`: why the walk could not go on; "" when it came to an end.

    `unused`: what the caller gave that no step asked for.
    """

    steps: tuple[Step, ...]
    wrong: str = ""
    unused: tuple[str, ...] = ()

    @property
    def end(self) -> str:
        """The action that ends the call; "" when nothing ran."""
        return self.steps[-1].TAG if self.steps else ""

    @property
    def status(self) -> int | None:
        """The SIP status that the last step names."""
        value = getattr(self.steps[-1], "status", None) if self.steps else None
        return value if isinstance(value, int) else None

    @property
    def agents(self) -> tuple[str, ...]:
        """Every agent the caller came to, in order."""
        names = (getattr(step, "agent", None) for step in self.steps)
        return tuple(name for name in names if isinstance(name, str))


def walk(
    steps: Sequence[Step],
    assumed: Assumed,
    last: Collection[str],
    flows: Mapping[str, tuple[Step, ...]] = MappingProxyType({}),
) -> Path:
    """The way through `steps`. `last`: actions after which nothing follows. `flows`: those of the plan, for `go`."""
    return _Walk(assumed, last, flows).run(steps)


class _Walk:
    def __init__(
        self, assumed: Assumed, last: Collection[str], flows: Mapping[str, tuple[Step, ...]]
    ) -> None:
        self._flows = flows
        self._outcomes = {action: list(words) for action, words in assumed.outcomes.items()}
        self._given = list(assumed.given)
        self._last = last
        self._done: list[Step] = []
        self._wrong = ""
        self._jumps = 0

    def run(self, steps: Sequence[Step]) -> Path:
        self._list(steps)
        return Path(tuple(self._done), self._wrong, tuple(self._given))

    def _list(self, steps: Sequence[Step]) -> bool:
        """Whether the call goes on after these steps."""
        return all(self._one(step) for step in steps)

    def _one(self, step: Step) -> bool:
        self._done.append(step)
        if len(self._done) >= MAX_STEPS:
            self._wrong = f"more than {MAX_STEPS} steps"
            return False
        if isinstance(step, GoStep):
            return self._go(step)
        taken = self._taken(step, dict(ways(step)))
        if self._wrong:
            return False
        if taken is not None and not self._list(taken):
            return False
        return step.TAG not in self._last or taken is not None

    def _go(self, step: GoStep) -> bool:
        """On with a flow; nothing comes back from there."""
        self._jumps += 1
        if self._jumps > MAX_JUMPS:
            self._wrong = f"more than {MAX_JUMPS} jumps"
        else:
            self._list(self._flows[step.flow])
        return False

    def _taken(self, step: Step, inside: Mapping[str, tuple[Step, ...]]) -> tuple[Step, ...] | None:
        """The steps inside that run next; None: those after it."""
        outcome = self._outcome(step.TAG)
        if outcome is not None and outcome != OK:
            return self._branch(step, OR_ELSE if outcome == FAILED else outcome, inside)
        asked = {name.partition(".")[2]: name for name in inside if "." in name}
        known = ", ".join(asked)
        if not hasattr(step, PROMPTS):
            if asked and outcome is None:
                self._wrong = f"{step.TAG}: say in outcomes which way it goes: {known}, or {FAILED}"
            return None
        if not asked and not hasattr(step, "most"):
            return None
        if not self._given:
            wanted = f"give one of {known}" if asked else "give the digits"
            self._wrong = f"{step.TAG} asks the caller: {wanted} in keys, or an outcome of {step.TAG}"
            return None
        word = self._given.pop(0)
        return self._branch(step, asked.get(_key(step, word), word), inside) if asked else None

    def _outcome(self, action: str) -> str | None:
        words = self._outcomes.get(action)
        if not words:
            return None
        return words.pop(0) if len(words) > 1 else words[0]

    def _branch(
        self, step: Step, name: str, inside: Mapping[str, tuple[Step, ...]]
    ) -> tuple[Step, ...] | None:
        if name in inside:
            return inside[name]
        ends = [inside[one] for one in inside if one.partition(".")[2] == name]
        if ends:
            return ends[0]
        if name == OR_ELSE:
            return None  # nothing is written for it: the call ends, or goes on, as the step says
        self._wrong = f"{step.TAG} has no {name}, it has {', '.join(inside) or 'no steps inside'}"
        return None


def _key(step: Step, word: str) -> str:
    """The key of what the caller says: a menu knows words for its keys."""
    words = getattr(step, "words", {})
    return next((key for key, said in words.items() if word.lower() in [*map(str.lower, said)]), word)
