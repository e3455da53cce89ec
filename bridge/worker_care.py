"""A bug in one call ends that call; a SIP thread that is dead ends the process. Runs on a worker's loop."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable
from typing import Protocol

import structlog

from bridge.errors import SipError

log = structlog.get_logger(__name__)

HEALTH_CHECK_S = 1.0
EDGE_KNOWS_S = 3.0  # an edge on another node hears of a drain by the store, and looks once a second
SICK_CHECKS = 2  # in a row: a process that was stopped for a while looks sick when it wakes, but only once


async def first_of(*events: asyncio.Event) -> None:
    """Wait until one of them is set."""
    waits = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for one in waits:
            one.cancel()


async def over(idle: asyncio.Event, hurried: asyncio.Event, at_least_s: float) -> None:
    """Wait until a worker that drains may go: it is idle, and the edge has had `at_least_s` to hear of it.

    Who is gone answers no INVITE with the 503 that sends it on to another worker. Hurried, it waits for nothing.
    """
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(at_least_s):
            await hurried.wait()
    await first_of(idle, hurried)


async def contained(work: Awaitable[object], call_id: str) -> bool:
    """Do what belongs to one call. A bug in it is that call's end, not that of the calls beside it; False then."""
    try:
        await work
    except Exception:
        log.exception("call.crashed", call_id=call_id)
        return False
    return True


class Busy:
    """How much is under way; `idle` is set while nothing is. `with busy:` for one thing, or `enter` and `leave`."""

    def __init__(self) -> None:
        self._count = 0
        self.idle = asyncio.Event()
        self.idle.set()

    def enter(self) -> None:
        """One more."""
        self._count += 1
        self.idle.clear()

    def leave(self) -> None:
        """One less."""
        self._count -= 1
        if not self._count:
            self.idle.set()

    def __enter__(self) -> None:
        self.enter()

    def __exit__(self, *_exit: object) -> None:
        self.leave()


class Patient(Protocol):
    """The part of SipAgent that `watch_health` looks at."""

    def problem(self, now: float) -> str:
        """What makes it useless; "" while it works."""


async def watch_health(agent: Patient, every_s: float = HEALTH_CHECK_S) -> None:
    """Raises SipError as soon as the SIP agent is of no more use; the process must be replaced then."""
    sick = 0
    while True:
        await asyncio.sleep(every_s)
        problem = agent.problem(time.monotonic())
        sick = sick + 1 if problem else 0
        if sick == SICK_CHECKS:
            log.critical("worker.unhealthy", reason=problem)
            raise SipError(500, problem)
