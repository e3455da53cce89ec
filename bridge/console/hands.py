"""What an operator's forms order of a live call, in the words of the API, and what is said when it is done. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bridge.console.texts import text

Form = Mapping[str, str]
Body = dict[str, Any]
SLACK_S = 10.0


@dataclass(frozen=True, slots=True)
class Hand:
    """One form: `order` makes the command and its body; `longest_s`: what the call may take (control_hands.KINDS)."""

    order: Callable[[Form], tuple[str, Body]]
    longest_s: float


def _line(form: Form, name: str) -> str:
    """What stands in a field, on one line: browsers send what is pasted with its ends of lines."""
    return " ".join(form.get(name, "").split())


def _given(form: Form, *names: str) -> Body:
    return {name: words for name in names if (words := _line(form, name))}


def _whisper(form: Form) -> tuple[str, Body]:
    return "whisper", {"text": _line(form, "text")} | ({"now": True} if form.get("now") else {})


def _transfer(form: Form) -> tuple[str, Body]:
    if form.get("warm"):
        return "warm_transfer", _given(form, "target", "summary")
    return "transfer", _given(form, "target")


HANDS: Mapping[str, Hand] = {
    "whisper": Hand(_whisper, 10.0),
    "transfer": Hand(_transfer, 90.0),
    "hand_off": Hand(lambda form: ("hand_off", _given(form, "agent", "note")), 30.0),
    "hand_back": Hand(lambda form: ("hand_back", _given(form, "note")), 40.0),
    "recording": Hand(lambda form: ("recording", _given(form, "action")), 10.0),
    "hang_up": Hand(lambda form: ("hang_up", _given(form, "reason")), 10.0),
}
"""By the last word of the form's address."""


def done_words(answer: Mapping[str, Any]) -> str:
    """What the page says when the call has done it."""
    if answer.get("done") != "recording":
        return text(f"done.{answer.get('done')}")
    state = "none" if not answer.get("recording") else "paused" if answer.get("paused") else "on"
    return text("done.recording", state=text(f"done.recording.{state}"))
