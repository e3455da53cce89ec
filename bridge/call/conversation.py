"""One Realtime session on one call: caller audio up, agent audio down, events both ways.

    leg.audio.read ─► ModelAudio.encode ─► append ─► transport ─► model        (uplink)
    leg.audio.play ◄─ ModelAudio.decode ◄─ delta ◄── transport ◄─ model        (downlink)
                    Turn (barge-in)  Session (protocol)  Keypad: machines that decide; this shell obeys

A shell: one TaskGroup, no rule of its own, on the worker's loop. It ends by raising: RemoteSessionError when the model
side is lost, CancelledError when the call is over.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import structlog

from bridge.call.again import Again
from bridge.call.agentlimits import NO_MORE_CALLS, AgentLimits
from bridge.call.deadair import DeadAir, Remedy
from bridge.call.history import History
from bridge.call.journal import Journal
from bridge.call.keypad import Keypad
from bridge.call.opening import WHISPER, Opening
from bridge.call.tooldesk import ToolDesk
from bridge.call.transcript import Transcript
from bridge.call.turn import (
    AgentAudio,
    AgentSilent,
    CallerPressed,
    CallerSpoke,
    ClearPlayout,
    Cut,
    DeleteItem,
    DropLateAudio,
    ReportBargeIn,
    TruncateItem,
    Turn,
    TurnEvent,
)
from bridge.call.uplink import Uplink
from bridge.errors import FailureKind, RemoteSessionError
from bridge.media.codec import ModelAudio
from bridge.media.playout import ItemFinished, ItemStarted, PlayoutEvent, Underrun
from bridge.realtime import events as rt
from bridge.realtime.session import Session
from bridge.realtime.transport import Transport
from bridge.sip.port import AudioPort

log = structlog.get_logger(__name__)

KEYPAD_WORDS = "The caller pressed {digits} on the keypad."


class Conversation:
    """`run()` talks until the session or the call ends.

    `ready`: the session is up. `speaking`: the agent can be heard. `caller_speaks`: as the model hears. `opening`: what
    it begins with, instead of a greeting. With `takes_over` it stays still, when it is up, until `begin`.
    """

    def __init__(  # noqa: PLR0913  # the pieces of a conversation
        self,
        audio: AudioPort,
        session: Session,
        transport: Transport,
        journal: Journal,
        history: History,
        tools: ToolDesk,
        *,
        barge_in: bool,
        patience_s: float,
        limits: AgentLimits | None = None,
        takes_over: bool = False,
        opening: Callable[[], Opening | None] = lambda: None,
    ) -> None:
        self.ready = asyncio.Event()
        self.speaking = asyncio.Event()
        self._created_s = time.monotonic()
        self._audio = audio
        self._session = session
        self._transport = transport
        self._journal = journal
        self._history = history
        self._tools = tools
        self._codec = ModelAudio(session.config.output_format, audio.rate_hz)
        self._line = Uplink(audio, self._codec, transport)
        self._turn = Turn(barge_in=barge_in)
        self._keypad = Keypad()
        self._dead_air = DeadAir(patience_s)
        self.caller_speaks = False
        self._barge_in = barge_in
        self._times_changed = asyncio.Event()
        self._outgoing = asyncio.Event()
        self._answered = asyncio.Event()
        self._again = Again()
        self._cut_short: set[str] = set()
        self._transcript = Transcript(journal, history, tools)
        self._limits = limits or AgentLimits()
        self._takes_over = takes_over
        self._opening = opening
        self._left = False

    async def run(self) -> None:
        """Until cancelled. Raises RemoteSessionError (in an exception group) when the model side fails for good."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._downlink())
            tasks.create_task(self._send_wishes())
            tasks.create_task(self._uplink())
            tasks.create_task(self._keep_time())

    def answered(self) -> None:
        """The caller hears us now: from here on the caller's audio counts."""
        self._answered.set()

    @property
    def busy(self) -> bool:
        """Whether the model is at an answer."""
        return self._session.response_active

    def begin(self, opening: Opening | None) -> None:
        """Have the caller, from now on: call functions, and say what there is to say first."""
        self._tools.bind(self._session, self._outgoing.set)
        if not self._audio.silent:  # of the one before: the caller may interrupt that too
            self._take_turn(AgentAudio(), time.monotonic())
        if opening is not None:
            self._session.send_user_text(opening.facts, role="system")
            self._session.say(opening.order)
        elif self._session.config.greeting:
            self._session.greet()
        else:
            self.speaking.set()
        self._outgoing.set()

    def leave(self) -> None:
        """Another conversation has the caller now. What this one said, and is still to be heard, stays."""
        self._left = True
        self._line.leave()
        self._tools.unbind()
        self._transcript.keep_unfinished()

    def say(self, order: str) -> None:
        """Have the agent say something when the floor is free; `order` is for the model."""
        self._session.say(order)
        self._outgoing.set()

    def whisper(self, words: str, *, at_once: bool) -> None:
        """Words of a supervisor to the model. `at_once`: it is to speak as soon as the floor is free."""
        self._history.add("supervisor", words)
        self._session.send_user_text(WHISPER.format(words=words), role="system")
        if at_once:
            self._session.request_response()
        self._outgoing.set()

    def abandon(self) -> None:
        """The session is over. What it still had to say is cut, and what it did say is remembered."""
        if self._left:
            return
        self._tools.unbind()
        cleared = self._audio.clear()
        for item_id in cleared.unheard:
            self._history.cut(item_id, 0)
        if cleared.item_id is not None:
            self._history.cut(cleared.item_id, cleared.heard_ms)
            facts = {"heard_ms": cleared.heard_ms, "interrupted": True}
            self._journal.note("agent.finished", item_id=cleared.item_id, **facts)
        self._transcript.keep_unfinished()

    def press(self, digit: str) -> None:
        """The caller pressed a key."""
        now = time.monotonic()
        if self._tools.confirming:
            self._tools.pressed(digit)
            return
        self._take_turn(CallerPressed(), now)
        if entry := self._keypad.press(digit, now):
            self._tell_digits(entry, now)
        self._times_changed.set()

    def played(self, event: PlayoutEvent) -> None:
        """The playout clock reports."""
        match event:
            case ItemStarted(item_id):
                self._journal.note("agent.started", item_id=item_id)
            case ItemFinished(item_id, heard_ms):
                cut_short = item_id in self._cut_short
                if cut_short:
                    self._cut_short.discard(item_id)
                    self._session.truncate(item_id, heard_ms)
                    self._outgoing.set()
                facts = {"heard_ms": heard_ms, "interrupted": cut_short}
                self._journal.note("agent.finished", item_id=item_id, **facts)
                self._tools.played(item_id, whole=not cut_short)
                if self._audio.silent:
                    self._take_turn(AgentSilent(), time.monotonic())
            case Underrun(item_id, ms):
                self._journal.note("underrun", item_id=item_id, ms=ms)

    # ---- the tasks ------------------------------------------------------------------------------------------

    async def _uplink(self) -> None:
        await self._answered.wait()
        await self._line.run()

    async def _downlink(self) -> None:
        while True:
            message = await self._transport.recv()
            now = time.monotonic()
            events = self._session.receive(message, now)
            for event in events:
                if (handler := _HANDLERS.get(type(event))) is not None:
                    handler(self, event, now)
            audio_alone = len(events) == 1 and isinstance(events[0], rt.AudioDelta)
            if not audio_alone:  # which gives nothing to send
                self._outgoing.set()

    async def _send_wishes(self) -> None:
        while True:
            asked_s, texts = self._session.asked_s, self._session.to_send(time.monotonic())
            if self._session.asked_s != asked_s and not self.caller_speaks:
                self._dead_air.asked(self._session.asked_s)
                self._times_changed.set()
            for text in texts:
                await self._transport.send(text)
            wake_s = self._session.wake_s
            try:
                async with asyncio.timeout(None if wake_s is None else max(wake_s - time.monotonic(), 0)):
                    await self._outgoing.wait()
            except TimeoutError:
                continue
            self._outgoing.clear()

    async def _keep_time(self) -> None:
        """What falls due without an event: digits after a pause, a failed response's next try, dead air."""
        while True:
            dues = (self._keypad.due_s, self._dead_air.due_s, self._again.due_s)
            due_s = min((due for due in dues if due is not None), default=None)
            try:
                async with asyncio.timeout(None if due_s is None else max(due_s - time.monotonic(), 0)):
                    await self._times_changed.wait()
                self._times_changed.clear()
            except TimeoutError:
                self._fall_due(time.monotonic())

    def _fall_due(self, now: float) -> None:
        if entry := self._keypad.poll(now):
            self._tell_digits(entry, now)
        if (lost := self._again.take(now)) is not None:
            self._session.retry(lost)
        remedy = self._dead_air.poll(now, answering=self._session.response_active)
        if remedy is Remedy.ASK_AGAIN:
            self._journal.note("error", where="model", code="dead_air", message="no answer yet, asked again")
            log.warning("dead_air", call_id=self._journal.call_id)
            self._session.request_response()
        elif remedy is Remedy.GIVE_UP:
            raise RemoteSessionError(FailureKind.RETRY, "silent_model", "no answer to the caller")
        self._outgoing.set()

    # ---- what the model side says ----------------------------------------------------------------------------

    def _ready(self, event: rt.SessionReady, now: float) -> None:
        ready_ms = round((now - self._created_s) * 1000, 1)
        self._journal.note("session.ready", session_id=event.session_id, model=event.model, ms=ready_ms)
        self.ready.set()
        if not self._takes_over:
            self.begin(self._opening())

    def _audio_delta(self, event: rt.AudioDelta, now: float) -> None:
        refused = self._audio.play(event.item_id, self._codec.decode(event.audio))
        self.speaking.set()
        self._limits.spoke()
        self._take_turn(AgentAudio(), now)
        if self._dead_air.heard(now + self._audio.queued_ms / 1000):
            self._times_changed.set()
        if refused:
            # The answer is longer than the playout may hold: better a cut answer than a deaf call.
            log.warning("playout.full", call_id=self._journal.call_id, refused_bytes=refused)
            self._cut_short.add(event.item_id)
            self._audio.finish(event.item_id)
            self._session.interrupted()

    def _speech_started(self, event: rt.SpeechStarted, now: float) -> None:
        self._journal.note("speech.started", item_id=event.item_id, audio_ms=event.audio_start_ms)
        self.caller_speaks = True
        self._tools.speech_started(event.item_id, now)
        self._dead_air.broken()
        self._take_turn(CallerSpoke(), now)

    def _speech_stopped(self, event: rt.SpeechStopped, now: float) -> None:
        self._journal.note("speech.stopped", item_id=event.item_id, audio_ms=event.audio_end_ms)
        self.caller_speaks = False
        detection = self._session.config.turn_detection
        if not (isinstance(detection, Mapping) and detection.get("create_response") is False):
            self._await_answer(now)

    def _transcription_failed(self, event: rt.TranscriptionFailed, _now: float) -> None:
        self._journal.note("error", where="transcription", code=event.code, message=event.message)

    def _transcription_usage(self, event: rt.TranscriptionUsage, _now: float) -> None:
        self._limits.spent(event.cost_usd)
        cost = None if event.cost_usd is None else float(event.cost_usd)
        self._journal.note("transcription", item_id=event.item_id, cost_usd=cost)

    def _function_call(self, event: rt.FunctionCall, now: float) -> None:
        arguments = self._tools.shown(event.name, event.arguments)
        self._journal.note("function_call", name=event.name, arguments=arguments, call_id=event.call_id)
        self._tools.called(event, now, "" if self._limits.tool_called() else NO_MORE_CALLS)

    def _approval(self, event: rt.McpApprovalRequested, now: float) -> None:
        self._journal.note("function_call", name=event.name, arguments=event.arguments, call_id=event.item_id)
        self._tools.approval_requested(event, now, "" if self._limits.tool_called() else NO_MORE_CALLS)

    def _response_ended(self, event: rt.ResponseEnded, now: float) -> None:
        report = event.report
        self._journal.response(report)
        self._limits.spent(report.cost_usd, report.usage.total)
        self._transcript.keep_unfinished()
        self._dead_air.answer_over()
        self._again.ended(report, now)
        self._times_changed.set()

    def _error(self, event: rt.SessionError, now: float) -> None:
        facts = {"code": event.code, "message": event.message, "kind": event.kind.value}
        self._journal.note("error", where="session", **facts)
        log.warning("session.error", call_id=self._journal.call_id, code=event.code, kind=event.kind.value)
        if event.ends_session or event.kind is FailureKind.FATAL:
            raise RemoteSessionError(event.kind, event.code, event.message)
        if event.wish:
            self._again.lost(event, now)
            self._times_changed.set()

    # ---- the floor -------------------------------------------------------------------------------------------

    def _take_turn(self, event: TurnEvent, now: float) -> None:
        waiting = deque([event])
        while waiting:
            for action in self._turn.receive(waiting.popleft(), now):
                self._outgoing.set()
                match action:
                    case ClearPlayout():
                        cleared = self._audio.clear()
                        waiting.append(
                            Cut(cleared.item_id, cleared.heard_ms, cleared.dropped_ms, cleared.unheard)
                        )
                    case DropLateAudio():
                        self._session.interrupted()
                        self._codec.reset_downlink()
                    case TruncateItem(item_id, heard_ms):
                        self._history.cut(item_id, heard_ms)
                        self._session.truncate(item_id, heard_ms)
                        self._tools.played(item_id, whole=False)
                        facts = {"heard_ms": heard_ms, "interrupted": True}
                        self._journal.note("agent.finished", item_id=item_id, **facts)
                    case DeleteItem(item_id):
                        self._history.cut(item_id, 0)
                        self._session.delete_item(item_id)
                    case ReportBargeIn():
                        self._journal.note(
                            "barge_in",
                            item_id=action.item_id,
                            heard_ms=action.heard_ms,
                            dropped_ms=action.dropped_ms,
                            stop_ms=round((time.monotonic() - now + action.stop_s) * 1000, 1),
                        )

    def _await_answer(self, now: float) -> None:
        """It is the model's turn, unless the caller speaks: then the end of those words is waited for."""
        if not self.caller_speaks:
            self._dead_air.caller_finished(now)
            self._times_changed.set()

    def _tell_digits(self, digits: str, now: float) -> None:
        if self._barge_in:
            self._session.cancel_response()
        self._session.send_user_text(KEYPAD_WORDS.format(digits=" ".join(digits)))
        self._session.request_response()
        self._await_answer(now)
        self._outgoing.set()


_HANDLERS: Mapping[type, Callable[[Conversation, Any, float], None]] = MappingProxyType(
    {
        rt.SessionReady: Conversation._ready,  # noqa: SLF001  # the class's own table
        rt.AudioDelta: Conversation._audio_delta,  # noqa: SLF001
        rt.AudioDone: lambda talk, event, _now: talk._audio.finish(event.item_id),  # noqa: SLF001
        rt.SpeechStarted: Conversation._speech_started,  # noqa: SLF001
        rt.SpeechStopped: Conversation._speech_stopped,  # noqa: SLF001
        rt.UserTranscript: lambda talk, event, _now: talk._transcript.caller(event),  # noqa: SLF001
        rt.AgentTranscript: lambda talk, event, _now: talk._transcript.agent(event),  # noqa: SLF001
        rt.TranscriptionFailed: Conversation._transcription_failed,  # noqa: SLF001
        rt.TranscriptionUsage: Conversation._transcription_usage,  # noqa: SLF001
        rt.FunctionCall: Conversation._function_call,  # noqa: SLF001
        rt.McpApprovalRequested: Conversation._approval,  # noqa: SLF001
        rt.McpToolsListed: lambda talk, event, _now: talk._tools.listed(event),  # noqa: SLF001
        rt.ResponseEnded: Conversation._response_ended,  # noqa: SLF001
        rt.SessionError: Conversation._error,  # noqa: SLF001
    }
)
