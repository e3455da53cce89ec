"""Runs the steps of a route: which function carries out which step, and what happens when one fails.

    steps ─► _ACTIONS[type] ─► done: the next one
                          └──► NotDoneError: its or_else, then the next one

A step that must not simply be passed over (an agent, a transfer) has steps of its own for that: the call ends with 503
and says why. On the worker's loop.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from typing import Any

import structlog

from bridge.call import asking, connecting, listening, parking, queueing, steptool
from bridge.call.context import CallContext, NotDoneError
from bridge.call.limits import Ending
from bridge.call.tooldesk import ToolDesk
from bridge.dialplan import steps as plan
from bridge.errors import LinkError, SipError

log = structlog.get_logger(__name__)

MAX_JUMPS = 100
NO_TARGET = (plan.HangUpStep(status=503, reason="the target cannot be reached"),)
NO_WAY_ON = (plan.HangUpStep(status=503, reason="the dialplan goes round in circles"),)
NO_FALLBACK = (plan.HangUpStep(status=503, reason="the agent is not available"),)
LAST_RESORT: Mapping[type[plan.Step], tuple[plan.Step, ...]] = {
    plan.AgentStep: NO_FALLBACK,
    plan.TransferStep: NO_TARGET,
    plan.WarmTransferStep: NO_TARGET,
    plan.GoStep: NO_WAY_ON,
}

WITH_PEOPLE = (plan.DialStep, plan.WarmTransferStep, plan.ConferenceStep, plan.QueueStep, plan.PickUpStep)
"""The caller talks with people in these: what the route says of recording comes first."""
TRANSFERS = (plan.DialStep, plan.WarmTransferStep, plan.ConferenceStep)
"""Somebody is called at once in these: how long that takes to begin is told."""

Talk = Callable[[str], Coroutine[Any, Any, None]]
Transfer = Callable[[plan.TransferStep], Awaitable[None]]


class _Jump(Exception):  # noqa: N818  # not an error: `go`
    def __init__(self, flow: str) -> None:
        super().__init__(flow)
        self.flow = flow


class StepRunner:
    """`talk(agent)` connects the caller with an agent, `transfer` refers the caller on; both raise NotDoneError."""

    def __init__(self, context: CallContext, desk: ToolDesk, talk: Talk, transfer: Transfer) -> None:
        self.context = context
        self.desk = desk
        self.talk = talk
        self.transfer = transfer
        self._running = False

    async def run(self, steps: Iterable[plan.Step]) -> None:
        """To the end of the list, or of the call."""
        if self._running:
            await self._run(steps)
            return
        self._running = True
        try:
            while True:
                try:
                    await self._run(steps)
                except _Jump as jump:  # from however deep: nothing of what led there follows
                    steps = self.context.plan.flows[jump.flow]
                else:
                    return
        finally:
            self._running = False

    async def _run(self, steps: Iterable[plan.Step]) -> None:
        for step in steps:
            self.context.ordered_s = time.monotonic() if isinstance(step, TRANSFERS) else None
            try:
                if isinstance(step, WITH_PEOPLE):
                    await self.context.before_people()
                await _ACTIONS[type(step)](self, step)
            except (NotDoneError, SipError, TimeoutError) as error:
                await self._failed(step, str(error) or "the SIP side did not do it in time")

    async def _failed(self, step: plan.Step, reason: str) -> None:
        context = self.context
        context.detail = reason
        context.journal.note("step.failed", step=step.TAG, reason=reason)
        log.warning("step.failed", call_id=context.call_id, step=step.TAG, reason=reason)
        await self.run(getattr(step, "or_else", ()) or LAST_RESORT.get(type(step), ()))
        context.detail = ""  # the call goes on: what failed before is not why it ends

    # ---- the simple ones -------------------------------------------------------------------------------------

    async def ring(self, step: plan.RingStep) -> None:
        """180, and the time it takes."""
        await self.context.caller.ring()
        await asyncio.sleep(step.ms / 1000)

    async def early_media(self, step: plan.EarlyMediaStep) -> None:
        """183, and the prompts."""
        pcm = await self.context.prompts(step.prompts)
        if await self.context.caller.early_media():
            await self.context.caller.play(pcm)

    async def prompt(self, step: plan.Prompt) -> None:
        """Answer and play."""
        pcm = await self.context.prompts((step,))
        if pcm:
            await self.context.caller.play_answered(pcm)

    async def hold(self, step: plan.HoldStep) -> None:
        """Music."""
        await self.context.caller.answer()
        async with self.context.caller.music(await self.context.music(step.music)):
            await asyncio.sleep(step.s)

    async def set(self, step: plan.SetStep) -> None:
        """Each value sees what was set before it."""
        for name, template in step.values.items():
            self.context.set({name: self.context.render(template)})

    async def switch(self, step: plan.SwitchStep) -> None:
        """The steps of the case."""
        value = self.context.render(step.on).strip().lower()
        self.context.journal.note("switch", value=value, chosen=value in step.cases)
        await self.run(step.cases.get(value, step.or_else))

    async def go(self, step: plan.GoStep) -> None:
        """On with a flow."""
        self.context.jumps += 1
        if self.context.jumps > MAX_JUMPS:
            raise NotDoneError(f"more than {MAX_JUMPS} jumps in one call")
        self.context.journal.note("flow", name=step.flow)
        raise _Jump(step.flow)

    async def callback(self, step: plan.CallbackStep) -> None:
        """Control's outbound rules decide; nothing is dialled from here."""
        context = self.context
        number = context.render(step.number).strip()
        wish = {"call_id": context.call_id, "number": number, "after_s": step.after_s}
        try:
            answer = await context.deps.request(
                "callback.request", wish, context.deps.config.deadlines.link_request_s
            )
        except LinkError as error:
            raise NotDoneError(f"the call back was not noted: {error}") from None
        refused = str(answer.get("refused") or "")
        context.journal.note("callback", accepted=not refused, after_s=step.after_s)
        if refused:
            raise NotDoneError(f"no call back: {refused}")

    async def end(self, step: plan.HangUpStep | plan.RejectStep) -> None:
        """No status: an ordinary end once answered, else 480 (RFC 3261 section 21.4.18)."""
        status = step.status
        if status is None:
            status = 200 if self.context.caller.answered else 480
        words = step.reason or ("Normal call clearing" if status == 200 else "Temporarily Unavailable")
        await self.context.end(Ending(status, words, self.context.detail))


Action = Callable[[StepRunner, Any], Awaitable[None]]

_ACTIONS: Mapping[type[plan.Step], Action] = {
    plan.RingStep: StepRunner.ring,
    plan.EarlyMediaStep: StepRunner.early_media,
    plan.AnswerStep: lambda runner, _: runner.context.caller.answer(),
    plan.SayStep: StepRunner.prompt,
    plan.PlayStep: StepRunner.prompt,
    plan.HoldStep: StepRunner.hold,
    plan.HangUpStep: StepRunner.end,
    plan.RejectStep: StepRunner.end,
    plan.AgentStep: lambda runner, step: runner.talk(step.agent),
    plan.MenuStep: lambda runner, step: asking.menu(runner.context, step),
    plan.CollectStep: lambda runner, step: asking.collect(runner.context, step),
    plan.SetStep: StepRunner.set,
    plan.SwitchStep: StepRunner.switch,
    plan.GoStep: StepRunner.go,
    plan.ToolStep: lambda runner, step: steptool.tool(runner.context, step, runner.desk),
    plan.VoicemailStep: lambda runner, step: listening.voicemail(runner.context, step),
    plan.TransferStep: lambda runner, step: runner.transfer(step),
    plan.DialStep: lambda runner, step: connecting.dial(runner.context, step),
    plan.WarmTransferStep: lambda runner, step: connecting.warm_transfer(runner.context, step),
    plan.ConferenceStep: lambda runner, step: connecting.conference(runner.context, step, runner.talk),
    plan.QueueStep: lambda runner, step: queueing.queue(runner.context, step),
    plan.ParkStep: lambda runner, step: parking.park(runner.context, step),
    plan.PickUpStep: lambda runner, step: parking.pick_up(runner.context, step),
    plan.CallbackStep: StepRunner.callback,
}
