"""What an approver wants to hear from the caller before they decide: plain values, and what is too much. Pure.

A question decides nothing and stops no clock. It is kept with its request: who asked what, when,
and whether it was said.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from bridge.approval.request import Refused

MAX_CHARS = 300
MAX_QUESTIONS = 5
"""Of one request: a caller is no witness in a box."""
OPEN_S = 150.0
"""A question of which nobody has said by then what came of it (control died) stands in no other's way."""
ASKING, ASKED, INTERRUPTED, NOT_ASKED = "asking", "asked", "interrupted", "not_asked"


def clean(text: str) -> str:
    """One line of what can be said: no control characters, no marks that turn text around."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


def unfit(earlier: Sequence[Mapping[str, Any]], text: str, now: float) -> Refused | None:
    """Why this is not asked; None: it may be. `now` is unix seconds."""
    still = [one for one in earlier if one["state"] == ASKING and now - one["at"] < OPEN_S]
    rules = (
        (not any(char.isalnum() for char in text), "no_question", "there is nothing to ask"),
        (len(text) > MAX_CHARS, "too_long", f"a question has at most {MAX_CHARS} characters"),
        (bool(still), "one_at_a_time", "the caller is being asked something already"),
        (len(earlier) >= MAX_QUESTIONS, "too_many", f"{MAX_QUESTIONS} questions were asked already: decide"),
    )
    return next((Refused(code, words) for wrong, code, words in rules if wrong), None)


def asking(number: int, text: str, by: str, now: float) -> dict[str, Any]:
    """A question on its way to the caller, as the request keeps it."""
    return {"number": number, "text": text, "by": by, "at": now, "state": ASKING, "why": ""}


def put(
    questions: Sequence[Mapping[str, Any]], number: int, state: str, why: str
) -> tuple[Mapping[str, Any], ...]:
    """The same with what became of one that is on its way."""
    return tuple(
        {**one, "state": state, "why": why} if one["number"] == number and one["state"] == ASKING else one
        for one in questions
    )
