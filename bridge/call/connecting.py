"""Steps that bring somebody else into the call: dial, warm transfer, conference.

The bridge stays between the parties, and mixes (media/mixer.py), unless a warm transfer says `release`. The caller
hears music until then. On the worker's loop.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from typing import Any

from bridge.call.context import CallContext, NotDoneError
from bridge.call.limits import Ending
from bridge.call.phrases import take_the_call
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
from bridge.media.mixer import Mixer

ACCEPT_S = 20.0
ASK_TIMES = 2
RELEASED_S = 10.0
RING_MARGIN_S = 5.0


async def dial(context: CallContext, step: DialStep) -> None:
    """Connect the caller with the first target that answers, until one of them hangs up."""
    if not context.caller.answered:
        rounds = 1 if step.together else len(step.targets)
        context.caller.let_ring(step.ring_s * rounds + RING_MARGIN_S)
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
    others, reasons = await _dial_all(context, step.targets, stack, step.headers)
    winner = await _first_to_answer(others, step.ring_s, reasons)
    context.journal.note("leg.answered", leg=winner.name, codec=winner.codec)
    for other in others:
        if other is not winner:
            await other.give_up()
    return winner


async def _dial_all(
    context: CallContext, names: Sequence[str], stack: contextlib.AsyncExitStack, headers: Mapping[str, str]
) -> tuple[list[SecondLeg], list[str]]:
    """INVITEs to all, and why some could not be sent. At the end of the stack all are given up, then closed."""
    others: list[SecondLeg] = []
    reasons = []
    for name in names:
        try:
            others.append(await stack.enter_async_context(dialling(context, name, headers)))
        except NotDoneError as error:
            reasons.append(str(error))

    async def give_up_all() -> None:
        for other in others:
            await other.give_up()

    stack.push_async_callback(give_up_all)
    return others, reasons


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
    context.with_people()
    async with connected(context.caller, other):
        await either(other.over.wait(), _look_after(context, other))


async def _look_after(context: CallContext, other: SecondLeg) -> None:
    """Until cancelled: keys go across, and a leg whose RTP has stopped is ended. The caller's own has its limits."""
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(pass_keys(context.caller, other))
        tasks.create_task(end_when_silent(other, context.deps.config.limits))


async def warm_transfer(context: CallContext, step: WarmTransferStep) -> None:
    """Tell the target who is coming; connect it when it accepts. The call ends when one of the two hangs up."""
    await context.caller.answer()
    summary = await context.speech(context.render(step.summary, step.language), step.language)
    # Spoken before anybody is called: who picks up must not hear silence.
    words = await context.speech(take_the_call(step.accept_key, step.language), step.language)
    if not (summary and words):
        raise NotDoneError("the summary could not be spoken")  # nobody takes a call that says nothing
    async with contextlib.AsyncExitStack() as stack:
        async with waiting(context, step.music):
            other = await stack.enter_async_context(second_leg(context, step.target, ring_s=step.ring_s))
            await ask_target(context, other, step.accept_key, words if step.spoken else summary + words)
        if step.spoken:
            async with connected(context.caller, other):
                await asyncio.gather(context.caller.play(summary), other.play(summary))
        if step.release:
            await release(context, other)
        await talk(context, other)
    await context.end(Ending(200, "transferred", f"{step.target} hung up"))


async def ask_target(context: CallContext, other: SecondLeg, accept_key: str, whisper: bytes) -> None:
    """Whisper, and wait for the key. Raises NotDoneError: refused, hung up, or no answer."""
    with other.keys() as keys:

        async def ask() -> str:
            for _ in range(ASK_TIMES):
                key = await other.play_until_key(whisper, keys)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(ACCEPT_S / ASK_TIMES):
                        return key or await keys.get()
            return ""

        key = await either(ask(), other.over.wait())
    context.journal.note("leg.asked", leg=other.name, accepted=key == accept_key)
    if key is None:
        raise NotDoneError(f"{other.name} hung up")
    if key != accept_key:
        raise NotDoneError(f"{other.name} {'refused' if key else 'did not accept'} the call")


async def release(context: CallContext, other: SecondLeg) -> None:
    """REFER the caller to the other's dialog (RFC 5589 section 7). When the caller's side cannot, the bridge stays."""
    progress = context.progress
    while not progress.empty():
        progress.get_nowait()
    try:
        if not await context.caller.leg.transfer_to(other.leg):
            return
    except (SipError, TimeoutError) as error:
        context.trouble("transfer", "not_released", str(error))
        return

    async def refused() -> str:
        while True:
            event = await progress.get()
            if event.final and event.status >= 300:
                return f"{event.status} {event.reason}"

    async with connected(context.caller, other):
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(RELEASED_S):
                # The caller's new call replaces ours: then the other hangs up.
                why = await either(refused(), other.over.wait())
                if why is not None:
                    context.trouble("transfer", "not_released", why)


async def conference(
    context: CallContext, step: ConferenceStep, with_agent: Callable[[str], Coroutine[Any, Any, None]]
) -> None:
    """Everybody who answers, the caller, and an agent if one is named. Ends with the last of those invited."""
    await context.caller.answer()
    async with contextlib.AsyncExitStack() as stack:
        async with waiting(context, ""):
            others, reasons = await _dial_all(context, step.targets, stack, {})
            await _first_to_answer(others, step.ring_s, reasons)
        mixer = await stack.enter_async_context(connected(context.caller))
        tasks = [asyncio.create_task(_take_part(context, mixer, other, step.ring_s)) for other in others]
        stack.push_async_callback(_cancel_all, tasks)
        context.with_people()
        context.journal.note("conference.started", legs=[other.name for other in others], refused=reasons)
        if step.agent:
            mixer.join("agent")
            context.caller.leg.audio.join(mixer, "party-0", voice="agent")
            await either(_all_done(tasks), _agent_in(context, step.agent, with_agent))
        await _all_done(tasks)


async def _agent_in(
    context: CallContext, name: str, with_agent: Callable[[str], Coroutine[Any, Any, None]]
) -> None:
    try:
        await with_agent(name)
    except NotDoneError as error:  # the people go on without it
        context.trouble("conference", "agent_lost", str(error))


async def _take_part(context: CallContext, mixer: Mixer, other: SecondLeg, ring_s: float) -> None:
    """One of those invited: from the answer to the end of their leg."""
    try:
        await answer_of(other, ring_s)
    except NotDoneError as error:
        context.trouble("conference", "not_joined", str(error))
        await other.give_up()
        return
    context.journal.note("leg.answered", leg=other.name, codec=other.codec)
    mixer.join(other.name)
    other.leg.audio.join(mixer, other.name)
    try:
        await either(other.over.wait(), end_when_silent(other, context.deps.config.limits))
    finally:
        other.leg.audio.leave()
        mixer.leave(other.name)


async def _all_done(tasks: "Sequence[asyncio.Task[None]]") -> None:
    await asyncio.wait(tasks)


async def _cancel_all(tasks: "Sequence[asyncio.Task[None]]") -> None:
    for task in tasks:
        await cancelled(task)
