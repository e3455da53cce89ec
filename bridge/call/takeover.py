"""A person takes the call over from the agent: the command warm_transfer of a tool, with a summary of the model's.

    model ─► tool warm_transfer ─► gate ─► CallCommand ─► the target is called and asked, while the agent talks on
        accepted ─► the agent's session ends, caller and target are connected      refused ─► the model is told why

On the worker's loop.
"""

import contextlib
import time
from collections.abc import Mapping
from typing import Any

from bridge.call.connecting import ask_target, talk
from bridge.call.context import CallContext, NotDoneError
from bridge.call.limits import Ending
from bridge.call.phrases import take_the_call
from bridge.call.secondleg import SecondLeg, second_leg
from bridge.call.talk import AgentTalk

RING_S = 30
ACCEPT_KEY = "1"
MAX_SUMMARY_CHARS = 1000


class TakeOver:
    """At most one at a time."""

    def __init__(self, context: CallContext, agent: AgentTalk) -> None:
        self._context = context
        self._agent = agent
        self._kept: contextlib.AsyncExitStack | None = None
        self._trying = False

    async def warm_transfer(self, data: Mapping[str, Any]) -> Mapping[str, Any]:
        """The command {target, summary}: back when the target has the caller. Raises NotDoneError."""
        if self._trying or self._kept is not None:
            raise NotDoneError("somebody is being called already")
        self._trying = True
        try:
            return await self._try(str(data.get("target", "")), str(data.get("summary", "")))
        finally:
            self._trying = False

    async def _try(self, target: str, summary: str) -> Mapping[str, Any]:
        context = self._context
        language, context.ordered_s = context.language, time.monotonic()
        pcm = await context.speech(summary[:MAX_SUMMARY_CHARS], language) if summary else b""
        pcm += await context.speech(take_the_call(ACCEPT_KEY, language), language)
        if not pcm:
            raise NotDoneError("the summary could not be spoken")
        async with contextlib.AsyncExitStack() as stack:
            other = await stack.enter_async_context(second_leg(context, target, ring_s=RING_S))
            await ask_target(context, other, ACCEPT_KEY, pcm)
            kept = self._kept = stack.pop_all()
        try:
            await self._agent.leave(lambda: self._connected(other))
        except NotDoneError:
            self._kept = None
            await kept.aclose()
            raise
        return {}

    async def _connected(self, other: SecondLeg) -> None:
        """In place of the agent's step, to the end of the call."""
        await self._context.caller.answer()
        await talk(self._context, other)
        await self._context.end(Ending(200, "transferred", f"{other.name} hung up"))

    async def close(self) -> None:
        """The call is over."""
        if self._kept is not None:
            kept, self._kept = self._kept, None
            await kept.aclose()
