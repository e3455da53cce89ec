"""What a call does while control decides about and runs the functions its model asked for.

    FunctionCall ─► Ask control ─► update(running | confirming | pending | a final state) ─► Output to the model

Rules: an output is given once, and only in a final state; until then the model is told that nothing has been done;
the caller hears hold lines; a confirmation counts only when the question was played to its end (consent.py judges the
words). Sans-IO; used by tooldesk.py on the worker's loop. `now` is monotonic seconds.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bridge.approval.consent import Consent, GaveUp, No, Yes

HOLD_AFTER_S = 1.5  # a function that answers sooner needs no hold line
HOLD_EVERY_S = 25.0
MAX_OPEN = 16  # calls under way at once; what a model asks for beyond is refused

WAITING = (
    "The action {name} you asked for has NOT been done. A person has to approve it first, and is being asked now. "
    "Do not say or suggest that it was done or that it will be. Go on with the conversation; you will get the result "
    "as the function's output."
)
CONFIRMING = (
    "The action {name} you asked for has NOT been done. The caller is being asked to confirm it. "
    "Do not say that it was done; you will get the result as the function's output."
)
PENDING_LINE = "That needs the approval of a colleague. I have asked for it, please stay on the line."
STILL_LINE = "We are still waiting for the approval. Thank you for your patience."
RUNNING_LINE = "One moment, please."
UNREACHABLE = "The action could not be carried out, because the system that runs it cannot be reached."
TOO_MANY = "Too many actions at once: wait for the results of the others."


@dataclass(frozen=True, slots=True)
class Ask:
    """Have control judge and run this function call. `definition`: of a tool that the provider runs, as it saw it."""

    function_call_id: str
    name: str
    arguments: str
    definition: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Output:
    """The function's output for the model; the session it was asked in may be gone.

    `approval`: it is the answer to a provider's approval request instead, and `done` says yes.
    """

    function_call_id: str
    name: str
    text: str
    approval: bool = False
    done: bool = False


@dataclass(frozen=True, slots=True)
class Inform:
    """Tell the model a fact; it is not to answer."""

    text: str


@dataclass(frozen=True, slots=True)
class SayLine:
    """Have the agent say this line to the caller. `alone`: it must not answer the caller by itself meanwhile."""

    text: str
    alone: bool = False


@dataclass(frozen=True, slots=True)
class Confirmed:
    """Tell control what the caller answered to the question; `how`: key, voice or the reason of a no."""

    request_id: str
    yes: bool
    how: str


ToolAction = Ask | Output | Inform | SayLine | Confirmed


@dataclass(slots=True)
class _Open:
    name: str
    phase: str = "asked"
    request_id: str = ""
    line: str = RUNNING_LINE
    hold_due_s: float | None = None
    approval: bool = False


@dataclass(slots=True)
class _Question:
    """The question that is being asked, and where it is in the playout."""

    function_call_id: str
    text: str
    consent: Consent
    item_id: str = ""


class ToolCalls:
    """The function calls of one phone call that have no output yet."""

    def __init__(self) -> None:
        self._open: dict[str, _Open] = {}
        self._question: _Question | None = None
        self._heard: dict[str, bool] = {}

    @property
    def confirming(self) -> bool:
        """Whether the caller is being asked: what they say and press now is the answer to that."""
        return self._question is not None

    @property
    def open_names(self) -> tuple[str, ...]:
        """The functions without an output, oldest first."""
        return tuple(call.name for call in self._open.values())

    @property
    def due_s(self) -> float | None:
        """When `poll` has something to say."""
        dues = [call.hold_due_s for call in self._open.values()]
        if self._question is not None:
            dues.append(self._question.consent.due_s)
        return min((due for due in dues if due is not None), default=None)

    def called(self, ask: Ask, now: float) -> list[ToolAction]:
        """The model wants a function run. A second call with the same id changes nothing."""
        approval = ask.definition is not None
        if ask.function_call_id in self._open:
            return []
        if len(self._open) >= MAX_OPEN:
            return [Output(ask.function_call_id, ask.name, failure(TOO_MANY), approval=approval)]
        opened = _Open(ask.name, hold_due_s=now + HOLD_AFTER_S, approval=approval)
        self._open[ask.function_call_id] = opened
        return [ask]

    def unreachable(self, function_call_id: str, now: float) -> list[ToolAction]:
        """Control did not take the call: it was not executed."""
        return self.update(function_call_id, {"state": "failed", "output": failure(UNREACHABLE)}, now)

    def update(self, function_call_id: str, news: Mapping[str, Any], now: float) -> list[ToolAction]:
        """Control's word: `state`, and with it `output` (final), `line`, `question` and `key`, `request_id`."""
        call = self._open.get(function_call_id)
        if call is None:
            return []  # answered before: control says things again after a reconnect
        call.request_id = str(news.get("request_id") or call.request_id)
        output = news.get("output")
        state = str(news.get("state"))
        if isinstance(output, str) and output:
            return self._finish(function_call_id, call, output, done=state == "succeeded")
        if state == call.phase:
            return []
        call.phase = state
        if state == "confirming":
            return self._ask_caller(function_call_id, call, news)
        self._forget_question(function_call_id)
        if state == "pending":
            call.line, call.hold_due_s = STILL_LINE, now + HOLD_EVERY_S
            return [Inform(WAITING.format(name=call.name)), SayLine(str(news.get("line") or PENDING_LINE))]
        call.line = str(news.get("line") or RUNNING_LINE)
        call.hold_due_s = now + HOLD_AFTER_S
        return []

    def poll(self, now: float) -> list[ToolAction]:
        """What falls due: hold lines, and a question nobody answers."""
        actions: list[ToolAction] = []
        for call in self._open.values():
            if call.hold_due_s is not None and now >= call.hold_due_s:
                call.hold_due_s = now + HOLD_EVERY_S
                if call.phase != "confirming":
                    actions.append(SayLine(call.line))
        if self._question is not None:
            actions += self._judge(self._question.consent.tick(now))
        return actions

    # ---- the confirmation ------------------------------------------------------------------------------------

    def agent_said(self, item_id: str, text: str, now: float) -> list[ToolAction]:
        """The transcript of something the agent says: it may be the question."""
        question = self._question
        if question is None or _plain(question.text) not in _plain(text):
            return []
        question.item_id = item_id
        question.consent.question_started()
        if self._heard.get(item_id):
            question.consent.question_finished(now)
        return []

    def played(self, item_id: str, now: float, *, whole: bool) -> list[ToolAction]:
        """The caller heard an item: `whole`, or cut short."""
        question = self._question
        if question is None:
            return []
        self._heard[item_id] = whole
        if item_id != question.item_id:
            return []
        if whole:
            question.consent.question_finished(now)
            return []
        question.item_id = ""
        return [SayLine(question.text, alone=True)]

    def heard(self, transcript: str, began_s: float | None) -> list[ToolAction]:
        """What the caller said, and when they began to: what began before the question's end is no yes."""
        return (
            [] if self._question is None else self._judge(self._question.consent.heard(transcript, began_s))
        )

    def pressed(self, digit: str) -> list[ToolAction]:
        """A key."""
        return [] if self._question is None else self._judge(self._question.consent.pressed(digit))

    def _ask_caller(self, function_call_id: str, call: _Open, news: Mapping[str, Any]) -> list[ToolAction]:
        if self._question is not None:
            # One question at a time: the second has to be asked for again.
            return [Confirmed(call.request_id, yes=False, how="another question was being asked")]
        text = str(news.get("question") or "")
        by = tuple(str(way) for way in news.get("by") or ("key", "voice"))
        self._question = _Question(function_call_id, text, Consent(by, str(news.get("key") or "1")))
        self._heard.clear()
        return [Inform(CONFIRMING.format(name=call.name)), SayLine(text, alone=True)]

    def _judge(self, verdict: object) -> list[ToolAction]:
        question = self._question
        if question is None or verdict is None:
            return []
        call = self._open[question.function_call_id]
        match verdict:
            case Yes(how):
                self._question = None
                return [Confirmed(call.request_id, yes=True, how=how)]
            case No(why) | GaveUp(why):
                self._question = None
                return [Confirmed(call.request_id, yes=False, how=why)]
        question.item_id = ""
        return [SayLine(question.text, alone=True)]

    def _forget_question(self, function_call_id: str) -> None:
        if self._question is not None and self._question.function_call_id == function_call_id:
            self._question = None

    def _finish(self, function_call_id: str, call: _Open, output: str, *, done: bool) -> list[ToolAction]:
        del self._open[function_call_id]
        self._forget_question(function_call_id)
        return [Output(function_call_id, call.name, output, call.approval, done)]


def failure(words: str) -> str:
    """A function output that says: not done."""
    return json.dumps({"status": "failed", "message": words + " Do not say that it was done."})


def _plain(text: str) -> str:
    """Words only, so that a transcript's punctuation makes no difference."""
    return " ".join(re.findall(r"[\w']+", text.lower()))
