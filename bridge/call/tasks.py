"""Two small helpers round asyncio's structured concurrency. They know nothing of calls."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from bridge.errors import BridgeError

E = TypeVar("E", bound=BaseException)
T = TypeVar("T")


async def outcome(coroutine: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
    """Run `coroutine` to its end and give the finished task, whatever became of it.

    Why not just await it: in Python 3.11 a TaskGroup inside it that is already failing swallows a cancellation
    of ours
    and raises its own error instead. Whoever handles that error would go on with a call that is over. Here a
    cancellation
    always comes through, and the coroutine has ended by then.
    """
    task = asyncio.create_task(coroutine)
    try:
        await asyncio.wait({task})
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait({task})
    return task


def first(group: BaseExceptionGroup[Any], kind: type[E]) -> E:
    """The first exception of `kind` in the group, however deep it is. BridgeError when there is none."""
    for error in group.exceptions:
        if isinstance(error, kind):
            return error
        if isinstance(error, BaseExceptionGroup) and error.subgroup(kind):
            return first(error, kind)
    raise BridgeError("an exception group without the exception it was caught for")
