"""Steps that ask the caller for something: a menu by key or word, digits. On the worker's loop."""

import asyncio
import contextlib

from bridge.call.context import CallContext, NotDoneError
from bridge.call.listening import Ear
from bridge.call.party import KeyLine
from bridge.call.tasks import either
from bridge.dialplan.steps import CollectStep, MenuStep

BETWEEN_DIGITS_S = 3.0
TERMINATOR_S = 2.0


async def menu(context: CallContext, step: MenuStep) -> None:
    """Ask for a key until a valid one comes, run its steps. Raises NotDoneError after the last try."""
    await context.caller.answer()
    pcm = await context.prompts(step.prompts)
    for attempt in range(1, step.tries + 1):
        key = await _key(context, pcm, step)
        chosen = key in step.options
        context.journal.note("menu", key=key, chosen=chosen, attempt=attempt)
        if chosen:
            await context.run(step.options[key])
            return
    raise NotDoneError("the caller made no choice")


async def _key(context: CallContext, pcm: bytes, step: MenuStep) -> str:
    """The key of an option, pressed or said while the prompt runs or in time after it; "" is none."""
    ear = Ear(context, step) if step.words else None
    with context.caller.keys() as keys:

        async def by_key() -> str:
            key = await context.caller.play_until_key(pcm, keys)
            while not key:
                key = await _next_key(keys, step.timeout_s)
                if ear is None or not ear.busy:
                    break
            return key

        if ear is None:
            return await by_key()
        key = await either(by_key(), ear.listen())
        return ear.option if key is None else key


async def collect(context: CallContext, step: CollectStep) -> None:
    """Take digits into a variable. Raises NotDoneError after the last try."""
    await context.caller.answer()
    pcm = await context.prompts(step.prompts)
    for attempt in range(1, step.tries + 1):
        digits = await _digits(context, pcm, step)
        context.journal.note("collect", into=step.into, digits=digits, attempt=attempt)
        if digits:
            context.set({step.into: digits})
            return
    raise NotDoneError("the caller did not type what was asked for")


async def _digits(context: CallContext, pcm: bytes, step: CollectStep) -> str:
    """One entry; "" when it was too short."""
    typed = ""
    with context.caller.keys() as keys:
        key = await context.caller.play_until_key(pcm, keys)
        while True:
            key = key or await _next_key(
                keys, BETWEEN_DIGITS_S if len(typed) >= step.least else step.timeout_s
            )
            if not key or key == step.terminator:
                break
            typed += key
            if len(typed) == step.most:
                context.caller.swallow(step.terminator, TERMINATOR_S)  # many press it out of habit
                break
            key = ""
    return typed if len(typed) >= step.least else ""


async def _next_key(keys: KeyLine, timeout_s: float) -> str:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(timeout_s):
            return await keys.get()
    return ""
