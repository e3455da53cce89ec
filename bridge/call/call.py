"""One call, top to bottom: route it, run its steps, end it, and leave a complete record.

    INVITE ─► route ─► steps: ring · agent (or_else …) · say · play · hang_up · reject ─► end ─► record

`Call.run()` is one coroutine with one TaskGroup: the steps, and three watchers (the leg's events, the playout's, the
limits). The call is over when a HungUp arrives, whoever hung up; that cancels the rest. A step that loses the model
goes on with its `or_else`, so that a caller never falls into silence. Here sip, media, realtime and dialplan meet.
"""

import asyncio
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace

import structlog

from bridge.beat import beat
from bridge.call.callerside import CallerSide
from bridge.call.callfacts import call_facts, facts_of, seen, tool_facts
from bridge.call.commands import CommandDesk
from bridge.call.consolecall import admit
from bridge.call.context import CallContext, NotDoneError
from bridge.call.glimpse import Glimpse
from bridge.call.journal import Journal
from bridge.call.limits import Ending
from bridge.call.modelside import CallDeps
from bridge.call.outgoing import NO_ANSWER, CalledSide, Order, Outgoing
from bridge.call.recorded import Recorded
from bridge.call.recording import CallRecording
from bridge.call.seat import LeftError
from bridge.call.steps import StepRunner
from bridge.call.supervising import Supervision
from bridge.call.takeover import TakeOver
from bridge.call.talk import AgentTalk, Scope
from bridge.call.tasks import first
from bridge.call.tooldesk import ToolDesk
from bridge.dialplan.plan import Agent, Plan
from bridge.dialplan.steps import RejectStep, Step, TransferStep
from bridge.errors import DialplanError, SeatError, SipError
from bridge.media.amd import Verdict
from bridge.sip.events import (
    Confirmed,
    Dtmf,
    HangUpBy,
    Held,
    HungUp,
    Invite,
    MediaStarted,
    Replaced,
    Resumed,
    Ringing,
    TransferProgress,
)
from bridge.sip.leg import Leg

log = structlog.get_logger(__name__)

LIMIT_CHECK_S = 0.5
BYE_WAIT_S = 1.0  # a peer that does not answer our BYE keeps no record open


class CallOver(Exception):  # noqa: N818  # not an error: the normal end
    """The leg is over; carries how."""

    def __init__(self, end: HungUp) -> None:
        super().__init__(end.reason)
        self.end = end


class Call:
    """The life of one call on `leg`, by the plan in force when it came. Never raises but CancelledError.

    `order`: the call is one that we place; its INVITE is under way and its record begun.
    """

    def __init__(self, leg: Leg, plan: Plan, deps: CallDeps, order: Order | None = None) -> None:
        self.id = leg.id
        self._leg = leg
        self._plan = plan
        self._deps = deps
        self._config = deps.config
        self._journal = Journal(leg.id, deps.emit, leg.messages)
        self.glimpse = Glimpse(leg.id, leg.audio, deps.glimpse)
        self._journal.on_words = self.glimpse.words
        self._outgoing = Outgoing(leg, order, self._journal) if order else None
        facts = order.facts() if order else call_facts(leg, plan)
        self.caller = CallerSide(leg, self._journal, self._config.limits, self.end)
        if self._outgoing is not None:
            self.caller = CalledSide(self._outgoing, self._config.limits, self.end)
        self._recording = CallRecording(deps.config.recording, deps.recorder, leg.audio, self._journal)
        link_s = deps.config.deadlines.link_request_s
        who = tool_facts(facts, leg, deps.config.sip.verstat_from)
        if order:  # who is on the line, as the gate means it, is who we called
            who = {"caller": order.number, "called": order.rules.caller_id, "verstat": ""}
        self.tools = ToolDesk(deps.request, self._journal, who, link_s)
        self.commands = CommandDesk(
            self.caller,
            plan.transfers,
            self._journal,
            deps.request,
            link_s,
            lambda: self.talk.caller_speaks,
        )
        self.context = CallContext(
            plan, deps, self._journal, self.caller, facts, self.end, self._run_steps, self.commands.progress
        )
        self.steps = StepRunner(self.context, self.tools, self._run_agent, self._transfer)
        self.talk = AgentTalk(Scope(leg, plan, deps, self._journal, facts, self.tools), self)
        self._recorded = Recorded(self.context, self._recording)
        self._recorded.rule = order.recording if order else None
        self.context.before_people = self._recorded.prepare_people
        self.context.with_people = self._recorded.people
        self._take_over = TakeOver(self.context, self.talk)
        self.supervision = Supervision(self.context, self.talk)
        self.commands.add("ask_caller", self.tools.ask_caller)
        self.commands.add("hand_off", self.talk.hand_off)
        self.commands.add("recording", self._recorded.command)
        self.commands.add("warm_transfer", self._take_over.warm_transfer)
        self.commands.add("supervise", self.supervision.command)
        self.commands.add("take_over", self.supervision.take_over)
        self.commands.add("seat", self.supervision.command)
        self.commands.add("seat_take_over", self.supervision.take_over)
        self.commands.add("hand_back", self.supervision.hand_back)
        self.commands.add("whisper", self.talk.whisper)
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
            steps = self._outgoing.order.steps if self._outgoing else await self._route()
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._watch_leg())
                tasks.create_task(self._watch_playout())
                tasks.create_task(self._watch_limits())
                tasks.create_task(self.tools.run())
                tasks.create_task(self.commands.run())
                tasks.create_task(self.supervision.run())
                tasks.create_task(self.glimpse.run())
                tasks.create_task(
                    self._run_placed(self._outgoing, steps) if self._outgoing else self._run_route(steps)
                )
        except* CallOver as group:
            end = first(group, CallOver).end
        except* Exception as group:
            # The one place where a bug of ours ends one call instead of the worker; the log has the traceback.
            log.exception("call.crashed", exc_info=group)
            self.context.detail = repr(group.exceptions[0])[:200]
            await self._hang_up(end.status, end.reason)
        return end

    async def hang_up(self, status: int, reason: str, detail: str = "") -> None:
        """End the call from outside its steps (drain, an operator). The record says why."""
        self.context.detail = detail
        await self._hang_up(status, reason)

    async def _hang_up(self, status: int, reason: str) -> None:
        """The leg's end as far as it is ours.

        A SIP stack that cannot do it must not keep the call from its record.
        """
        self._journal.closing(HangUpBy.BRIDGE)
        try:
            await self._leg.hang_up(HangUpBy.BRIDGE, status, reason)
        except (SipError, TimeoutError) as error:
            log.warning("hang_up.failed", reason=str(error) or "no answer of the SIP thread")

    # ---- watchers --------------------------------------------------------------------------------------------

    async def _watch_leg(self) -> None:
        while True:
            event = await self._leg.next_event()
            match event:
                case HungUp(by):
                    self._journal.closing(by)
                    raise CallOver(event)
                case Held() | Resumed():
                    self._hold(isinstance(event, Held))
                case MediaStarted():
                    self._journal.media_started(event)
                case Dtmf(digit, method):
                    self._journal.note("dtmf", digit=digit, method=method.value, direction="in")
                    if not self.caller.press(digit):
                        self.talk.press(digit)
                case Replaced(invite):
                    self._replaced(invite)
                case TransferProgress():
                    self.commands.transfer_progress(event)
                case Ringing() | Confirmed() if self._outgoing is not None:
                    self._outgoing.take(event)

    def _hold(self, held: bool) -> None:
        self._leg.audio.pause(held)
        if self.caller.limits is not None:
            self.caller.limits.held(held, time.monotonic())
        self._journal.note("call.held" if held else "call.resumed")

    def _replaced(self, invite: Invite) -> None:
        """Another caller is on the line: what is known of the one before is not true of them."""
        self._journal.note("call.replaced", sip_call_id=invite.sip_call_id, source=invite.remote)
        facts = facts_of(invite, self._plan)
        self.context.facts = replace(
            self.context.facts,
            **{
                field: getattr(facts, field)
                for field in ("from_number", "from_raw", "from_name", "from_host")
            },
        )
        self.tools.caller_changed(facts.from_number)
        self._recorded.caller_changed()

    async def _watch_playout(self) -> None:
        while True:
            for event in await self._leg.audio.playout_events():
                if not self.caller.played(event):
                    self.talk.played(event)

    async def _watch_limits(self) -> None:
        ring_until_s = self._came_s + self._config.limits.ring_max_s
        while True:
            await beat(LIMIT_CHECK_S)
            now = time.monotonic()
            if self.caller.limits is not None:
                media = self._leg.media
                only_listens = media is not None and not media.peer_sends
                last_rx_s = None if only_listens else self._leg.audio.last_rx_s
                ending = self.caller.limits.check(last_rx_s, now)
            elif now >= max(ring_until_s, self.caller.rings_until_s) and self._outgoing is None:
                ending = Ending(
                    480, "ring_timeout", f"not answered within {self._config.limits.ring_max_s} s"
                )
            else:
                ending = None
            if ending is not None:
                await self.end(ending)

    # ---- steps -----------------------------------------------------------------------------------------------

    async def _route(self) -> tuple[Step, ...]:
        """The steps for this call. A call that fits no route is refused with 404 and leaves a record too."""
        try:
            await admit(self._leg.invite, self._deps, self._journal)
            who = (self.id, self._config.index)
            route = await self._deps.occupancy.route(self._plan, self.context.facts, who, self._deps.request)
        except SeatError as error:
            self._started("")
            self.context.detail = str(error)
            return (RejectStep(status=403, reason="not from the console"),)
        except DialplanError as error:
            self._started("")
            self.context.detail = str(error)
            return (RejectStep(status=404, reason="no route fits this call"),)
        self._started(route.name)
        self._recorded.rule = route.recording
        return route.steps

    async def _run_steps(self, steps: Iterable[Step]) -> None:
        await self.steps.run(steps)

    def _started(self, route: str) -> None:
        self._journal.started(
            self._leg.invite,
            route=route,
            plan_version=self._plan.version,
            worker=self._config.name,
            seen=seen(self.context.facts),
        )
        log.info(
            "call.started", route=route, plan=self._plan.version, pii_from=self.context.facts.from_number
        )

    async def _run_placed(self, out: Outgoing, steps: tuple[Step, ...]) -> None:
        """A call that we place: its steps run while it rings, and are heard when the right one has answered."""
        async with asyncio.TaskGroup() as tasks:
            talk = tasks.create_task(self._run_route(steps))
            if not await out.answered():
                await self.end(Ending(487, NO_ANSWER, f"not answered within {out.order.rules.ring_s} s"))
            machine = await out.who() is Verdict.MACHINE
            if machine and out.order.rules.on_machine == "hang_up":
                await self.end(Ending(200, "machine", "a machine has answered"))
            if machine and out.order.rules.on_machine == "leave_message":
                talk.cancel()
                await asyncio.wait({talk})
                await out.message_moment()
                steps = out.order.rules.message
                tasks.create_task(self._run_route(steps))
            out.may_talk.set()

    async def _run_route(self, steps: tuple[Step, ...]) -> None:
        await self.steps.run(steps)
        await self.end(Ending(200, "dialplan_end", "the route has no more steps"))

    async def _transfer(self, step: TransferStep) -> None:
        await self.caller.answer()
        headers = {name: self.context.render(value) for name, value in step.headers.items()}
        music = self.caller.music(await self.context.music(""))
        await self.commands.transfer(step.target, headers=headers, meanwhile=music)
        await self.end(Ending(200, "transferred", ""))

    async def end(self, ending: Ending) -> None:
        """Hang up and wait for the leg's own end; a peer that says nothing to our BYE is not waited for."""
        self.context.detail = ending.detail
        await self._hang_up(ending.status, ending.reason)
        await asyncio.sleep(BYE_WAIT_S)
        raise CallOver(HungUp(HangUpBy.BRIDGE, ending.status, ending.reason))

    # ---- the agent -------------------------------------------------------------------------------------------

    async def _run_agent(self, name: str) -> None:
        """Talk with an agent until the call ends. Raises NotDoneError when its model is lost for good.

        Who took the caller from the agent may give them back: then the one who had them last goes on. When that one
        cannot, and who gave them back is still there, they have them on.
        """
        agent = self._plan.agent(name)
        while True:
            try:
                failure = await self.talk.run(agent)
            except LeftError as left:
                agent, then = left.agent, left.then
            else:
                kept = self.supervision.kept()
                if kept is None:
                    raise NotDoneError(f"{failure.code}: {failure.message}")
                then = kept
            finally:
                if self.caller.limits is not None:
                    self.caller.limits.restore()
            await then()

    @property
    def detail(self) -> str:
        """Words for the record's end: talk.Host."""
        return self.context.detail

    @detail.setter
    def detail(self, words: str) -> None:
        self.context.detail = words

    @property
    def answered_s(self) -> float | None:
        """When the call was answered: talk.Host."""
        return None if self.caller.limits is None else self.caller.limits.answered_s

    @property
    def variables(self) -> Mapping[str, str]:
        """What steps have found out: talk.Host."""
        return self.context.facts.vars

    async def prepare(self, agent: Agent) -> None:
        """What the caller has to be told or asked before this agent: talk.Host."""
        self.context.language = agent.language
        await self._recorded.prepare(agent)

    async def ring(self) -> None:
        """180, once: talk.Host."""
        await self.caller.ring()

    async def heard(self, agent: Agent) -> None:
        """The agent's first word is there: talk.Host."""
        if self._outgoing is not None:  # ringing is not recorded
            await self._outgoing.may_talk.wait()
        self._recorded.heard(agent)
        await self.caller.answer()
        if self.caller.limits is not None and agent.max_call_s:
            self.caller.limits.shorten(agent.max_call_s)

    # ---- the end ---------------------------------------------------------------------------------------------

    async def _close(self, end: HungUp) -> None:
        self._leg.audio.stop()
        await self._take_over.close()
        await self.commands.call_over()
        await self._recording.close()
        dropped_ms = self._leg.audio.intake_dropped_ms
        self._journal.media(end.stats, intake_dropped_ms=dropped_ms, lost_digits=self._leg.dropped_events)
        self._journal.ended(end, self.context.detail)
        log.info(
            "call.ended", by=end.by.value, status=end.status, reason=end.reason, detail=self.context.detail
        )
        structlog.contextvars.unbind_contextvars("call_id")
