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


async def either(one: Coroutine[Any, Any, T], other: Coroutine[Any, Any, Any]) -> T | None:
    """Wait for whichever ends first; the other one is cancelled. The result of `one` if it ended, else None.

    What either raises comes through.
    """
    first_task, second_task = asyncio.create_task(one), asyncio.create_task(other)
    try:
        await asyncio.wait({first_task, second_task}, return_when=asyncio.FIRST_COMPLETED)
        if first_task.done():
            return first_task.result()
        second_task.result()
        return None
    finally:
        await cancelled(first_task)
        await cancelled(second_task)


async def cancelled(task: "asyncio.Task[Any]") -> None:
    """End a task and wait for it. A cancellation of ours still comes through; its own result or error is nobody's."""
    if not task.done():
        task.cancel()
        await asyncio.wait({task})
    if not task.cancelled():
        task.exception()


async def to_the_end(work: Coroutine[Any, Any, T]) -> T:
    """Carry `work` through even if we are cancelled meanwhile; the cancellation comes through afterwards.

    For what must not be left half done and is short: it has a deadline of its own.
    """
    task = asyncio.create_task(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        if not task.cancelled():
            task.exception()
        raise
