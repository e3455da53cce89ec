"""Who has the caller: one agent's session as it is opened and closed, and the wish for another one. For talk.py."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bridge.call.context import NotDoneError
from bridge.call.conversation import Conversation
from bridge.call.tasks import outcome
from bridge.dialplan.agent import Agent


class LeftError(Exception):
    """The agent's session was ended for something else to have the caller: `then`, which goes on in its place.

    When `then` returns, `agent` (who had the caller) is to have them again.
    """

    def __init__(self, then: Callable[[], Awaitable[None]], agent: Agent) -> None:
        super().__init__("left")
        self.then = then
        self.agent = agent


@dataclass(slots=True)
class Seat:
    """One agent's session, from the moment it is opened. `before`: the agent it takes over from."""

    agent: Agent
    due_s: float
    before: str = ""
    up: asyncio.Event = field(default_factory=asyncio.Event)
    conversation: Conversation | None = None
    spoke: bool = False
    task: "asyncio.Task[Any] | None" = None


@dataclass(frozen=True, slots=True)
class Wish:
    """Another agent; or, without one, `then` in place of agents."""

    agent: Agent | None
    note: str
    done: "asyncio.Future[Mapping[str, Any]]"
    then: Callable[[], Awaitable[None]] | None = None


def refuse(wish: Wish | None) -> None:
    """The session that was to fulfil it is gone."""
    if wish is not None and not wish.done.done():
        wish.done.set_exception(NotDoneError("the connection was lost"))


def task_of(seat: Seat) -> "asyncio.Task[Any]":
    """What carries its session."""
    if seat.task is None:
        raise RuntimeError("the session was not begun")  # a bug of ours
    return seat.task


async def stop(seat: Seat) -> None:
    """End the session; as tasks.outcome, a cancellation of ours always comes through."""
    task = task_of(seat)
    if not task.done():
        task.cancel()
        await outcome(_ended(task))
    if not task.cancelled():
        task.exception()  # its own end is nobody's news any more


async def _ended(task: "asyncio.Task[Any]") -> None:
    await asyncio.wait({task})
