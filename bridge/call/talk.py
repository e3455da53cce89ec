"""The agents of one call, one after the other: sessions that are retried when lost, and hand-offs between agents.

    run(agent) ─► session ─► lost ─► Recovery ─► session … ─► given up: the failure
                     └─ hand_off(billing, note) ─► billing's session is opened while the first still talks;
                        when it is up the caller changes over, and the first is closed

A hand-off that does not come up in time leaves the caller where they are. The call around it is seen through `Host`.
On the worker's loop.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import structlog

from bridge.beat import beat
from bridge.call.agentlimits import AgentLimits, Say
from bridge.call.agentsession import session_config
from bridge.call.context import NotDoneError
from bridge.call.conversation import Conversation
from bridge.call.handoff import MAX_WHISPER_CHARS, HandOffs, note_text
from bridge.call.history import History
from bridge.call.journal import Journal
from bridge.call.limits import Ending
from bridge.call.modelside import CallDeps, open_transport
from bridge.call.opening import Opening, given_back, handed_over, resumed
from bridge.call.recovery import Recovery
from bridge.call.seat import LeftError, Seat, Wish, refuse, stop, task_of
from bridge.call.tasks import first
from bridge.call.tooldesk import ToolDesk
from bridge.dialplan.agent import Agent
from bridge.dialplan.plan import CallFacts, Plan
from bridge.dialplan.variables import Scene
from bridge.errors import FailureKind, RemoteSessionError
from bridge.media.playout import PlayoutEvent
from bridge.realtime.session import Session
from bridge.sip.leg import Leg

log = structlog.get_logger(__name__)

LIMIT_CHECK_S = 0.5
HAND_OFF_S = 10.0  # for the other agent's session to come up
FINISH_ANSWER_S = 6.0  # the agent before ends its sentence
LOOK_S = 0.02


class Host(Protocol):
    """What the talk needs of its call. `detail`: words for the record's end. `answered_s`: monotonic, None before."""

    detail: str

    @property
    def answered_s(self) -> float | None: ...
    @property
    def variables(self) -> Mapping[str, str]: ...
    async def prepare(self, agent: Agent) -> None:
        """Before an agent's first session: what the caller has to be told or asked."""

    async def ring(self) -> None:
        """180, if it is not too late."""

    async def heard(self, agent: Agent) -> None:
        """The agent's first word is there: answer, record."""

    async def end(self, ending: Ending) -> None:
        """End the call; does not return."""


@dataclass(frozen=True, slots=True)
class Scope:
    """The parts of the call that a talk uses."""

    leg: Leg
    plan: Plan
    deps: CallDeps
    journal: Journal
    facts: CallFacts
    tools: ToolDesk


class AgentTalk:
    """The talk of one call. `conversation`: the one that has the caller, if any."""

    def __init__(self, scope: Scope, host: Host) -> None:
        self._scope = scope
        self._host = host
        self._config = scope.deps.config
        self._history = History()
        self._limits = AgentLimits()
        self._hand_offs = HandOffs()
        self._wishes: asyncio.Queue[Wish] = asyncio.Queue(1)
        self._seat: Seat | None = None
        self._back: tuple[str, str] | None = None

    @property
    def conversation(self) -> Conversation | None:
        """The conversation that has the caller."""
        return self._seat.conversation if self._seat else None

    def press(self, digit: str) -> None:
        """A key of the caller's that nobody else waits for."""
        if self.conversation is not None:
            self._limits.caller_heard()
            self.conversation.press(digit)

    @property
    def caller_speaks(self) -> bool:
        """Whether the model hears the caller speak now."""
        return self.conversation is not None and self.conversation.caller_speaks

    def played(self, event: PlayoutEvent) -> None:
        """The playout clock reports."""
        if self.conversation is not None:
            self.conversation.played(event)

    async def run(self, agent: Agent) -> RemoteSessionError:
        """Talk until the call ends. Returns only when the model is lost for good: why."""
        recovery = Recovery(self._config.deadlines.answer_wait_s, time.monotonic())
        while True:
            await self._host.prepare(agent)
            failure, seat = await self._until_failure(Seat(agent, recovery.due_s))
            agent = seat.agent
            self._host.detail = f"{failure.code}: {failure.message}"
            self._scope.journal.note("session.failed", code=failure.code, message=failure.message)
            pause_s = recovery.after(failure, spoke=seat.spoke, now=time.monotonic())
            facts = {"code": failure.code, "reason": failure.message, "kind": failure.kind.value}
            if pause_s is None:
                log.error("session.failed", **facts)
                return failure
            log.warning("session.retried", **facts, pause_s=pause_s)
            await asyncio.sleep(pause_s)

    # ---- hand-offs -------------------------------------------------------------------------------------------

    async def hand_off(self, data: Mapping[str, Any]) -> Mapping[str, Any]:
        """The command of that kind: {agent, note}. Back when the other agent has the caller; raises NotDoneError."""
        seat, target = self._seat, str(data.get("agent", ""))
        if seat is None or not seat.spoke:
            raise NotDoneError("no agent has the caller")
        refusal = self._hand_offs.refusal(seat.agent, target)
        if refusal:
            raise NotDoneError(refusal)
        if self._wishes.full():
            raise NotDoneError("the caller is being handed over already")
        done: asyncio.Future[Mapping[str, Any]] = asyncio.get_running_loop().create_future()
        self._wishes.put_nowait(
            Wish(self._scope.plan.agent(target), note_text(str(data.get("note", ""))), done)
        )
        return await done

    async def leave(self, then: Callable[[], Awaitable[None]]) -> None:
        """End the agent's session, back when it is ended: `then` has the caller. NotDoneError: no agent has them."""
        if self._seat is None or self._wishes.full():
            raise NotDoneError("no agent has the caller")
        done: asyncio.Future[Mapping[str, Any]] = asyncio.get_running_loop().create_future()
        self._wishes.put_nowait(Wish(None, "", done, then))
        await done

    # ---- supervisors -----------------------------------------------------------------------------------------

    async def whisper(self, data: Mapping[str, Any]) -> Mapping[str, Any]:
        """The command {text, now}: words to the agent that the caller does not hear. Raises NotDoneError."""
        seat, words = self._seat, note_text(str(data.get("text", "")), MAX_WHISPER_CHARS)
        if seat is None or not seat.spoke or seat.conversation is None:
            raise NotDoneError("no agent has the caller")
        if not words:
            raise NotDoneError("there are no words in it")
        self._scope.journal.note("supervisor.whispered", by=str(data.get("by", "")), text=words)
        seat.conversation.whisper(words, at_once=data.get("now") is True)
        return {}

    def handed_back(self, who: str, note: str) -> None:
        """The caller comes back from a person: what the next session begins with."""
        self._back = (who, note_text(note))

    async def has_the_caller(self) -> None:
        """Wait until an agent has the caller and was heard."""
        while self._seat is None or not self._seat.spoke:
            await beat(LOOK_S)

    async def _until_failure(self, seat: Seat) -> tuple[RemoteSessionError, Seat]:
        """Sessions up to a failure: it, and whose it was. Ends no other way, but with the call."""
        self._sit(seat)
        try:
            while True:
                wish = asyncio.create_task(self._wishes.get())
                try:
                    await asyncio.wait({task_of(seat), wish}, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    wish.cancel()
                wanted = wish.result() if wish.done() and not wish.cancelled() else None
                if wanted is not None and wanted.then is not None:
                    wanted.done.set_result({})
                    raise LeftError(wanted.then, seat.agent)
                if task_of(seat).done():
                    refuse(wanted)
                    break
                if wanted is not None:
                    seat = await self._change(seat, wanted)
        finally:
            await stop(seat)
            self._refuse_wishes()
            self._seat = None
        failure = RemoteSessionError(FailureKind.RETRY, "ended", "the session ended without a word")
        try:
            task_of(seat).result()
        except* RemoteSessionError as group:
            failure = first(group, RemoteSessionError)
        return failure, seat

    def _sit(self, seat: Seat) -> None:
        seat.task = asyncio.create_task(self._session(seat))
        self._seat = self._seat if seat.before else seat

    def _refuse_wishes(self) -> None:
        while not self._wishes.empty():
            refuse(self._wishes.get_nowait())

    async def _change(self, old: Seat, wish: Wish) -> Seat:
        """Open the other agent's session beside the old one; whoever has the caller afterwards."""
        began_s = time.monotonic()
        if wish.agent is None:
            raise RuntimeError("a wish without an agent")  # a bug of ours
        new = Seat(wish.agent, began_s + HAND_OFF_S, before=old.agent.name)
        self._sit(new)
        up = asyncio.create_task(new.up.wait())
        try:
            await asyncio.wait({task_of(new), up}, timeout=HAND_OFF_S, return_when=asyncio.FIRST_COMPLETED)
            if not new.up.is_set():
                await stop(new)
                self._not_handed_over(old, new, wish)
                return old
            await self._answered_out(old)
            self._hand_over(old, new, wish, began_s)
        except BaseException:
            await stop(new)
            if not wish.done.done():
                wish.done.cancel()
            raise
        finally:
            up.cancel()
        await stop(old)
        return new

    def _not_handed_over(self, old: Seat, new: Seat, wish: Wish) -> None:
        why = "it did not come up in time"
        if task_of(new).done() and not task_of(new).cancelled() and task_of(new).exception() is not None:
            why = str(task_of(new).exception())[:200]
        facts = {"from": old.agent.name, "to": new.agent.name}
        self._scope.journal.note("error", where="hand_off", code="not_handed_over", message=why, **facts)
        log.warning("hand_off.failed", reason=why, **facts)
        if not wish.done.done():
            wish.done.set_exception(NotDoneError(f"the agent {new.agent.name} is not available now"))

    async def _answered_out(self, old: Seat) -> None:
        """Let the agent before end its sentence; what is queued is heard in any case."""
        until_s = time.monotonic() + FINISH_ANSWER_S
        while not task_of(old).done() and old.conversation is not None and old.conversation.busy:
            if time.monotonic() >= until_s:
                return
            await asyncio.sleep(LOOK_S)

    def _hand_over(self, old: Seat, new: Seat, wish: Wish, began_s: float) -> None:
        if old.conversation is not None:
            old.conversation.leave()
        self._hand_offs.done()
        self._seat, self._host.detail = new, ""
        ms = round((time.monotonic() - began_s) * 1000)
        facts = {"from": old.agent.name, "to": new.agent.name, "note": wish.note, "ms": ms}
        self._scope.journal.note("agent.hand_off", **facts)
        log.info("agent.hand_off", agent_from=old.agent.name, agent_to=new.agent.name, ms=ms)
        if new.conversation is not None:
            new.conversation.begin(handed_over(self._history, old.agent.name, wish.note))
            new.conversation.answered()
        if not wish.done.done():
            wish.done.set_result({"agent": new.agent.name})

    # ---- one session -----------------------------------------------------------------------------------------

    async def _session(self, seat: Seat) -> None:
        config, journal, agent = self._config, self._scope.journal, seat.agent
        if self._host.answered_s is None:
            self._history = History()  # what a failed try said, nobody heard
        provider = config.provider(agent.provider)
        if provider is None or provider.url is None:
            words = f"agent {agent.name} has no usable provider"
            raise RemoteSessionError(FailureKind.FATAL, "no_provider", words)
        tools = await self._scope.tools.offer(agent.name, agent.tools, later=bool(seat.before))
        scene = Scene(self._scope.facts, datetime.now().astimezone(), self._host.variables, _template_note)
        settings = session_config(agent, provider, config.media, scene, tools)
        more = {"prompt": agent.prompt} if agent.prompt else {}
        journal.note(
            "session.connecting", provider=provider.name, model=settings.model, agent=agent.name, **more
        )
        if not seat.before:
            await self._host.ring()
        opened = open_transport(self._scope.deps, provider, settings.model, journal.call_id, seat.due_s)
        async with await opened as transport:
            session = Session(settings, self._scope.deps.prices)
            conversation = seat.conversation = Conversation(
                self._scope.leg.audio,
                session,
                transport,
                journal,
                self._history,
                self._scope.tools,
                barge_in=agent.barge_in,
                patience_s=config.deadlines.model_silence_s,
                limits=self._limits,
                takes_over=bool(seat.before),
                opening=self._opening,
            )
            try:
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(conversation.run())
                    tasks.create_task(self._begin(seat, conversation))
            finally:
                seat.conversation = None
                conversation.abandon()
                session.closed()

    def _opening(self) -> Opening | None:
        """What a session begins with that takes over from no agent. A lost one that nobody has heard begins anew."""
        if self._back is not None:
            return given_back(self._history, *self._back)
        return resumed(self._history) if self._history else None

    async def _begin(self, seat: Seat, conversation: Conversation) -> None:
        """The caller hears ringing until the agent's first word is there, then that word: no dead air."""
        ready_s = self._config.deadlines.session_ready_s
        ready_due_s = min(time.monotonic() + ready_s, seat.due_s)
        await _by(ready_due_s, conversation.ready, "ready_timeout", "no session in time")
        seat.up.set()
        speak_due_s = seat.due_s
        if seat.before:  # the agent before ends its sentence first
            speak_due_s = time.monotonic() + FINISH_ANSWER_S + self._config.deadlines.answer_wait_s
        await _by(speak_due_s, conversation.speaking, "silent_model", "no speech in time")
        seat.spoke, self._back = True, None
        await self._host.heard(seat.agent)
        self._host.detail = ""
        conversation.answered()
        await self._watch_limits(seat.agent, conversation)

    async def _watch_limits(self, agent: Agent, conversation: Conversation) -> None:
        now = time.monotonic()
        self._limits.begin(agent, self._host.answered_s or now)
        while True:
            await beat(LIMIT_CHECK_S)
            silent = self._scope.leg.audio.silent and not conversation.busy
            if conversation.caller_speaks:
                self._limits.caller_heard()
            waits = self._scope.leg.held or self._scope.tools.working
            match self._limits.check(time.monotonic(), silent=silent, waits=waits):
                case Say(order, why):
                    facts = {"cost_usd": round(self._limits.cost_usd, 6), "tokens": self._limits.tokens}
                    self._scope.journal.note("agent.limit", what=why, **facts)
                    conversation.say(order)
                case Ending() as ending:
                    await self._host.end(ending)


def _template_note(words: str) -> None:
    log.warning("template.incomplete", reason=words)


async def _by(due_s: float, event: asyncio.Event, code: str, words: str) -> None:
    """Wait for `event` until monotonic `due_s`; then the model side has failed with `code`."""
    try:
        async with asyncio.timeout(max(due_s - time.monotonic(), 0)):
            await event.wait()
    except TimeoutError:
        raise RemoteSessionError(FailureKind.RETRY, code, words) from None
