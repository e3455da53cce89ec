"""Whether the caller said yes: strictly.

Nothing counts before the question was played to its end. A yes is one of a few phrases and nothing else: a sentence
with a question, a condition, a "but", a negation or a word nobody expected is no yes, and the question is asked again.
A no is believed more easily than a yes. Silence is never consent.

Sans-IO, English. `now` is monotonic seconds. Used by call/toolcalls.py; the words come from the model's transcription,
which may be wrong: that is why the list is short, and why a key is the better way.
"""

import re
from dataclasses import dataclass

MAX_TRIES = 3  # unclear answers; then it is a no
ANSWER_S = 15.0  # silence after the question
MAX_WORDS = 6

_YES = frozenset(
    {
        "yes",
        "yeah",
        "yep",
        "yes please",
        "yes i do",
        "yes i confirm",
        "yes that is right",
        "yes that's right",
        "yes that is correct",
        "yes that's correct",
        "yes go ahead",
        "yes do it",
        "yes please do",
        "i confirm",
        "confirm",
        "confirmed",
        "go ahead",
        "please go ahead",
        "that is correct",
        "that's correct",
        "correct",
        "i agree",
        "i do confirm",
    }
)
_NO_WORDS = frozenset(
    {"no", "nope", "nah", "not", "never", "don't", "dont", "stop", "cancel", "wrong", "incorrect", "refuse"}
)
_UNSURE_WORDS = frozenset(
    {"but", "if", "wait", "maybe", "what", "why", "how", "who", "when", "which", "unless", "hold"}
)
_POLITE = frozenset({"sir", "madam", "thanks", "thank", "you", "uh", "um", "oh", "well", "okay", "ok"})


@dataclass(frozen=True, slots=True)
class Yes:
    """The caller confirmed; `how` says by what."""

    how: str


@dataclass(frozen=True, slots=True)
class No:
    """The caller does not want it."""

    why: str


@dataclass(frozen=True, slots=True)
class Again:
    """The answer was not clear: ask again."""

    why: str


@dataclass(frozen=True, slots=True)
class GaveUp:
    """No clear answer came."""

    why: str


Verdict = Yes | No | Again | GaveUp


def read(transcript: str) -> Verdict:
    """What a sentence says, taken strictly. Never GaveUp."""
    words = re.findall(r"[a-z0-9']+", transcript.lower().replace("\u2019", "'"))
    if "?" in transcript or not words:
        return Again("a question, or nothing")
    if _UNSURE_WORDS & set(words):
        return Again("a condition or a question")
    if _NO_WORDS & set(words):
        return No("the caller said no")
    if len(words) > MAX_WORDS:
        return Again("too many words")
    rest = " ".join(word for word in words if word not in _POLITE)
    return Yes("voice") if rest in _YES else Again("not a clear yes")


class Consent:
    """One question to one caller. `by`: "key", "voice" or both; `key` is the one that means yes."""

    def __init__(self, by: tuple[str, ...], key: str) -> None:
        self._by = by
        self._key = key
        self._played = False
        self._tries = 0
        self._due_s: float | None = None

    @property
    def due_s(self) -> float | None:
        """When the caller has been silent for too long."""
        return self._due_s

    def question_started(self) -> None:
        """The question begins to be heard (again): what was said before does not count."""
        self._played = False
        self._due_s = None

    def question_finished(self, now: float) -> None:
        """The question was heard to its end: from now on an answer counts."""
        self._played = True
        self._due_s = now + ANSWER_S

    def heard(self, transcript: str) -> Verdict | None:
        """What the caller said. None: it does not count."""
        if "voice" not in self._by:
            return None
        verdict = read(transcript)
        if isinstance(verdict, No):
            return verdict  # a no needs no question
        if not self._played:
            return None
        return self._settle(verdict)

    def pressed(self, digit: str) -> Verdict | None:
        """A key."""
        if not self._played or "key" not in self._by:
            return None
        return Yes("key") if digit == self._key else No(f"the caller pressed {digit}")

    def tick(self, now: float) -> Verdict | None:
        """Silence."""
        if self._due_s is None or now < self._due_s:
            return None
        return self._settle(Again("silence"))

    def _settle(self, verdict: Verdict) -> Verdict:
        self._due_s = None
        if isinstance(verdict, Again):
            self._played = False
            self._tries += 1
            if self._tries >= MAX_TRIES:
                return GaveUp(f"no clear answer: {verdict.why}")
        return verdict
