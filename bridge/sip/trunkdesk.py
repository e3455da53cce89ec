"""Keeps the trunks of the plan in force usable: a small shell on the loop around one Upkeep a trunk. No rules.

worker ──use(trunks)──► TrunkDesk ──open, register, ask──► pj thread (accounts.py)
                           └──secret(trunk)──► control       ◄──registration, answered──┘
"""

import asyncio
import functools
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Protocol

import structlog

from bridge.beat import beat
from bridge.errors import BridgeError
from bridge.sip.upkeep import Do, Upkeep
from bridge.trunk import Credential, Trunk

log = structlog.get_logger(__name__)

LOOK_EVERY_S = 0.25
Secret = Callable[[Trunk], Awaitable[Credential]]
"""Asks control for a trunk's password; raises LinkError. It must have a deadline of its own."""


Submit = Callable[[Callable[[], None]], Awaitable[None]]
"""Runs something on the pj thread; raises what it raised, or TimeoutError."""


class Yard(Protocol):
    """The part of Accounts the desk needs, called on the pj thread."""

    def know(self, trunks: Iterable[Trunk]) -> None:
        """Calls from these are known."""

    def open(self, trunk: Trunk, credential: Credential | None, *, registers: bool) -> None:
        """Make its account. Raises SipError."""

    def close(self, name: str) -> None:
        """Its account goes when its calls are over."""

    def register(self, name: str) -> None:
        """REGISTER again."""

    def ask(self, name: str) -> None:
        """Send OPTIONS. Raises SipError."""


class TrunkDesk:
    """`run` goes on for as long as the agent lives; `use` may be called again at any time."""

    def __init__(self, yard: Yard, submit: Submit) -> None:
        self._yard = yard
        self._submit = submit
        self._secret: Secret | None = None
        self._lines: dict[str, Upkeep] = {}
        self._work: set[asyncio.Task[None]] = set()

    async def use(self, trunks: Sequence[Trunk], secret: Secret, *, register: bool) -> None:
        """The trunks in force from now on. One that did not change keeps its account and its registration."""
        await self._submit(lambda: self._yard.know(trunks))
        self._secret = secret
        now = time.monotonic()
        wanted = {trunk.name: trunk for trunk in trunks}
        for name in [name for name in self._lines if name not in wanted]:
            del self._lines[name]
            self._start(name, self._submit(functools.partial(self._yard.close, name)))
        for name, trunk in wanted.items():
            line = self._lines.get(name)
            if line is None or line.trunk.identity != trunk.identity:
                self._lines[name] = Upkeep(trunk, registers=register, now=now)
            else:
                line.follow(trunk, now, registers=register)

    async def run(self) -> None:
        """Do what is due, until cancelled."""
        try:
            while True:
                for name, line in self._lines.items():
                    do = line.due(time.monotonic())
                    if do is not None:
                        self._start(name, self._do(line, do))
                await beat(LOOK_EVERY_S)
        finally:
            for task in self._work:
                task.cancel()

    def registration(self, name: str, status: int, reason: str) -> None:
        """What became of a REGISTER."""
        line = self._lines.get(name)
        if line is None or not line.registration(status, reason, time.monotonic()):
            return
        if status == 200:
            log.info("trunk.registered", trunk=name)
        else:
            log.warning("trunk.not_registered", trunk=name, status=status, reason=reason)

    def answered(self, name: str, status: int) -> None:
        """What came to an OPTIONS."""
        line = self._lines.get(name)
        if line is None or not line.answered(status, time.monotonic()):
            return
        if line.facts.reachable:
            log.info("trunk.reachable", trunk=name, status=status)
        else:
            log.warning("trunk.unreachable", trunk=name, status=status)

    @property
    def facts(self) -> Mapping[str, Mapping[str, Any]]:
        """How each trunk is, by name: registered, reachable, problem."""
        return {name: asdict(line.facts) for name, line in self._lines.items()}

    def _start(self, name: str, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(self._contained(name, work))
        self._work.add(task)
        task.add_done_callback(self._work.discard)

    async def _contained(self, name: str, work: Awaitable[None]) -> None:
        try:
            await work
        except (BridgeError, TimeoutError) as error:
            log.warning("trunk.failed", trunk=name, reason=str(error) or "no answer of the SIP thread")
        except Exception:
            log.exception("trunk.crashed", trunk=name)

    async def _do(self, line: Upkeep, do: Do) -> None:
        name = line.trunk.name
        if do is Do.ASK:
            await self._submit(lambda: self._yard.ask(name))
        elif do is Do.OPEN:
            await self._open(line)
        else:
            await self._open(line)  # the password may be another by now
            await self._submit(lambda: self._yard.register(name))

    async def _open(self, line: Upkeep) -> None:
        trunk = line.trunk
        try:
            credential = None
            if trunk.digest is not None and self._secret is not None:
                credential = await self._secret(trunk)
            if self._lines.get(trunk.name) is line:
                await self._submit(lambda: self._yard.open(trunk, credential, registers=line.registers))
        except Exception as error:
            known = isinstance(error, BridgeError | TimeoutError)
            words = str(error) or "no answer in time"
            line.failed(words if known else "internal error", time.monotonic())
            raise
        line.opened(time.monotonic())
