"""What a tool or an operator may have a call do: hang up, transfer, collect. The worker's side of CallCommand.

    control ──CallCommand──► CommandDesk ─► leg (BYE, REFER) · keys ──"tool.command_done"──► control

The agent finishes what it is saying first, unless an operator (`by`: their name) hangs up; a caller who speaks up
meanwhile is not hung up on. A transfer is blind (RFC 3515, RFC 5589 section 6): REFER to a target that the dialplan
names, never to one of the model's; the caller stays with the agent until the target has answered. Every command gets
exactly one answer, also when the call ends in the middle of it. On the worker's loop.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

import structlog

from bridge.call.context import NotDoneError
from bridge.call.journal import Journal
from bridge.call.offering import Request
from bridge.call.party import Party
from bridge.errors import LinkError, SipError
from bridge.sip.events import HangUpBy, TransferProgress

log = structlog.get_logger(__name__)

MAX_OPEN = 8
MAX_PROGRESS = 32
CONFIRM_WAIT_S = 3.0
FINISH_SAYING_S = 15.0
LOOK_S = 0.05
SILENT_FOR_S = 0.3  # the agent's next words may be on their way
TRANSFER_S = 40.0  # a target that rings longer has not answered
COLLECT_MOST_S = 120.0
MOST_HEARD_OUT = 2  # goodbyes that a voice may interrupt: music on the caller's side never ends
HEAR_OUT = "the caller is speaking and has not been hung up on: answer them, and end the call after that"
SHOWN = ("by", "target", "agent", "mode", "stop", "action", "now")
"""What the record says of an operator's command, beside its kind and how it went."""


Handler = Callable[[Mapping[str, Any]], Awaitable[Mapping[str, Any]]]


class Word(Protocol):
    """The part of link.messages.CallCommand that is used."""

    @property
    def command_id(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def data(self) -> Mapping[str, Any]: ...


class CommandDesk:
    """The commands of one call. `transfers`: target URI by name. `caller_speaks`: whether the model hears them now."""

    def __init__(
        self,
        caller: Party,
        transfers: Mapping[str, str],
        journal: Journal,
        request: Request,
        deadline_s: float,
        caller_speaks: Callable[[], bool] = bool,
    ) -> None:
        self._caller_speaks = caller_speaks
        self._heard_out = 0
        self._caller = caller
        self._leg = caller.leg
        self._transfers = transfers
        self._journal = journal
        self._request = request
        self._deadline_s = deadline_s
        self._queue: asyncio.Queue[Word] = asyncio.Queue(MAX_OPEN)
        self.progress: asyncio.Queue[TransferProgress] = asyncio.Queue(MAX_PROGRESS)
        self._open: dict[str, str] = {}
        self._referred = ""
        self._more: dict[str, Handler] = {}

    def add(self, kind: str, handler: Handler) -> None:
        """Carry out commands of this kind with `handler(data)`; it gives the answer or raises NotDoneError."""
        self._more[kind] = handler

    def take(self, word: Word) -> None:
        """A command of control. One too many is answered when there is room again; control has its own deadline."""
        if not self._queue.full():
            self._queue.put_nowait(word)

    def transfer_progress(self, event: TransferProgress) -> None:
        """What the caller's side says about the transfer (NOTIFY with message/sipfrag)."""
        if self.progress.full():
            self.progress.get_nowait()  # a peer that floods loses what is old
        self.progress.put_nowait(event)

    async def run(self) -> None:
        """As long as the call."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                tasks.create_task(self._carry_out(await self._queue.get()))

    async def call_over(self) -> None:
        """Answer what is still open. A caller who went after accepting the REFER is on their way to the target."""
        for command_id, kind in tuple(self._open.items()):
            done = command_id == self._referred
            answer = {"ok": True} if done else {"ok": False, "error": f"the call ended before the {kind}"}
            await self._tell(command_id, answer)

    async def _carry_out(self, word: Word) -> None:
        self._open[word.command_id] = word.kind
        handler = _HANDLERS.get(word.kind, CommandDesk._other)
        try:
            answer = {"ok": True, **await handler(self, word)}
        except NotDoneError as error:
            answer = {"ok": False, "error": str(error)}
        except (SipError, TimeoutError) as error:
            answer = {"ok": False, "error": str(error) or "the SIP side did not do it in time"}
        who = {key: word.data[key] for key in SHOWN if word.data.get("by") and key in word.data}
        self._journal.note(
            "command", kind=word.kind, **who, **{k: v for k, v in answer.items() if k != "digits"}
        )
        await self._tell(word.command_id, answer)
        if answer["ok"] and word.kind in {"hang_up", "transfer"}:
            by = HangUpBy.OPERATOR if word.data.get("by") else HangUpBy.AGENT
            reason = "transferred"
            if word.kind == "hang_up":
                reason = str(word.data.get("reason") or f"the {by.value} ended it")
            self._journal.closing(by)
            await self._leg.hang_up(by, 200, reason)

    async def _other(self, word: Word) -> Mapping[str, Any]:
        handler = self._more.get(word.kind)
        if handler is not None:
            return await handler(word.data)
        raise NotDoneError(f"there is no command {word.kind[:20]}")

    async def _hang_up(self, word: Word) -> Mapping[str, Any]:
        if not word.data.get("by") and await self._finish_saying() and self._heard_out < MOST_HEARD_OUT:
            self._heard_out += 1
            raise NotDoneError(HEAR_OUT)
        return {}

    async def _transfer(self, word: Word) -> Mapping[str, Any]:
        await self.transfer(str(word.data.get("target", "")), word.command_id)
        return {}

    async def transfer(
        self,
        name: str,
        command_id: str = "",
        headers: Mapping[str, str] | None = None,
        meanwhile: contextlib.AbstractAsyncContextManager[None] | None = None,
    ) -> None:
        """Hand the caller on. Returns when the target has answered. Raises NotDoneError, SipError.

        `meanwhile`: what the caller hears once they are referred, where nobody talks with them.
        """
        target = self._transfers.get(name)
        if target is None:
            known = ", ".join(sorted(self._transfers)) or "none"
            raise NotDoneError(f"there is no transfer target {name[:40]!r}; there are: {known}")
        ordered_s = time.monotonic()
        await self._finish_saying()
        after_ms = round((time.monotonic() - ordered_s) * 1000, 1)
        self._journal.note("transfer.started", target=name, after_ms=after_ms)
        while not self.progress.empty():  # late words about an earlier transfer
            self.progress.get_nowait()
        until_s = time.monotonic() + CONFIRM_WAIT_S
        while not await self._leg.transfer(target, headers or {}):
            # Legal only in a confirmed dialog, and the ACK of our answer may be on its way.
            if self._leg.ended or time.monotonic() >= until_s:
                raise NotDoneError("the call cannot be transferred now")
            await asyncio.sleep(LOOK_S)
        try:
            async with meanwhile or contextlib.nullcontext(), asyncio.timeout(TRANSFER_S):
                while True:
                    event = await self.progress.get()
                    if event.status < 300:
                        self._referred = command_id
                    if event.final:
                        break
        except TimeoutError:
            self._referred = ""
            raise NotDoneError("the target did not answer in time") from None
        if event.status >= 300:
            self._referred = ""
            raise NotDoneError(f"the target could not be reached: {event.status} {event.reason}")

    async def _collect(self, word: Word) -> Mapping[str, Any]:
        wanted, terminator = int(word.data["digits"]), str(word.data.get("terminator", ""))
        until_s = time.monotonic() + min(float(word.data["timeout_s"]), COLLECT_MOST_S)
        if self._caller.listening:
            raise NotDoneError("digits are being collected already")
        typed = ""
        with self._caller.keys() as keys:
            try:
                while len(typed) < wanted:
                    async with asyncio.timeout(max(until_s - time.monotonic(), 0)):
                        key = await keys.get()
                    if terminator and key == terminator:
                        break
                    typed += key
            except TimeoutError:
                if not typed:
                    raise NotDoneError("the caller typed nothing") from None
        return {"digits": typed}

    async def _finish_saying(self) -> bool:
        """Wait until the agent has been silent for a moment, but not for ever. True: the caller spoke meanwhile."""
        until_s = time.monotonic() + FINISH_SAYING_S
        silent_since_s: float | None = None
        spoke = False
        while (now := time.monotonic()) < until_s:
            spoke = spoke or self._caller_speaks()
            silent_since_s = (silent_since_s or now) if self._leg.audio.silent else None
            if silent_since_s is not None and now - silent_since_s >= SILENT_FOR_S:
                break
            await asyncio.sleep(LOOK_S)
        return spoke

    async def _tell(self, command_id: str, answer: Mapping[str, Any]) -> None:
        if self._open.pop(command_id, None) is None:
            return
        words = {"call_id": self._journal.call_id, "command_id": command_id, **answer}
        try:
            await self._request("tool.command_done", words, self._deadline_s)
        except LinkError as error:
            log.warning("command.not_told", reason=str(error))


_HANDLERS: Mapping[str, Any] = {
    "hang_up": CommandDesk._hang_up,  # noqa: SLF001  # the class's own table
    "transfer": CommandDesk._transfer,  # noqa: SLF001
    "collect": CommandDesk._collect,  # noqa: SLF001
}
