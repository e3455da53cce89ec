"""Steps that bring somebody else into the call: dial, warm transfer, conference.

The bridge stays between the parties, and mixes (media/mixer.py), unless a warm transfer says `release`. The caller
hears music until then. On the worker's loop.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

from bridge.call.context import CallContext, NotDoneError
from bridge.call.limits import Ending
from bridge.call.secondleg import (
    SecondLeg,
    answer_of,
    connected,
    dialling,
    end_when_silent,
    pass_keys,
    second_leg,
)
from bridge.call.tasks import cancelled, either
from bridge.dialplan.steps import ConferenceStep, DialStep, WarmTransferStep
from bridge.errors import SipError

ACCEPT_S = 20.0
ASK_TIMES = 2
ASK_WORDS = "Press {key} to take the call, or any other key to refuse."


async def dial(context: CallContext, step: DialStep) -> None:
    """Connect the caller with the first target that answers, until one of them hangs up."""
    async with contextlib.AsyncExitStack() as stack:
        async with waiting(context, step.music):
            find = _race if step.together else _in_turn
            other = await find(context, step, stack)
            await context.caller.answer()
        await talk(context, other)


async def _in_turn(context: CallContext, step: DialStep, stack: contextlib.AsyncExitStack) -> SecondLeg:
    reasons = []
    for name in step.targets:
        try:
            leg = second_leg(context, name, ring_s=step.ring_s, headers=step.headers)
            return await stack.enter_async_context(leg)
        except NotDoneError as error:
            reasons.append(str(error))
    raise NotDoneError("; ".join(reasons))


async def _race(context: CallContext, step: DialStep, stack: contextlib.AsyncExitStack) -> SecondLeg:
    """All ring at once. The losers are cancelled before the winner is connected."""
    others, reasons = [], []
    for name in step.targets:
        try:
            others.append(await stack.enter_async_context(dialling(context, name, step.headers)))
        except NotDoneError as error:
            reasons.append(str(error))
    winner = await _first_to_answer(others, step.ring_s, reasons)
    context.journal.note("leg.answered", leg=winner.name, codec=winner.codec)
    for other in others:
        if other is not winner:
            await other.give_up()
    return winner


async def _first_to_answer(others: list[SecondLeg], ring_s: float, reasons: list[str]) -> SecondLeg:
    tasks = {asyncio.create_task(answer_of(other, ring_s)): other for other in others}
    try:
        waiting_for = {*tasks}
        while waiting_for:
            done, waiting_for = await asyncio.wait(waiting_for, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                error = task.exception()
                if error is None:
                    return tasks[task]
                reasons.append(str(error))
    finally:
        for task in tasks:
            await cancelled(task)
    raise NotDoneError("; ".join(reasons))


@contextlib.asynccontextmanager
async def waiting(context: CallContext, music: str) -> AsyncIterator[None]:
    """The caller hears music while something is tried; ringing, as long as the call is not answered."""
    if not context.caller.answered:
        await context.caller.ring()
        yield
        return
    async with context.caller.music(await context.music(music)):
        yield


async def talk(context: CallContext, other: SecondLeg) -> None:
    """Caller and other talk until one of them hangs up. The caller's hang-up ends the call, and thereby this."""
    context.journal.note("leg.connected", leg=other.name)
    async with connected(context.caller, other):
        await either(other.over.wait(), _look_after(context, other))


async def _look_after(context: CallContext, other: SecondLeg) -> None:
    """Until cancelled: keys go across, and a leg whose RTP has stopped is ended. The caller's own has its limits."""
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(pass_keys(context.caller, other))
        tasks.create_task(end_when_silent(other, context.deps.config.limits.rtp_timeout_s))


async def warm_transfer(context: CallContext, step: WarmTransferStep) -> None:
    """Tell the target who is coming; connect it when it accepts. The call ends when one of the two hangs up."""
    await context.caller.answer()
    summary = await context.speech(context.render(step.summary, step.language), step.language)
    if not summary:
        raise NotDoneError("the summary could not be spoken")  # nobody takes a call that says nothing
    async with contextlib.AsyncExitStack() as stack:
        async with waiting(context, step.music):
            other = await stack.enter_async_context(second_leg(context, step.target, ring_s=step.ring_s))
            await ask_target(context, other, step, summary)
        if step.spoken:
            async with connected(context.caller, other):
                await asyncio.gather(context.caller.play(summary), other.play(summary))
        if step.release:
            await release(context, other)
        await talk(context, other)
    await context.end(Ending(200, "transferred", f"{step.target} hung up"))


async def ask_target(context: CallContext, other: SecondLeg, step: WarmTransferStep, summary: bytes) -> None:
    """Whisper, and wait for the key. Raises NotDoneError: refused, hung up, or no answer."""
    words = await context.speech(ASK_WORDS.format(key=step.accept_key), step.language)
    whisper = words if step.spoken else summary + words
    with other.keys() as keys:

        async def ask() -> str:
            for _ in range(ASK_TIMES):
                key = await other.play_until_key(whisper, keys)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(ACCEPT_S / ASK_TIMES):
                        return key or await keys.get()
            return ""

        key = await either(ask(), other.over.wait())
    context.journal.note("leg.asked", leg=other.name, accepted=key == step.accept_key)
    if key is None:
        raise NotDoneError(f"{other.name} hung up")
    if key != step.accept_key:
        raise NotDoneError(f"{other.name} {'refused' if key else 'did not accept'} the call")


async def release(context: CallContext, other: SecondLeg) -> None:
    """REFER the caller to the other's dialog (RFC 5589 section 7); nobody waits for what becomes of it.

    The two talk through the bridge until the caller's new call replaces ours: for good when their side cannot do it.
    """
    try:
        await context.caller.leg.transfer_to(other.leg)
    except (SipError, TimeoutError) as error:
        context.trouble("transfer", "not_released", str(error))


async def conference(
    context: CallContext, step: ConferenceStep, with_agent: Callable[[str], Coroutine[Any, Any, None]]
) -> None:
    """Everybody who answers, the caller, and an agent if one is named. Ends with the last of those invited."""
    await context.caller.answer()
    async with contextlib.AsyncExitStack() as stack:
        others, reasons = [], []
        async with waiting(context, ""):
            for name in step.targets:
                try:
                    leg = second_leg(context, name, ring_s=step.ring_s)
                    others.append(await stack.enter_async_context(leg))
                except NotDoneError as error:
                    reasons.append(str(error))
        if not others:
            raise NotDoneError("; ".join(reasons))
        mixer = await stack.enter_async_context(connected(context.caller, *others))
        context.journal.note("conference.started", legs=[other.name for other in others], refused=reasons)
        if step.agent:
            mixer.join("agent")
            context.caller.leg.audio.join(mixer, "party-0", voice="agent")
            await either(_all_over(others), with_agent(step.agent))
        else:
            await _all_over(others)


async def _all_over(others: list[SecondLeg]) -> None:
    await asyncio.gather(*(other.over.wait() for other in others))
