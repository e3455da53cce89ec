"""One call, top to bottom: route it, run its steps, end it, and leave a complete record.

    INVITE ─► route ─► steps: ring · agent (or_else …) · say · play · hang_up · reject ─► end ─► record

`Call.run()` is one coroutine with one TaskGroup: the steps, and three watchers (the leg's events, the
playout's, the limits).
The call is over when a HungUp arrives, whoever hung up; that cancels the rest. A step that loses the model
goes on with its
`or_else`, so that a caller never falls into silence. This is the only place where sip, media, realtime and
dialplan meet.
"""

import asyncio
import time
import wave
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import structlog

from bridge.call.agentsession import session_config
from bridge.call.conversation import Conversation
from bridge.call.history import History
from bridge.call.journal import Journal
from bridge.call.limits import CallLimits, Ending
from bridge.call.recovery import Recovery
from bridge.config import ProviderConfig, WorkerConfig
from bridge.dialplan.plan import (
    Agent,
    AgentStep,
    CallFacts,
    HangUpStep,
    Plan,
    PlayStep,
    RejectStep,
    RingStep,
    SayStep,
    Step,
)
from bridge.errors import (
    BridgeError,
    DialplanError,
    FailureKind,
    LinkError,
    MediaError,
    RemoteSessionError,
    SipError,
)
from bridge.media.playout import ItemFinished
from bridge.media.recorder import RecorderThread, Recording
from bridge.realtime.endpoint import endpoint
from bridge.realtime.session import Session
from bridge.realtime.transport import Transport
from bridge.realtime.usage import PriceTable
from bridge.realtime.websocket import Deadlines, connect
from bridge.sip.events import Dtmf, HangUpBy, Held, HungUp, MediaStarted, Resumed
from bridge.sip.leg import Leg

log = structlog.get_logger(__name__)
E = TypeVar("E", bound=BaseException)

LIMIT_CHECK_S = 0.5
BYE_WAIT_S = 1.0  # a peer that does not answer our BYE keeps no record open
PROMPT_PREFIX = "prompt:"
NO_FALLBACK = (HangUpStep(status=503, reason="the agent is not available"),)


class CallOver(Exception):  # noqa: N818  # not an error: the normal end
    """The leg is over; carries how."""

    def __init__(self, end: HungUp) -> None:
        super().__init__(end.reason)
        self.end = end


@dataclass(frozen=True, slots=True)
class CallDeps:
    """What every call of a worker shares. `request(kind, data, deadline_s)` asks control; raises LinkError.

    `connect(url, headers, deadlines)` opens the way to a model; raises RemoteSessionError.
    """

    config: WorkerConfig
    prices: PriceTable
    recorder: RecorderThread
    emit: Callable[[str, str, Mapping[str, Any]], None]
    request: Callable[[str, Mapping[str, Any], float], Awaitable[Mapping[str, Any]]]
    connect: Callable[[str, Mapping[str, str], Deadlines], Awaitable[Transport]] = connect


class Call:
    """The life of one inbound call on `leg`, by the plan in force when it came. Never raises but CancelledError."""

    def __init__(self, leg: Leg, plan: Plan, deps: CallDeps) -> None:
        self.id = leg.id
        self._leg = leg
        self._plan = plan
        self._deps = deps
        self._config = deps.config
        self._journal = Journal(leg.id, deps.emit)
        self._facts = call_facts(leg)
        self._conversation: Conversation | None = None
        self._limits: CallLimits | None = None
        self._recording: Recording | None = None
        self._prompts: dict[str, asyncio.Event] = {}
        self._history = History()
        self._detail = ""
        self._came_s = time.monotonic()

    async def run(self) -> None:
        """From the INVITE to the record's last event."""
        end = HungUp(HangUpBy.BRIDGE, 503, "shutdown")
        structlog.contextvars.bind_contextvars(call_id=self.id)
        try:
            end = await self._run()
        except asyncio.CancelledError:
            await self._leg.hang_up(end.by, end.status, end.reason)
            raise
        finally:
            await self._close(end)

    async def _run(self) -> HungUp:
        end = HungUp(HangUpBy.BRIDGE, 500, "internal error")
        try:
            route = self._route()
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._watch_leg())
                tasks.create_task(self._watch_playout())
                tasks.create_task(self._watch_limits())
                tasks.create_task(self._run_route(route))
        except* CallOver as group:
            end = _first(group, CallOver).end
        except* Exception as group:
            # The one place where a bug of ours ends one call instead of the worker; the log has the traceback.
            log.exception("call.failed", exc_info=group)
            self._detail = repr(group.exceptions[0])[:200]
            await self._leg.hang_up(end.by, end.status, end.reason)
        return end

    async def hang_up(self, status: int, reason: str, detail: str = "") -> None:
        """End the call from outside its steps (drain, an operator). The record says why."""
        self._detail = detail
        await self._leg.hang_up(HangUpBy.BRIDGE, status, reason)

    # ---- watchers --------------------------------------------------------------------------------------------

    async def _watch_leg(self) -> None:
        while True:
            event = await self._leg.next_event()
            match event:
                case HungUp():
                    raise CallOver(event)
                case Held() | Resumed():
                    held = isinstance(event, Held)
                    self._leg.audio.pause(held)
                    if self._limits is not None:
                        self._limits.held(held, time.monotonic())
                    self._journal.note("call.held" if held else "call.resumed")
                case MediaStarted():
                    self._journal.media_started(event)
                case Dtmf(digit, method):
                    self._journal.note("dtmf", digit=digit, method=method.value, direction="in")
                    if self._conversation is not None:
                        self._conversation.press(digit)

    async def _watch_playout(self) -> None:
        while True:
            for event in await self._leg.audio.playout_events():
                if event.item_id.startswith(PROMPT_PREFIX):
                    if isinstance(event, ItemFinished):
                        self._prompts[event.item_id].set()
                elif self._conversation is not None:
                    self._conversation.played(event)

    async def _watch_limits(self) -> None:
        ring_until_s = self._came_s + self._config.limits.ring_max_s
        while True:
            await asyncio.sleep(LIMIT_CHECK_S)
            now = time.monotonic()
            if self._limits is not None:
                ending = self._limits.check(self._leg.audio.last_rx_s, now)
            elif now >= ring_until_s:
                ending = Ending(
                    480, "ring_timeout", f"not answered within {self._config.limits.ring_max_s} s"
                )
            else:
                ending = None
            if ending is not None:
                await self._end(ending)

    # ---- steps -----------------------------------------------------------------------------------------------

    def _route(self) -> tuple[Step, ...]:
        """The steps for this call. A call that fits no route is refused with 404 and leaves a record too."""
        try:
            route = self._plan.route(self._facts)
        except DialplanError as error:
            self._started("")
            self._detail = str(error)
            return (RejectStep(status=404, reason="no route fits this call"),)
        self._started(route.name)
        return route.steps

    def _started(self, route: str) -> None:
        self._journal.started(
            self._leg.invite, route=route, plan_version=self._plan.version, worker=self._config.name
        )
        log.info("call.started", route=route, plan=self._plan.version, pii_from=self._facts.from_number)

    async def _run_route(self, steps: tuple[Step, ...]) -> None:
        await self._run_steps(steps)
        await self._end(Ending(200, "dialplan_end", "the route has no more steps"))

    async def _run_steps(self, steps: tuple[Step, ...]) -> None:
        for step in steps:
            match step:
                case RingStep(ms):
                    await self._ring()
                    await asyncio.sleep(ms / 1000)
                case SayStep(text, _language, prompt_id):
                    await self._play(Path(self._config.paths.prompt(prompt_id)), text)
                case PlayStep(path):
                    await self._play(Path(path), "")
                case HangUpStep(status, reason) | RejectStep(status, reason):
                    await self._end(self._ending(status, reason))
                case AgentStep():
                    await self._run_agent(step)

    async def _ring(self) -> None:
        if await self._leg.ring():
            self._journal.note("call.ringing")

    async def _answer(self) -> None:
        if self._limits is not None:
            return
        try:
            answered = await self._leg.answer()
        except SipError as error:  # an offer that pjsip let in and cannot answer, e.g. an unusable address
            self._journal.note("error", where="answer", code="sip", message=str(error))
            await self._end(Ending(488, "no_common_media", str(error)))
            return
        if not answered:
            await asyncio.Event().wait()  # the caller gave up: HungUp is on its way and ends this wait
        now = time.monotonic()
        self._limits = CallLimits(self._config.limits, now)
        media = self._leg.media
        self._journal.note(
            "call.answered",
            codec=media.codec if media else "",
            ptime_ms=media.ptime_ms if media else 0,
            remote_rtp=media.remote if media else "",
            answer_ms=round((now - self._came_s) * 1000, 1),
        )
        self._leg.audio.start()

    async def _play(self, path: Path, text: str) -> None:
        try:
            pcm = await asyncio.to_thread(_read_prompt, path)
        except (OSError, wave.Error, EOFError) as error:
            self._journal.note("error", where="prompt", code="unreadable", message=f"{path}: {error}")
            log.warning("prompt.unreadable", path=str(path), reason=str(error))
            return
        await self._answer()
        item_id = f"{PROMPT_PREFIX}{len(self._prompts)}"
        finished = self._prompts.setdefault(item_id, asyncio.Event())
        self._journal.note("prompt", text=text or path.name, ms=len(pcm) // 16)
        self._leg.audio.play(item_id, pcm)
        self._leg.audio.finish(item_id)
        if pcm:
            await finished.wait()

    def _ending(self, status: int | None, reason: str) -> Ending:
        """A step that names no status: a normal end once answered, else Temporarily Unavailable (RFC 3261 21.4.18)."""
        if status is None:
            status = 480 if self._limits is None else 200
        words = reason or ("Normal call clearing" if status == 200 else "Temporarily Unavailable")
        return Ending(status, words, self._detail)

    async def _end(self, ending: Ending) -> None:
        """Hang up and wait for the leg's own end; a peer that says nothing to our BYE is not waited for."""
        self._detail = ending.detail
        await self._leg.hang_up(HangUpBy.BRIDGE, ending.status, ending.reason)
        await asyncio.sleep(BYE_WAIT_S)
        raise CallOver(HungUp(HangUpBy.BRIDGE, ending.status, ending.reason))

    # ---- the agent -------------------------------------------------------------------------------------------

    async def _run_agent(self, step: AgentStep) -> None:
        agent = self._plan.agent(step.agent)
        recovery = Recovery()
        answer_due_s = time.monotonic() + self._config.deadlines.answer_wait_s
        while True:
            failure = await self._talk_until_failure(agent, answer_due_s)
            self._detail = f"{failure.code}: {failure.message}"
            self._journal.note("session.failed", code=failure.code, message=failure.message)
            now = time.monotonic()
            due_s = None if self._limits is not None else answer_due_s
            pause_s = recovery.after(failure, answer_due_s=due_s, now=now)
            facts = {"code": failure.code, "reason": failure.message, "kind": failure.kind.value}
            if pause_s is None:
                log.error("session.failed", **facts)
                break
            log.warning("session.retried", **facts, pause_s=pause_s)
            await asyncio.sleep(pause_s)
            if self._limits is not None:
                answer_due_s = time.monotonic() + self._config.deadlines.answer_wait_s
        await self._run_steps(step.or_else or NO_FALLBACK)

    async def _talk_until_failure(self, agent: Agent, answer_due_s: float) -> RemoteSessionError:
        """One session with the model. It ends only by its failure, or with the call."""
        failure: RemoteSessionError | None = None
        try:
            await self._talk(agent, answer_due_s)
        except* RemoteSessionError as group:
            failure = _first(group, RemoteSessionError)
        return failure or RemoteSessionError(FailureKind.RETRY, "ended", "the session ended without a word")

    async def _talk(self, agent: Agent, answer_due_s: float) -> None:
        config = self._config
        if self._limits is None:
            self._history = History()  # what a failed try said, nobody heard
        provider = config.provider(agent.provider)
        if provider is None or provider.url is None:
            raise RemoteSessionError(
                FailureKind.FATAL, "no_provider", f"agent {agent.name} has no usable provider"
            )
        now = datetime.now().astimezone()
        settings = session_config(agent, provider, config.media, self._facts, now)
        self._journal.note(
            "session.connecting", provider=provider.name, model=settings.model, agent=agent.name
        )
        await self._ring()
        headers = await self._credential(provider, settings.model)
        place = endpoint(provider.kind, provider.url, settings.model, headers.pop("key", ""))
        headers = {**place.headers, **headers}
        async with await self._deps.connect(place.url, headers, self._deadlines()) as transport:
            session = Session(settings, self._deps.prices)
            conversation = Conversation(
                self._leg.audio,
                session,
                transport,
                self._journal,
                self._history,
                barge_in=agent.barge_in,
                patience_s=config.deadlines.model_silence_s,
            )
            self._conversation = conversation
            try:
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(conversation.run())
                    tasks.create_task(self._answer_when_up(conversation, agent, answer_due_s))
            finally:
                self._conversation = None
                conversation.abandon()
                session.closed()

    async def _answer_when_up(self, conversation: Conversation, agent: Agent, answer_due_s: float) -> None:
        """The caller hears ringing until the agent's first word is there, then that word: no dead air."""
        ready_s = self._config.deadlines.session_ready_s
        try:
            async with asyncio.timeout(ready_s):
                await conversation.ready.wait()
        except TimeoutError:
            raise RemoteSessionError(
                FailureKind.RETRY, "ready_timeout", f"no session within {ready_s:g} s"
            ) from None
        try:
            async with asyncio.timeout(max(answer_due_s - time.monotonic(), 0)):
                await conversation.speaking.wait()
        except TimeoutError:
            wait_s = self._config.deadlines.answer_wait_s
            raise RemoteSessionError(
                FailureKind.RETRY, "silent_model", f"no speech within {wait_s:g} s"
            ) from None
        self._open_recording(agent)
        await self._answer()
        if self._limits is not None and agent.max_call_s:
            self._limits.shorten(agent.max_call_s)
        self._detail = ""
        conversation.answered()

    def _deadlines(self) -> Deadlines:
        chosen = self._config.deadlines
        return Deadlines(
            open_s=chosen.session_connect_s,
            send_s=chosen.send_s,
            ping_interval_s=chosen.ping_interval_s,
            ping_timeout_s=chosen.ping_timeout_s,
        )

    async def _credential(self, provider: ProviderConfig, model: str) -> dict[str, str]:
        """The session's key (under "key") and extra headers, fresh from control.

        Nothing when the provider needs none.
        """
        if provider.api_key_env is None and not provider.headers_env:
            return {}
        question = {"provider": provider.name, "model": model, "call_id": self.id}
        try:
            answer = await self._deps.request("credential", question, self._config.deadlines.link_request_s)
        except LinkError as error:
            kind = FailureKind.FATAL if error.fatal else FailureKind.RETRY
            raise RemoteSessionError(kind, "no_credential", str(error)) from error
        return {**answer.get("headers", {}), "key": str(answer.get("value", ""))}

    def _open_recording(self, agent: Agent) -> None:
        if self._recording is not None or not (self._config.recording.enabled and agent.recording):
            return
        day = datetime.now().astimezone().strftime("%Y-%m-%d")
        path = Path(self._config.recording.folder, day, f"{self.id}.wav")
        try:
            self._recording = self._deps.recorder.open(path)
            self._leg.audio.record(self._recording.write)
            # Said at once: the file of a call whose worker dies must be found too.
            self._journal.note("recording", path=str(path))
        except MediaError as error:
            self._journal.note("error", where="recording", code="unwritable", message=str(error))
            log.warning("recording.unwritable", path=str(path), reason=str(error))

    # ---- the end ---------------------------------------------------------------------------------------------

    async def _close(self, end: HungUp) -> None:
        self._leg.audio.stop()
        if self._recording is not None:
            facts = await asyncio.to_thread(self._recording.close)
            self._journal.note(
                "recording", path=str(facts.path), seconds=facts.seconds, dropped_ms=facts.dropped_ms
            )
        dropped_ms = self._leg.audio.intake_dropped_ms
        self._journal.media(end.stats, intake_dropped_ms=dropped_ms, lost_digits=self._leg.dropped_events)
        self._journal.ended(end, self._detail)
        log.info("call.ended", by=end.by.value, status=end.status, reason=end.reason, detail=self._detail)
        structlog.contextvars.unbind_contextvars("call_id")


def call_facts(leg: Leg) -> CallFacts:
    """What the dialplan may look at."""
    invite = leg.invite
    return CallFacts(
        to_number=invite.to_party.user,
        from_number=invite.caller.user,
        from_name=invite.caller.display,
        headers={name.lower(): value for name, value in invite.headers.items()},
        to_host=invite.to_party.host,
        from_host=invite.from_party.host,
    )


def _read_prompt(path: Path) -> bytes:
    with wave.open(str(path), "rb") as reader:
        if (reader.getframerate(), reader.getnchannels(), reader.getsampwidth()) != (8000, 1, 2):
            raise wave.Error("not 8 kHz, mono, 16 bit")
        return reader.readframes(reader.getnframes())


def _first(group: BaseExceptionGroup[Any], kind: type[E]) -> E:
    """The first exception of `kind`, however deep it is."""
    for error in group.exceptions:
        if isinstance(error, kind):
            return error
        if isinstance(error, BaseExceptionGroup):
            return _first(error, kind)
    raise BridgeError("an exception group without the exception it was caught for")
