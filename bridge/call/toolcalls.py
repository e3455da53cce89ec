"""What a call does while control decides about and runs the functions its model asked for.

    FunctionCall ─► Ask control ─► update(running | confirming | pending | a final state) ─► Output to the model

Rules: an output is given once, and only in a final state; until then the model is told that nothing has been done;
the caller hears hold lines; a confirmation counts only when the question was played to its end (consent.py judges the
words). Sans-IO; used by tooldesk.py on the worker's loop. `now` is monotonic seconds.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bridge.approval.consent import Consent, GaveUp, No, Yes
from bridge.call.inquiry import DECIDED, GONE, NO_CALL, ONE_AT_A_TIME, Inquired, Inquiry
from bridge.call.spoken import same_words

HOLD_AFTER_S = 1.5  # a function that answers sooner needs no hold line
HOLD_EVERY_S = 25.0
QUESTION_START_S = 12.0  # a question that is not being said by then is said again
QUESTION_PLAYS_S = 45.0  # 500 characters, spoken slowly
AFTER_STRAY_S = 1.0
MAX_QUESTION_TRIES = 3
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

CALLER_GONE = "another caller is on the line"
ANOTHER_CALLER = (
    "Another person is on the line now, to whom the caller before was connected. Nothing you know of the caller before "
    "is true of this person, and nothing they proved: find out who this is before you tell or do anything for them."
)


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


@dataclass(frozen=True, slots=True)
class PutQuestion:
    """Have the agent ask the caller this, for who decides about the action `name`."""

    name: str
    text: str


ToolAction = Ask | Output | Inform | SayLine | Confirmed | PutQuestion | Inquired


@dataclass(slots=True)
class _Open:
    name: str
    phase: str = "asked"
    request_id: str = ""
    line: str = RUNNING_LINE
    hold_due_s: float | None = None
    approval: bool = False
    stale: bool = False  # a caller who is gone wanted it


@dataclass(slots=True)
class _Question:
    """The question that is being asked, and where it is in the playout."""

    function_call_id: str
    text: str
    consent: Consent
    item_id: str = ""
    tries: int = 0
    start_due_s: float = 0.0
    strays: set[str] = field(default_factory=set)

    @property
    def due_s(self) -> float:
        """When the answer is due; before that, when the question has to have begun, or ended."""
        if self.consent.due_s is not None:
            return self.consent.due_s
        return self.start_due_s + (QUESTION_PLAYS_S if self.item_id else 0)


class ToolCalls:
    """The function calls of one phone call that have no output yet."""

    def __init__(self) -> None:
        self._open: dict[str, _Open] = {}
        self._question: _Question | None = None
        self._inquiry: Inquiry | None = None
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
    def told_ids(self) -> tuple[str, ...]:
        """Ids of the calls that control has said something of."""
        return tuple(key for key, call in self._open.items() if call.request_id)

    @property
    def due_s(self) -> float | None:
        """When `poll` has something to say."""
        dues = [call.hold_due_s for call in self._open.values()]
        if self._question is not None:
            dues.append(self._question.due_s)
        if self._inquiry is not None:
            dues.append(self._inquiry.due_s)
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

    def unreachable(self, function_call_id: str, now: float, *, unsure: bool) -> list[ToolAction]:
        """Control did not take the call, as far as anybody can tell; `unsure`: it may have."""
        state, words = ("unknown", unknown()) if unsure else ("failed", failure(UNREACHABLE))
        return self.update(function_call_id, {"state": state, "output": words}, now)

    def session_began(self, now: float) -> list[ToolAction]:
        """Another model session goes on with the call: it knows nothing of what waits."""
        told: list[ToolAction] = [
            Inform(WAITING.format(name=call.name)) for call in self._open.values() if call.phase == "pending"
        ]
        if self._inquiry is not None:
            self._inquiry.say_again(now)
            told.append(PutQuestion(self._inquiry.name, self._inquiry.text))
        return told if self._question is None else [*told, *self._say_again(self._question, now)]

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
            return self._ask_caller(function_call_id, call, news, now)
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
        question = self._question
        if question is not None and question.consent.due_s is not None:
            actions += self._judge(question.consent.tick(now), now)
        elif question is not None and now >= question.due_s:
            actions += self._never_asked(question, now)
        if self._inquiry is not None and now >= self._inquiry.due_s:
            actions += self._inquired(self._inquiry.late(now))
        return actions

    def caller_changed(self) -> list[ToolAction]:
        """Another caller is on the line: they cannot confirm what the one before wanted."""
        for call in self._open.values():
            call.stale = True
        question, self._question = self._question, None
        actions: list[ToolAction] = [Inform(ANOTHER_CALLER), *self._called_off(CALLER_GONE)]
        if question is not None:
            request_id = self._open[question.function_call_id].request_id
            actions.append(Confirmed(request_id, yes=False, how=CALLER_GONE))
        return actions

    # ---- what who decides wants to know -----------------------------------------------------------------------

    def inquire(self, function_call_id: str, text: str, now: float) -> list[ToolAction]:
        """Have the caller asked `text`, for who decides about this call. An Inquired comes, now or later."""
        call = self._open.get(function_call_id)
        if call is None or call.stale:
            return [Inquired(function_call_id, NO_CALL if call is None else CALLER_GONE)]
        if self._inquiry is not None or self._question is not None:
            return [Inquired(function_call_id, ONE_AT_A_TIME)]
        self._inquiry = Inquiry(function_call_id, call.name, text, now)
        self._hold_off(now)
        return [PutQuestion(call.name, text)]

    def agent_gone(self) -> list[ToolAction]:
        """No model has the caller any more: what was to be asked is not."""
        return self._called_off(GONE)

    def _inquired(self, news: Inquired | None) -> list[ToolAction]:
        """Of the inquiry: it is over, or (None) has to be put once more."""
        inquiry = self._inquiry
        if inquiry is None:
            return []
        if news is None:
            return [PutQuestion(inquiry.name, inquiry.text)]
        self._inquiry = None
        return [news]

    def _called_off(self, why: str) -> list[ToolAction]:
        return [] if self._inquiry is None else self._inquired(Inquired(self._inquiry.function_call_id, why))

    def _hold_off(self, now: float) -> None:
        """No hold line while the caller is asked, nor into their answer."""
        for call in self._open.values():
            call.hold_due_s = now + HOLD_EVERY_S

    # ---- the confirmation ------------------------------------------------------------------------------------

    def agent_said(self, item_id: str, text: str, now: float) -> list[ToolAction]:
        """The transcript of something the agent says: it may be the question."""
        if self._inquiry is not None and (news := self._inquiry.agent_said(item_id, text, now)):
            self._hold_off(now)
            return self._inquired(news)
        question = self._question
        if question is None:
            return []
        if not same_words(text, question.text):
            question.strays.add(item_id)
            return []
        question.item_id = item_id
        question.consent.question_started()
        if self._heard.get(item_id):
            question.consent.question_finished(now)
        return []

    def played(self, item_id: str, now: float, *, whole: bool) -> list[ToolAction]:
        """The caller heard an item: `whole`, or cut short."""
        if self._inquiry is not None and (news := self._inquiry.played(item_id, whole=whole)):
            self._hold_off(now)
            return self._inquired(news)
        question = self._question
        if question is None:
            return []
        self._heard[item_id] = whole
        if item_id in question.strays and not question.item_id:  # the agent said something else instead
            question.start_due_s = min(question.start_due_s, now + AFTER_STRAY_S)
        if item_id != question.item_id:
            return []
        if whole:
            question.consent.question_finished(now)
            return []
        return self._say_again(question, now)

    def heard(self, transcript: str, began_s: float, now: float) -> list[ToolAction]:
        """What the caller said, and when they began to: what began before the question's end is no yes."""
        question = self._question
        return [] if question is None else self._judge(question.consent.heard(transcript, began_s), now)

    def pressed(self, digit: str, now: float) -> list[ToolAction]:
        """A key."""
        return [] if self._question is None else self._judge(self._question.consent.pressed(digit), now)

    def _ask_caller(
        self, function_call_id: str, call: _Open, news: Mapping[str, Any], now: float
    ) -> list[ToolAction]:
        if call.stale:
            return [Confirmed(call.request_id, yes=False, how=CALLER_GONE)]
        if self._question is not None:
            # One question at a time: the second has to be asked for again.
            return [Confirmed(call.request_id, yes=False, how="another question was being asked")]
        by = tuple(str(way) for way in news.get("by") or ("key", "voice"))
        consent = Consent(by, str(news.get("key") or "1"))
        self._question = _Question(function_call_id, str(news.get("question") or ""), consent)
        self._heard.clear()
        return [Inform(CONFIRMING.format(name=call.name)), *self._say_again(self._question, now)]

    def _say_again(self, question: _Question, now: float) -> list[ToolAction]:
        question.item_id = ""
        question.consent.question_gone()
        question.start_due_s = now + QUESTION_START_S
        return [SayLine(question.text, alone=True)]

    def _never_asked(self, question: _Question, now: float) -> list[ToolAction]:
        """The agent did not say the question: once more, but not for ever."""
        question.tries += 1
        if question.tries < MAX_QUESTION_TRIES:
            return self._say_again(question, now)
        self._question = None
        call = self._open[question.function_call_id]
        return [Confirmed(call.request_id, yes=False, how="the question could not be asked")]

    def _judge(self, verdict: object, now: float) -> list[ToolAction]:
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
        return self._say_again(question, now)

    def _forget_question(self, function_call_id: str) -> None:
        if self._question is not None and self._question.function_call_id == function_call_id:
            self._question = None

    def _finish(self, function_call_id: str, call: _Open, output: str, *, done: bool) -> list[ToolAction]:
        del self._open[function_call_id]
        self._forget_question(function_call_id)
        inquiry, off = self._inquiry, list[ToolAction]()
        if inquiry is not None and inquiry.function_call_id == function_call_id and not inquiry.being_said:
            off = self._called_off(DECIDED)
        return [*off, Output(function_call_id, call.name, output, call.approval, done)]


def failure(words: str) -> str:
    """A function output that says: not done."""
    return json.dumps({"status": "failed", "message": words + " Do not say that it was done."})


def unknown() -> str:
    """A function output that says: nobody knows."""
    words = "Nobody knows whether the action was done. Say neither that it was nor that it was not: a person will look."
    return json.dumps({"status": "unknown", "message": words})
