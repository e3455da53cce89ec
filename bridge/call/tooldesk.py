"""The shell around toolcalls.py: takes its actions to control and to the model session.

It lives as long as the phone call, longer than any model session: what control decides while a lost session is being
mended reaches the next one, as a fact instead of a function's output. Everything runs on the worker's loop.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from typing import Any

import structlog

from bridge.beat import beat
from bridge.call.context import NotDoneError
from bridge.call.inquiry import GONE, ONE_AT_A_TIME, PUT_S, Inquired
from bridge.call.journal import Journal
from bridge.call.offering import HIDDEN, Offer, Request, offered, without
from bridge.call.toolcalls import (
    Ask,
    Confirmed,
    Inform,
    Output,
    PutQuestion,
    SayLine,
    ToolAction,
    ToolCalls,
    failure,
)
from bridge.errors import LinkError, LocalSessionError
from bridge.realtime.events import FunctionCall, McpApprovalRequested, McpToolsListed
from bridge.realtime.session import Session

log = structlog.get_logger(__name__)

ASK_AGAIN_S = 2.0  # control is asked what became of open calls this often: it may have been away
ASK_FOR_S = 20.0  # a call that control did not answer is put to it again so long; it knows it by its id
CONFIRM_TRIES = 5
HAND_OFF = "hand_off"  # whose outcome the agent who took over can see
MAX_UTTERANCES = 32
MAX_MISSED = 5
SAY = 'Say exactly the following words, nothing else: "{text}"'
ASKS = (
    "A person who decides about the action {name} wants the caller asked something first; you are told now what. "
    "Nothing has been decided, and the action has NOT been done. The person reads what the caller answers: do not "
    "judge it, and do not say or suggest that the action was done, approved or refused, or that it will be."
)
ASK = (
    "Ask the caller now, for the person who decides about the action {name}. Nothing has been decided. "
    'Say exactly the following words, nothing else: "{text}"'
)
NOT_OFFERED = "This function is not available on this line."
LOST = "It was approved, but the connection in which it was asked for is gone, so it was not carried out."
LATE = "The result of the action {name} that was asked for before the interruption: {text}"


class Missed:
    """Calls that control said something of and now knows nothing of: after a few times they are lost."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}

    def update(self, told: Iterable[str], known: Container[str]) -> list[str]:
        """Those that were missed MAX_MISSED times in a row."""
        self._counts = {one: self._counts.get(one, 0) + 1 for one in told if one not in known}
        return [one for one, count in self._counts.items() if count >= MAX_MISSED]


class ToolDesk:
    """`request(kind, data, deadline_s)` asks control; raises LinkError. `facts`: who calls whom, for the policy."""

    def __init__(
        self, request: Request, journal: Journal, facts: Mapping[str, Any], deadline_s: float
    ) -> None:
        self._request = request
        self._journal = journal
        self.facts = facts
        self._deadline_s = deadline_s
        self._calls = ToolCalls()
        self._questions: asyncio.Queue[Ask | Confirmed] = asyncio.Queue(64)
        self._changed = asyncio.Event()
        self._session: Session | None = None
        self._wake: Callable[[], None] = lambda: None
        self._alone = False
        self._late: list[Output] = []
        self._offered: frozenset[str] = frozenset()
        self._servers: frozenset[str] = frozenset()
        self._hidden: Mapping[str, Any] = {}
        self._next = Offer("")
        self._missed = Missed()
        self._listed: dict[str, Mapping[str, Any]] = {}
        self._began_s: dict[str, float] = {}
        self._watched: dict[str, asyncio.Queue[Mapping[str, Any]]] = {}
        self._inquired: dict[str, asyncio.Future[Inquired]] = {}
        self.agent = ""

    @property
    def confirming(self) -> bool:
        """Whether the caller is being asked to confirm: their keys are the answer to that."""
        return self._calls.confirming

    @property
    def working(self) -> bool:
        """Whether a function that the model called has no output yet."""
        return bool(self._calls.open_names)

    async def offer(
        self, agent: str, names: tuple[str, ...], *, later: bool = False
    ) -> tuple[Mapping[str, Any], ...]:
        """The definitions of the tools this agent may call; `later`: from the next `bind` on, another has the caller.

        None while control is away: it must not call any then.
        """
        self._next, tools = await offered(self._request, self._journal, self._deadline_s, agent, names)
        if not later:
            self._take_offer()
        return tools

    def bind(self, session: Session, wake: Callable[[], None]) -> None:
        """A model session is up; `wake` has it send what it was told. What came in meanwhile is told now."""
        self._session, self._wake, self._alone = session, wake, False
        self._take_offer()
        late, self._late = self._late, []
        self._do(late)
        self._do(self._calls.session_began(time.monotonic()))

    def _take_offer(self) -> None:
        offer = self._next
        self.agent, self._hidden = offer.agent, offer.hidden
        self._offered, self._servers = offer.functions, offer.servers

    def unbind(self) -> None:
        """The model session is over."""
        self._session = None

    async def ask_caller(self, data: Mapping[str, Any]) -> Mapping[str, Any]:
        """Have the agent ask the caller {text} for who decides about {function_call_id}, in the name of {by}.

        Returns when it was said. Raises NotDoneError: it was not, and why.
        """
        key, text = str(data.get("function_call_id")), str(data.get("text", ""))
        if self._session is None:
            raise NotDoneError(GONE)
        if key in self._inquired:
            raise NotDoneError(ONE_AT_A_TIME)
        self._journal.note("tool.question", call_id=key, by=str(data.get("by", "")), text=text)
        self._inquired[key] = asyncio.get_running_loop().create_future()
        try:
            self._do(self._calls.inquire(key, text, time.monotonic()))
            async with asyncio.timeout(PUT_S):
                inquired = await self._inquired[key]
        except TimeoutError:
            self._do(self._calls.agent_gone())
            raise NotDoneError(GONE) from None
        finally:
            del self._inquired[key]
        if inquired.why:
            raise NotDoneError(inquired.why)
        return {"interrupted": inquired.interrupted}

    # ---- what happens ----------------------------------------------------------------------------------------

    def called(self, event: FunctionCall, now: float, refused: str = "") -> None:
        """The model calls a function. One that it was not offered, or that is `refused`, is not even asked about."""
        refused = refused if event.name in self._offered else NOT_OFFERED
        if refused:
            self._do([Output(event.call_id, event.name, failure(refused))])
            return
        self._do(self._calls.called(Ask(event.call_id, event.name, event.arguments), now))

    def shown(self, name: str, arguments: str) -> str:
        """A call's arguments as the record may have them: without those that its tool says to hide."""
        return without(arguments, self._hidden.get(name, ()))

    async def shown_of(self, name: str, arguments: str) -> str:
        """Like `shown`, for a tool that no agent was offered. All is hidden while control cannot say."""
        try:
            answer = await self._request("tool.offer", {"names": [name]}, self._deadline_s)
        except LinkError:
            return HIDDEN
        return without(arguments, answer.get("hidden", {}).get(name, ()))

    def listed(self, event: McpToolsListed) -> None:
        """The provider has read the tools of a server that it calls itself."""
        for one in event.definitions:
            self._listed[f"{event.server_label}__{one.get('name')}"] = one

    def approval_requested(self, event: McpApprovalRequested, now: float, refused: str = "") -> None:
        """The provider asks whether it may run a tool. What it has not shown the definition of, it may not."""
        name, key = f"{event.server_label}__{event.name}", event.approval_request_id
        definition = self._listed.get(name)
        if event.server_label not in self._servers or definition is None or refused:
            self._do([Output(key, name, failure(refused or NOT_OFFERED), approval=True)])
            return
        self._do(self._calls.called(Ask(key, name, event.arguments, definition), now))

    @property
    def callers(self) -> int:
        """How many callers there have been before the one on the line."""
        return int(self.facts.get("callers", 0))

    def caller_changed(self, number: str) -> None:
        """Another caller has taken the call over: control is told with what they ask, the model at once."""
        self.facts = {**self.facts, "caller": number, "verstat": "", "callers": self.callers + 1}
        self._do(self._calls.caller_changed())

    def update(self, function_call_id: str, news: Mapping[str, Any]) -> None:
        """Control's word on a call."""
        facts = {key: news[key] for key in ("request_id", "state", "tool") if key in news}
        if news.get("state") != "unchanged":
            self._journal.note("tool.state", call_id=function_call_id, **facts)
        watcher = self._watched.get(function_call_id)
        if watcher is None:
            self._do(self._calls.update(function_call_id, news, time.monotonic()))
        elif not watcher.full():
            watcher.put_nowait(news)

    @contextlib.contextmanager
    def news_of(self, function_call_id: str) -> "Iterator[asyncio.Queue[Mapping[str, Any]]]":
        """Control's words on a call that no model made, inside the block."""
        line: asyncio.Queue[Mapping[str, Any]] = asyncio.Queue(64)
        self._watched[function_call_id] = line
        try:
            yield line
        finally:
            del self._watched[function_call_id]

    def agent_said(self, item_id: str, text: str) -> None:
        """A final transcript of the agent."""
        self._do(self._calls.agent_said(item_id, text, time.monotonic()))

    def played(self, item_id: str, *, whole: bool) -> None:
        """The caller heard an item."""
        self._do(self._calls.played(item_id, time.monotonic(), whole=whole))

    def speech_started(self, item_id: str, now: float) -> None:
        """The caller begins to speak."""
        self._began_s[item_id] = now
        if len(self._began_s) > MAX_UTTERANCES:
            del self._began_s[next(iter(self._began_s))]

    def heard(self, item_id: str, transcript: str) -> None:
        """A final transcript of the caller. Words of which nobody knows when they began are older than any question."""
        self._do(self._calls.heard(transcript, self._began_s.pop(item_id, 0.0), time.monotonic()))

    def pressed(self, digit: str) -> None:
        """A key, while `confirming`."""
        self._do(self._calls.pressed(digit, time.monotonic()))

    # ---- the task --------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """As long as the call."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._keep_time())
            tasks.create_task(self._keep_asking())
            while True:
                match await self._questions.get():
                    case Ask() as ask:
                        tasks.create_task(self._ask(ask))
                    case Confirmed() as confirmed:
                        tasks.create_task(self._confirm(confirmed))

    async def _keep_time(self) -> None:
        while True:
            due_s = self._calls.due_s
            self._changed.clear()
            try:
                async with asyncio.timeout(None if due_s is None else max(due_s - time.monotonic(), 0)):
                    await self._changed.wait()
            except TimeoutError:
                self._do(self._calls.poll(time.monotonic()))

    async def _keep_asking(self) -> None:
        """Words of control that were lost with a connection are asked for again."""
        while True:
            await beat(ASK_AGAIN_S)
            if not self._calls.open_names:
                continue
            try:
                answer = await self._request(
                    "tool.state", {"call_id": self._journal.call_id}, self._deadline_s
                )
            except LinkError:
                continue
            now, known = time.monotonic(), answer.get("calls", {})
            for function_call_id, news in known.items():
                self._do(self._calls.update(function_call_id, news, now))
            for lost in self._missed.update(self._calls.told_ids, known):
                self._do(self._calls.unreachable(lost, now, unsure=True))

    async def _ask(self, ask: Ask) -> None:
        question = {
            "call_id": self._journal.call_id,
            "function_call_id": ask.function_call_id,
            "tool": ask.name,
            "arguments": ask.arguments,
            "agent": self.agent,
            **self.facts,
        }
        if ask.definition is not None:
            question["definition"] = dict(ask.definition)
        until_s, unsure = time.monotonic() + ASK_FOR_S, False
        while True:
            try:
                answer = await self._request("tool.call", question, self._deadline_s)
            except LinkError as error:
                unsure = unsure or error.unsure
                log.warning("tool.not_asked", tool=ask.name, reason=str(error))
                if error.fatal or time.monotonic() >= until_s:
                    break
                await asyncio.sleep(ASK_AGAIN_S)
            else:
                self.update(ask.function_call_id, answer)
                return
        self._do(self._calls.unreachable(ask.function_call_id, time.monotonic(), unsure=unsure))

    async def _confirm(self, confirmed: Confirmed) -> None:
        words = {"request_id": confirmed.request_id, "yes": confirmed.yes, "how": confirmed.how}
        self._journal.note("tool.confirmation", **words)
        for _ in range(CONFIRM_TRIES):
            try:
                await self._request(
                    "tool.confirm", {"call_id": self._journal.call_id, **words}, self._deadline_s
                )
            except LinkError as error:
                log.warning("tool.not_confirmed", reason=str(error))
                await asyncio.sleep(ASK_AGAIN_S)
            else:
                return

    # ---- actions ---------------------------------------------------------------------------------------------

    def _do(self, actions: Iterable[ToolAction]) -> None:
        for action in actions:
            match action:
                case Ask() | Confirmed():
                    self._questions.put_nowait(action)
                case Output():
                    self._output(action)
                case Inform(text):
                    if self._session is not None:
                        self._session.send_user_text(text, role="system")
                case SayLine(text, alone):
                    self._say(text, alone=alone)
                case PutQuestion(name, text):
                    self._put(name, text)
                case Inquired():
                    self._tell_inquired(action)
        if self._alone and not self._calls.confirming:
            self._answer_alone(answer=True)
        self._changed.set()
        self._wake()

    def _output(self, output: Output) -> None:
        session = self._session
        if session is None:
            self._late.append(output)
            return
        self._journal.note(
            "function_output", name=output.name, call_id=output.function_call_id, output=output.text
        )
        try:
            if output.approval:
                reason = "" if output.done else output.text
                session.approve_mcp(output.function_call_id, approve=output.done, reason=reason)
            else:
                session.function_output(output.function_call_id, output.text)
        except LocalSessionError:  # asked in a session that was lost, or by the agent before
            if output.name == HAND_OFF:
                return
            told = failure(LOST) if output.approval and output.done else output.text
            session.send_user_text(LATE.format(name=output.name, text=told), role="system")
            session.request_response()

    def _say(self, text: str, *, alone: bool) -> None:
        if self._session is None:
            return
        if alone and not self._alone:
            self._answer_alone(answer=False)
        self._session.say(SAY.format(text=text.replace('"', "'")))

    def _put(self, name: str, text: str) -> None:
        if self._session is not None:
            self._session.send_user_text(ASKS.format(name=name), role="system")
            self._session.say(ASK.format(name=name, text=text.replace('"', "'")))

    def _tell_inquired(self, inquired: Inquired) -> None:
        waiting = self._inquired.get(inquired.function_call_id)
        if waiting is not None and not waiting.done():
            waiting.set_result(inquired)

    def _answer_alone(self, *, answer: bool) -> None:
        """Whether the model answers what the caller says by itself. While the caller is asked, it must not."""
        self._alone = not answer
        session = self._session
        if session is None or not isinstance(session.config.turn_detection, Mapping):
            return
        session.update(turn_detection={**session.config.turn_detection, "create_response": answer})
