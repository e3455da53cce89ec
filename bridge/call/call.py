"""One call, top to bottom: route it, run its steps, end it, and leave a complete record.

    INVITE ─► route ─► steps: ring · agent (or_else …) · say · play · hang_up · reject ─► end ─► record

`Call.run()` is one coroutine with one TaskGroup: the steps, and three watchers (the leg's events, the playout's, the
limits). The call is over when a HungUp arrives, whoever hung up; that cancels the rest. A step that loses the
model goes
on with its `or_else`, so that a caller never falls into silence. Here sip, media, realtime and dialplan meet.
"""

import asyncio
import time
from datetime import datetime
from pathlib import Path

import structlog

from bridge.call.agentsession import session_config
from bridge.call.commands import CommandDesk, NotDoneError
from bridge.call.conversation import Conversation
from bridge.call.history import History
from bridge.call.journal import Journal
from bridge.call.limits import CallLimits, Ending
from bridge.call.modelside import CallDeps, open_transport
from bridge.call.prompts import read_prompt
from bridge.call.recovery import Recovery
from bridge.call.tasks import first, outcome
from bridge.call.tooldesk import ToolDesk
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
    TransferStep,
)
from bridge.errors import DialplanError, FailureKind, MediaError, RemoteSessionError, SipError
from bridge.media.playout import ItemFinished
from bridge.media.recorder import Recording
from bridge.realtime.session import Session
from bridge.sip.events import Dtmf, HangUpBy, Held, HungUp, MediaStarted, Replaced, Resumed, TransferProgress
from bridge.sip.headers import verstat
from bridge.sip.leg import Leg

log = structlog.get_logger(__name__)

LIMIT_CHECK_S = 0.5
BYE_WAIT_S = 1.0  # a peer that does not answer our BYE keeps no record open
PROMPT_PREFIX = "prompt:"
PROMPT_FEED_S = 1.0
NO_TARGET = (HangUpStep(status=503, reason="the target cannot be reached"),)
NO_FALLBACK = (HangUpStep(status=503, reason="the agent is not available"),)


class CallOver(Exception):  # noqa: N818  # not an error: the normal end
    """The leg is over; carries how."""

    def __init__(self, end: HungUp) -> None:
        super().__init__(end.reason)
        self.end = end


class Call:
    """The life of one inbound call on `leg`, by the plan in force when it came. Never raises but CancelledError."""

    def __init__(self, leg: Leg, plan: Plan, deps: CallDeps) -> None:
        self.id = leg.id
        self._leg = leg
        self._plan = plan
        self._deps = deps
        self._config = deps.config
        self._journal = Journal(leg.id, deps.emit)
        self._facts = call_facts(leg, plan)
        self._conversation: Conversation | None = None
        self._limits: CallLimits | None = None
        self._recording: Recording | None = None
        self._prompts: dict[str, asyncio.Event] = {}
        self._history = History()
        link_s = deps.config.deadlines.link_request_s
        who = tool_facts(self._facts, leg, deps.config.sip.verstat_from)
        self.tools = ToolDesk(deps.request, self._journal, who, link_s)
        self.commands = CommandDesk(leg, plan.transfers, self._journal, deps.request, link_s)
        self._spoke = False
        self._detail = ""
        self._came_s = time.monotonic()

    async def run(self) -> None:
        """From the INVITE to the record's last event."""
        end = HungUp(HangUpBy.BRIDGE, 503, "shutdown")
        structlog.contextvars.bind_contextvars(call_id=self.id)
        try:
            end = await self._run()
        except asyncio.CancelledError:
            await self._hang_up(end.status, end.reason)
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
                tasks.create_task(self.tools.run())
                tasks.create_task(self.commands.run())
                tasks.create_task(self._run_route(route))
        except* CallOver as group:
            end = first(group, CallOver).end
        except* Exception as group:
            # The one place where a bug of ours ends one call instead of the worker; the log has the traceback.
            log.exception("call.failed", exc_info=group)
            self._detail = repr(group.exceptions[0])[:200]
            await self._hang_up(end.status, end.reason)
        return end

    async def hang_up(self, status: int, reason: str, detail: str = "") -> None:
        """End the call from outside its steps (drain, an operator). The record says why."""
        self._detail = detail
        await self._hang_up(status, reason)

    async def _hang_up(self, status: int, reason: str) -> None:
        """The leg's end as far as it is ours.

        A SIP stack that cannot do it must not keep the call from its record.
        """
        try:
            await self._leg.hang_up(HangUpBy.BRIDGE, status, reason)
        except (SipError, TimeoutError) as error:
            log.warning("hang_up.failed", reason=str(error) or "no answer of the SIP thread")

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
                    if not self.commands.press(digit) and self._conversation is not None:
                        self._conversation.press(digit)
                case Replaced(invite):
                    self._journal.note("call.replaced", sip_call_id=invite.sip_call_id, source=invite.source)
                case TransferProgress():
                    self.commands.transfer_progress(event)

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
                media = self._leg.media
                only_listens = media is not None and not media.peer_sends
                last_rx_s = None if only_listens else self._leg.audio.last_rx_s
                ending = self._limits.check(last_rx_s, now)
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
                case TransferStep():
                    await self._transfer(step)

    async def _transfer(self, step: TransferStep) -> None:
        await self._answer()
        try:
            await self.commands.transfer(step.target)
        except (NotDoneError, SipError) as error:
            self._detail = str(error)
            self._journal.note("error", where="transfer", code="not_transferred", message=str(error))
            log.warning("transfer.failed", target=step.target, reason=str(error))
            await self._run_steps(step.or_else or NO_TARGET)
        else:
            await self._end(Ending(200, "transferred", ""))

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
        self._limits.held(self._leg.held, now)
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
            pcm = await asyncio.to_thread(read_prompt, path)
        except MediaError as error:
            self._journal.note("error", where="prompt", code="unreadable", message=str(error))
            log.warning("prompt.unreadable", reason=str(error))
            return
        await self._answer()
        item_id = f"{PROMPT_PREFIX}{len(self._prompts)}"
        finished = self._prompts.setdefault(item_id, asyncio.Event())
        self._journal.note("prompt", text=text or path.name, ms=len(pcm) // 16)
        waiting = pcm
        # A prompt longer than the playout holds follows piece by piece; nobody tells when there is room again.
        while waiting := waiting[len(waiting) - self._leg.audio.play(item_id, waiting) :]:  # noqa: ASYNC110
            await asyncio.sleep(PROMPT_FEED_S)
        self._leg.audio.finish(item_id)
        if pcm:
            await finished.wait()

    def _ending(self, status: int | None, reason: str) -> Ending:
        """A step that names no status is a normal end once answered, else 480 (RFC 3261 section 21.4.18)."""
        if status is None:
            status = 480 if self._limits is None else 200
        words = reason or ("Normal call clearing" if status == 200 else "Temporarily Unavailable")
        return Ending(status, words, self._detail)

    async def _end(self, ending: Ending) -> None:
        """Hang up and wait for the leg's own end; a peer that says nothing to our BYE is not waited for."""
        self._detail = ending.detail
        await self._hang_up(ending.status, ending.reason)
        await asyncio.sleep(BYE_WAIT_S)
        raise CallOver(HungUp(HangUpBy.BRIDGE, ending.status, ending.reason))

    # ---- the agent -------------------------------------------------------------------------------------------

    async def _run_agent(self, step: AgentStep) -> None:
        agent = self._plan.agent(step.agent)
        recovery = Recovery(self._config.deadlines.answer_wait_s, time.monotonic())
        while True:
            failure, spoke = await self._talk_until_failure(agent, recovery.due_s)
            self._detail = f"{failure.code}: {failure.message}"
            self._journal.note("session.failed", code=failure.code, message=failure.message)
            pause_s = recovery.after(failure, spoke=spoke, now=time.monotonic())
            facts = {"code": failure.code, "reason": failure.message, "kind": failure.kind.value}
            if pause_s is None:
                log.error("session.failed", **facts)
                break
            log.warning("session.retried", **facts, pause_s=pause_s)
            await asyncio.sleep(pause_s)
        await self._run_steps(step.or_else or NO_FALLBACK)

    async def _talk_until_failure(self, agent: Agent, due_s: float) -> tuple[RemoteSessionError, bool]:
        """One session with the model: its failure, and whether it had been heard.

        It ends no other way, but with the call.
        """
        self._spoke = False
        talk = await outcome(self._talk(agent, due_s))
        failure = RemoteSessionError(FailureKind.RETRY, "ended", "the session ended without a word")
        try:
            talk.result()
        except* RemoteSessionError as group:
            failure = first(group, RemoteSessionError)
        return failure, self._spoke

    async def _talk(self, agent: Agent, due_s: float) -> None:
        config = self._config
        if self._limits is None:
            self._history = History()  # what a failed try said, nobody heard
        provider = config.provider(agent.provider)
        if provider is None or provider.url is None:
            raise RemoteSessionError(
                FailureKind.FATAL, "no_provider", f"agent {agent.name} has no usable provider"
            )
        now = datetime.now().astimezone()
        tools = await self.tools.offer(agent.name, agent.tools)
        settings = session_config(agent, provider, config.media, self._facts, now, tools)
        self._journal.note(
            "session.connecting", provider=provider.name, model=settings.model, agent=agent.name
        )
        await self._ring()
        async with await open_transport(self._deps, provider, settings.model, self.id, due_s) as transport:
            session = Session(settings, self._deps.prices)
            conversation = Conversation(
                self._leg.audio,
                session,
                transport,
                self._journal,
                self._history,
                self.tools,
                barge_in=agent.barge_in,
                patience_s=config.deadlines.model_silence_s,
            )
            self._conversation = conversation
            try:
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(conversation.run())
                    tasks.create_task(self._answer_when_up(conversation, agent, due_s))
            finally:
                self._conversation = None
                conversation.abandon()
                session.closed()

    async def _answer_when_up(self, conversation: Conversation, agent: Agent, due_s: float) -> None:
        """The caller hears ringing until the agent's first word is there, then that word: no dead air."""
        ready_s = self._config.deadlines.session_ready_s
        ready_due_s = min(time.monotonic() + ready_s, due_s)
        await _by(ready_due_s, conversation.ready, "ready_timeout", "no session in time")
        await _by(due_s, conversation.speaking, "silent_model", "no speech in time")
        self._spoke = True
        self._open_recording(agent)
        await self._answer()
        if self._limits is not None and agent.max_call_s:
            self._limits.shorten(agent.max_call_s)
        self._detail = ""
        conversation.answered()

    def _open_recording(self, agent: Agent) -> None:
        if self._recording is not None or not (self._config.recording.enabled and agent.recording):
            return
        day = datetime.now().astimezone().strftime("%Y-%m-%d")
        path = Path(self._config.recording.folder, day, f"{self.id}.wav")
        try:
            self._recording = self._deps.recorder.open(path, self.id)
            self._leg.audio.record(self._recording.write)
            # Said at once: the file of a call whose worker dies must be found too.
            self._journal.note("recording", path=str(path))
        except MediaError as error:
            self._journal.note("error", where="recording", code="unwritable", message=str(error))
            log.warning("recording.unwritable", path=str(path), reason=str(error))

    # ---- the end ---------------------------------------------------------------------------------------------

    async def _close(self, end: HungUp) -> None:
        self._leg.audio.stop()
        await self.commands.call_over()
        if self._recording is not None:
            facts = await asyncio.to_thread(self._recording.close)
            self._journal.recording(facts, self._leg.audio.recording_dropped_ms)
        dropped_ms = self._leg.audio.intake_dropped_ms
        self._journal.media(end.stats, intake_dropped_ms=dropped_ms, lost_digits=self._leg.dropped_events)
        self._journal.ended(end, self._detail)
        log.info("call.ended", by=end.by.value, status=end.status, reason=end.reason, detail=self._detail)
        structlog.contextvars.unbind_contextvars("call_id")


async def _by(due_s: float, event: asyncio.Event, code: str, words: str) -> None:
    """Wait for `event` until monotonic `due_s`; then the model side has failed with `code`."""
    try:
        async with asyncio.timeout(max(due_s - time.monotonic(), 0)):
            await event.wait()
    except TimeoutError:
        raise RemoteSessionError(FailureKind.RETRY, code, words) from None


def tool_facts(facts: CallFacts, leg: Leg, trusted: tuple[str, ...]) -> dict[str, str]:
    """Who is calling, as the gate wants to know it. The network's word; only a trusted trunk's verstat is more."""
    believed = leg.trunk is not None and leg.trunk.verstat
    word = verstat(leg.invite, trusted, trunk_trusted=believed)
    return {"caller": facts.from_number, "called": facts.to_number, "verstat": word}


def call_facts(leg: Leg, plan: Plan) -> CallFacts:
    """What the dialplan may look at. The clock is read once: a call does not change its mind at closing time."""
    invite = leg.invite
    return CallFacts(
        to_number=invite.called.user,
        from_number=invite.caller.user,
        from_name=invite.caller.display,
        headers={name.lower(): value for name, value in invite.headers.items()},
        to_host=invite.called.host,
        from_host=invite.from_party.host,
        open_hours=plan.open_at(datetime.now().astimezone()),
        trunk=invite.trunk,
    )
