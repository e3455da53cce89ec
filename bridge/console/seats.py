"""The seats of this node: who listens and talks by their browser now. Each is a process (bridge/seat/process.py).

    page ─offer─► Seats.open ─► Order ─► process ─► answer ─► page          run: each process to its end
                                                                      session over, role gone, control gone: the end

Bounded in number, all and for one person. One process is kept ready for a while after a page with a seat was opened,
because loading aiortc takes a second. A process gets no environment of ours: no key, no password. On control's loop.
"""

import asyncio
import contextlib
import json
import os
import secrets
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import structlog

import bridge
from bridge.call.tasks import to_the_end
from bridge.errors import SeatError, StoreError
from bridge.seat.order import MAX_LINE_BYTES, Order
from bridge.store.userstore import User
from bridge.strictjson import encode

log = structlog.get_logger(__name__)

ANSWER_S = 20.0
LOOK_S = 3.0
SPARE_S = 120.0
END_S = 3.0
MOST_OF_ONE = 2
_KEPT = ("PATH", "LANG", "LC_ALL", "TZ", "HOME", "LD_LIBRARY_PATH")


class Sessions(Protocol):
    """The part of SessionStore that is used."""

    async def user(self, secret: str, now: float) -> User | None:
        """Whose session it is, while it is one."""


@dataclass(frozen=True, slots=True)
class SeatLimits:
    """`most` at a time on this node. `account`: uid, gid and groups that the processes run as; None: ours.

    `look_s`: how often it is looked whether people still may.
    """

    most: int = 8
    account: tuple[int, ...] | None = None
    program: tuple[str, ...] = (sys.executable, "-m", "bridge", "seat")
    look_s: float = LOOK_S


@dataclass(slots=True)
class Seat:
    """One person at their browser. `right`: what they need (MAY); `call_id`: the call, as soon as it is known."""

    id: str
    user: User
    secret: str
    right: str
    call_id: str = ""
    opened_s: float = field(default_factory=time.monotonic)
    answer: "asyncio.Future[str]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    process: asyncio.subprocess.Process | None = None
    over: asyncio.Event = field(default_factory=asyncio.Event)

    def end(self) -> None:
        """The end of its input is its end."""
        if self.process is not None and self.process.stdin is not None:
            self.process.stdin.close()

    def tell(self, words: Mapping[str, Any]) -> None:
        """Something for the page."""
        if (
            self.process is not None
            and self.process.stdin is not None
            and not self.process.stdin.is_closing()
        ):
            self.process.stdin.write(json.dumps(words).encode() + b"\n")


class Seats:
    """`open` and `find` for the pages; `run` as long as control. `may(user, right)`: whether they still may.

    `spare`: the process that is kept ready, if one is.
    """

    def __init__(self, sessions: Sessions, limits: SeatLimits, may: Callable[[User, str], bool]) -> None:
        self._sessions = sessions
        self.limits = limits
        self._may = may
        self._seats: dict[str, Seat] = {}
        self._jobs: asyncio.Queue[tuple[Seat, Order]] = asyncio.Queue()
        self.spare: asyncio.subprocess.Process | None = None
        self._spare_wanted = asyncio.Event()
        self._spare_until_s = 0.0
        self._running = False

    def reserve(self, user: User, secret: str, right: str) -> Seat:
        """A place, before anything is done for it; `open` or `forget` follows. Raises SeatError: all are taken."""
        if not self._running:
            raise SeatError("control is just starting, or ending")
        if sum(seat.user.name == user.name for seat in self._seats.values()) >= MOST_OF_ONE:
            raise SeatError("you listen or talk in other windows already: end that first", 429)
        if len(self._seats) >= self.limits.most:
            raise SeatError(f"all {self.limits.most} seats of this node are taken (console.seats)", 429)
        seat = Seat(secrets.token_hex(8), user, secret, right)
        self._seats[seat.id] = seat
        return seat

    async def open(self, seat: Seat, order: Order, within_s: float = ANSWER_S) -> str:
        """The SDP answer. Raises SeatError: it cannot be."""
        self._jobs.put_nowait((seat, order))
        try:
            async with asyncio.timeout(within_s):
                return await asyncio.shield(seat.answer)
        except TimeoutError:
            raise SeatError("the audio process did not start in time: the machine may be too busy") from None
        finally:
            if not seat.answer.done():
                seat.answer.cancel()
                seat.end()

    def forget(self, seat: Seat) -> None:
        """Give a place back that was not opened."""
        self._seats.pop(seat.id, None)
        seat.over.set()

    def find(self, seat_id: str, user: User) -> Seat:
        """The seat, if it is this person's. Raises SeatError."""
        seat = self._seats.get(seat_id)
        if seat is None or seat.user.name != user.name:
            raise SeatError("this window is connected no more", 404)
        return seat

    def of_id(self, seat_id: str) -> Seat | None:
        """Whoever's it is."""
        return self._seats.get(seat_id)

    def warm(self) -> None:
        """Somebody may want a seat soon."""
        self._spare_until_s = time.monotonic() + SPARE_S
        self._spare_wanted.set()

    @property
    def taken(self) -> int:
        """How many there are."""
        return len(self._seats)

    async def run(self) -> None:
        """Carry seats until cancelled; then all end."""
        self._running = True
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._watch())
                tasks.create_task(self._keep_spare())
                while True:
                    tasks.create_task(self._carry(*await self._jobs.get()))
        finally:
            self._running = False
            if self.spare is not None:
                await _ended(self.spare)

    # ---- one seat --------------------------------------------------------------------------------------------

    async def _carry(self, seat: Seat, order: Order) -> None:
        why = "the audio process has died"
        try:
            process = seat.process = await self._process()
            if process.stdin is None or process.stdout is None:
                raise RuntimeError("a process without pipes")  # a bug of ours
            process.stdin.write(json.dumps(encode(order)).encode() + b"\n")
            log.info("seat.taken", seat=seat.id[:8], user=seat.user.name, right=seat.right)
            if seat.answer.cancelled():
                seat.end()
            while line := await process.stdout.readline():
                words = _words(line)
                if "answer" in words and not seat.answer.done():
                    seat.answer.set_result(str(words["answer"]))
                why = str(words.get("over", why))
        except (OSError, ValueError) as error:
            why = f"the audio process does not work: {error}"
            log.warning("seat.failed", reason=str(error))
        finally:
            self.forget(seat)
            if not seat.answer.done():
                seat.answer.set_exception(SeatError(why))
                seat.answer.exception()  # whoever waits gets it; nobody may
            if seat.process is not None:
                await to_the_end(_ended(seat.process))
            seconds = round(time.monotonic() - seat.opened_s, 1)
            log.info("seat.left", seat=seat.id[:8], user=seat.user.name, why=why[:200], seconds=seconds)

    async def _process(self) -> asyncio.subprocess.Process:
        spare, self.spare = self.spare, None
        if spare is not None and spare.returncode is None:
            return spare
        return await self._start()

    async def _start(self) -> asyncio.subprocess.Process:
        who: dict[str, Any] = {}
        if self.limits.account is not None:
            uid, gid, *groups = self.limits.account
            who = {"user": uid, "group": gid, "extra_groups": groups}
        made = asyncio.create_task(self._made(who))
        try:
            return await asyncio.shield(made)
        except asyncio.CancelledError:  # half begun, it would be nobody's
            await _ended(await made)
            raise

    async def _made(self, who: Mapping[str, Any]) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *self.limits.program,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env={name: os.environ[name] for name in _KEPT if name in os.environ},
            cwd=Path(bridge.__file__).parents[1],
            limit=MAX_LINE_BYTES,
            start_new_session=True,  # a Ctrl-C in the terminal is control's to handle
            **who,
        )

    # ---- all of them -----------------------------------------------------------------------------------------

    async def _watch(self) -> None:
        """Who has signed out, or may not any more, neither hears nor speaks."""
        while True:
            await asyncio.sleep(self.limits.look_s)
            for seat in list(self._seats.values()):
                try:
                    user = await self._sessions.user(seat.secret, time.time())
                except StoreError:  # then it is looked at the next time
                    continue
                if user is None or not self._may(user, seat.right):
                    log.warning("seat.may_not", seat=seat.id[:8], user=seat.user.name)
                    seat.end()

    async def _keep_spare(self) -> None:
        while True:
            await self._spare_wanted.wait()
            self._spare_wanted.clear()
            try:
                while (left_s := self._spare_until_s - time.monotonic()) > 0:
                    if self.spare is None and len(self._seats) < self.limits.most:
                        self.spare = await self._start()
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(min(left_s, LOOK_S)):
                            await self._spare_wanted.wait()
                    self._spare_wanted.clear()
            except OSError as error:
                log.warning("seat.failed", reason=str(error))
            spare, self.spare = self.spare, None
            if spare is not None:
                await _ended(spare)


def _words(line: bytes) -> Mapping[str, Any]:
    """What a seat says; it talks with browsers, so that it may be anything. Raises ValueError."""
    try:
        words = json.loads(line)
    except RecursionError:
        raise ValueError("it nests too deep") from None
    if not isinstance(words, dict):
        raise ValueError("it is no object")  # noqa: TRY004  # a value from outside, not a mistake of ours
    return words


async def _ended(process: asyncio.subprocess.Process) -> None:
    """The end of its input, and if that is not enough, the end."""
    if process.stdin is not None:
        process.stdin.close()
    try:
        async with asyncio.timeout(END_S):
            await process.wait()
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
