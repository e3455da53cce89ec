"""Whether the caller said yes: strictly.

Nothing counts before the question was played to its end, and nothing the caller began to say before that. A yes is a
few known phrases and nothing else; a question, a condition, a "but", a number, an unknown word, another script or an
unfinished sentence is no yes, and the question is asked again. A clear no is believed more easily than a yes. Silence
is never consent.

Sans-IO, English. `now` is monotonic seconds. Used by call/toolcalls.py; the words come from the model's transcription,
which may be wrong: that is why the list is short, and why a key is the better way.
"""

import re
from dataclasses import dataclass

MAX_TRIES = 3  # unclear answers; then it is a no
ANSWER_S = 15.0  # silence after the question
MAX_WORDS = 10

_YES = (
    "yes please do it", "yes i do", "yes please do", "yes i confirm", "yes i agree", "yes i am sure",
    "yes that is right", "yes that's right", "yes that is correct", "yes that's correct", "yes you may",
    "yes please go ahead", "yes go ahead", "yes do it", "yes do that", "yes please", "yes it is", "yes",
    "yeah", "yep", "i confirm that", "i confirm it", "i confirm", "i do confirm", "confirmed", "please go ahead",
    "go ahead please", "go ahead", "please do it", "please do", "do it please", "do it", "that is right",
    "that's right", "that is correct", "that's correct", "correct", "i agree", "absolutely", "definitely",
    "i am sure", "i'm sure",
)  # fmt: skip
_WITH_YES = (
    "sure",
    "of course",
    "please",
    "thank you",
    "thanks",
    "okay",
    "ok",
    "all right",
    "alright",
    "exactly",
)
"""No consent by themselves ("okay" says: I heard you), but no doubt beside a yes."""
_FILLERS = frozenset({"sir", "madam", "ma'am", "uh", "um", "er", "oh"})
_NO = (
    "no thank you", "no thanks", "no way", "no", "nope", "nah", "never mind", "never", "please don't", "please do not",
    "don't do it", "do not do it", "don't do that", "do not do that", "don't", "do not", "stop it", "stop",
    "that's wrong", "that is wrong", "that's not right", "that is not right", "that's not correct",
    "that is not correct", "incorrect", "wrong", "i don't agree", "i do not agree", "i disagree", "i refuse",
    "i don't want that", "i do not want that",
    "i don't want to", "i do not want to", "absolutely not", "definitely not", "certainly not", "of course not",
    "not at all", "forget it", "please", "thank you", "thanks", "sorry",
)  # fmt: skip
_BEGINS_NO = frozenset({"no", "nope", "nah", "never"})
_NOT_A_NO = frozenset(
    {"problem", "problems", "worries", "worry", "doubt", "question", "questions", "yes", "yeah", "yep"}
)
_POLITE_ONLY = re.compile(r"(?:please|thank you|thanks|sorry| )*")
_UNFINISHED = re.compile(r"(?:\.\.|\u2026|[-,;\u2013\u2014])\s*$")
_STRANGE = re.compile(r"[^a-z' .,!;\u2026\u2013\u2014-]")


def _only(phrases: tuple[str, ...]) -> re.Pattern[str]:
    ordered = sorted(phrases, key=len, reverse=True)
    return re.compile(rf"(?:(?:{'|'.join(map(re.escape, ordered))})(?: |$))+")


_ALL_YES = _only(_YES + _WITH_YES)
_SOME_YES = re.compile(rf"(?:^|.* )(?:{'|'.join(map(re.escape, _YES))})(?: .*|$)")
_ALL_NO = _only(_NO)


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


def read(transcript: str) -> Yes | No | Again:
    """What a sentence says, taken strictly."""
    text = transcript.lower().replace("\u2019", "'").strip()
    words = [word for word in re.findall(r"[^\W_][^\W_']*(?:'[^\W_]+)?", text) if word not in _FILLERS]
    if "?" in text or not words:
        return Again("a question, or nothing")
    plain = " ".join(words)
    if _is_no(plain, words):
        return No("the caller said no")
    if _STRANGE.search(text) or _UNFINISHED.search(text) or len(words) > MAX_WORDS:
        return Again("an unfinished or unclear answer")
    clear = _ALL_YES.fullmatch(plain) and _SOME_YES.fullmatch(plain)
    return Yes("voice") if clear else Again("not a clear yes")


def _is_no(plain: str, words: list[str]) -> bool:
    if len(words) <= MAX_WORDS and _ALL_NO.fullmatch(plain):  # bounded: phrases overlap, and regexes go back
        return not _POLITE_ONLY.fullmatch(plain)
    return words[0] in _BEGINS_NO and not _NOT_A_NO & set(words)


class Consent:
    """One question to one caller. `by`: "key", "voice" or both; `key` is the one that means yes.

    None as an answer of a method: nothing that counts. After Yes, No or GaveUp nothing counts any more.
    """

    def __init__(self, by: tuple[str, ...], key: str) -> None:
        self._by = by
        self._key = key
        self._started = False
        self._finished_s: float | None = None
        self._tries = 0
        self._over = False

    @property
    def due_s(self) -> float | None:
        """When the caller has been silent for too long."""
        return None if self._finished_s is None else self._finished_s + ANSWER_S

    def question_started(self) -> None:
        """The question begins to be heard (again): what was said before does not count."""
        self._started = not self._over
        self._finished_s = None

    def question_gone(self) -> None:
        """It has to be asked again, and nothing counts until it was."""
        self._started = False
        self._finished_s = None

    def question_finished(self, now: float) -> None:
        """The question was heard to its end: from now on an answer counts."""
        if self._started:
            self._finished_s = now

    def heard(self, transcript: str, began_s: float | None = None) -> Verdict | None:
        """What the caller said, and when they began to say it.

        A no counts from the question's first word on; anything else only when it began after its last.
        """
        verdict = read(transcript)
        if isinstance(verdict, No) and self._started:
            return self._settle(verdict)
        if "voice" not in self._by or self._finished_s is None:
            return None
        if began_s is not None and began_s < self._finished_s:
            return None
        return self._settle(verdict)

    def pressed(self, digit: str) -> Verdict | None:
        """A key."""
        if self._finished_s is None or "key" not in self._by:
            return None
        return self._settle(Yes("key") if digit == self._key else No(f"the caller pressed {digit[:1]}"))

    def tick(self, now: float) -> Verdict | None:
        """Silence."""
        due_s = self.due_s
        if due_s is None or now < due_s:
            return None
        return self._settle(Again("silence"))

    def _settle(self, verdict: Yes | No | Again) -> Verdict:
        self._started = False
        self._finished_s = None
        if isinstance(verdict, Again):
            self._tries += 1
            if self._tries < MAX_TRIES:
                return verdict
        self._over = True
        return GaveUp(f"no clear answer: {verdict.why}") if isinstance(verdict, Again) else verdict
