"""Commands on calls that live on another node: asked here, done there, answered here.

    CallsApi ─► Errands.ask ─► node_commands ─NOTIFY─► the other control's Errands.run ─► Commands.run ─► worker
         ◄────────────────────── answer ◄─NOTIFY──────────────────────────────┘

Each is done at most once, and not at all after its deadline: the other node looks at the clock of the database when it
begins. While nothing is heard (LISTEN is down) both sides look twice a second. A command carries a seal of the nodes'
common key: whoever can only write the database does nothing to a call. Runs on control's loop.
"""

import asyncio
import contextlib
import secrets
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any

import structlog

from bridge.approval.signing import seal, sealed
from bridge.control_nodes import NodeDesk
from bridge.errors import StoreError, ToolError, ToolLostError
from bridge.store.commandstore import ANSWER, COMMAND, CommandStore, Errand
from bridge.store.listen import CONNECTED
from bridge.store.store import Store

log = structlog.get_logger(__name__)

LOOK_S = 0.5
MAX_AT_ONCE = 64
MAX_KNOWN = 10_000
"""Commands that are remembered, so that a copy of one is not done."""
Run = Callable[[str, str, Mapping[str, Any]], Awaitable[Mapping[str, Any]]]


class Errands:
    """`run_here`: do a command with a call of this node (control_commands.Commands.run). `boots`: workers here.

    `key`: of the seal.
    """

    def __init__(
        self, store: Store, desk: NodeDesk, run_here: Run, boots: Callable[[], Collection[str]], key: bytes
    ) -> None:
        self._records = store
        self._store = CommandStore(store)
        self._desk = desk
        self._run_here = run_here
        self._boots = boots
        self._key = key
        self._known: deque[str] = deque(maxlen=MAX_KNOWN)
        self._asked = asyncio.Event()
        self._answers: dict[int, asyncio.Event] = {}
        self._tasks: asyncio.TaskGroup
        self._running = 0

    def told(self, topic: str, words: Mapping[str, Any]) -> None:
        """A word from another node."""
        if topic == CONNECTED or (topic == COMMAND and words.get("node") == self._desk.name):
            self._asked.set()
        if topic == ANSWER:
            waiting = self._answers.get(int(words.get("id", 0)))
            if waiting is not None:
                waiting.set()

    async def ask(
        self, node: str, call_id: str, kind: str, data: Mapping[str, Any], wait_s: float
    ) -> Mapping[str, Any]:
        """Have a call of another node do it. ToolError: it did not; ToolLostError: it is over; TimeoutError."""
        if node not in {row.name for row in self._desk.others()}:
            raise ToolError(f"the call's node {node or '(unnamed)'} is not there")
        words = {"data": dict(data), "once": secrets.token_hex(8)}
        words["seal"] = seal(self._key, _about(node, call_id, kind), words)
        number = await self._store.ask(node, call_id, kind, words, wait_s)
        woken = self._answers[number] = asyncio.Event()
        begun = False
        try:
            async with asyncio.timeout(wait_s):
                while True:
                    woken.clear()
                    begun, answer = await self._store.answer_of(number)
                    if answer is not None:
                        return _read(answer)
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(LOOK_S):
                            await woken.wait()
        except TimeoutError:
            if not begun and await self._store.withdraw(number):
                raise ToolError(
                    f"node {node} has not taken the command within {wait_s:g} s; it was not done"
                ) from None
            raise
        finally:
            del self._answers[number]

    async def run(self) -> None:
        """Do what others ask, until cancelled."""
        async with asyncio.TaskGroup() as self._tasks:
            while True:
                self._asked.clear()
                try:
                    if self._running < MAX_AT_ONCE:
                        for errand in await self._store.claim():
                            self._running += 1
                            self._tasks.create_task(self._do(errand))
                except StoreError as error:
                    log.debug("errands.store", reason=str(error))
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_S):
                        await self._asked.wait()

    async def _do(self, errand: Errand) -> None:
        facts = {"call_id": errand.call_id, "kind": errand.kind, "origin": errand.origin}
        try:
            answer = await self._outcome(errand)
            log.info("errand.done", **facts, ok=answer["ok"])
            await self._store.answer(errand.number, answer)
        except StoreError as error:
            log.warning("errand.not_answered", **facts, reason=str(error))
        finally:
            self._running -= 1

    async def _outcome(self, errand: Errand) -> dict[str, Any]:
        """Always an answer; `ok`, or `error` with `lost` when the call is over."""
        try:
            data = self._proved(errand)
            found = await self._records.find(errand.call_id)
            if not found or found[0].ended_at is not None:
                return {"ok": False, "error": "the call is over", "lost": True}
            if found[0].boot not in self._boots():
                return {"ok": False, "error": "the call's worker is not connected now"}
            async with asyncio.timeout(errand.left_s):
                return {
                    "ok": True,
                    "data": dict(await self._run_here(errand.call_id, errand.kind, data)),
                }
        except ToolLostError as error:
            return {"ok": False, "error": str(error), "lost": True}
        except (ToolError, StoreError) as error:
            return {"ok": False, "error": str(error)}
        except TimeoutError:
            return {"ok": False, "error": "the call has not answered in time; it may still do it"}

    def _proved(self, errand: Errand) -> Mapping[str, Any]:
        """What the command says. Raises ToolError: no node said it, or it was done already."""
        once, data = str(errand.data.get("once")), errand.data.get("data")
        about = _about(self._desk.name, errand.call_id, errand.kind)
        if not sealed(self._key, about, errand.data) or once in self._known or not isinstance(data, dict):
            log.warning("errand.not_ours", call_id=errand.call_id, kind=errand.kind, origin=errand.origin)
            raise ToolError("the command does not carry the bridge's seal")
        self._known.append(once)
        return data


def _about(node: str, call_id: str, kind: str) -> str:
    return f"command {node} {call_id} {kind}"


def _read(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    if answer.get("ok") is True:
        data = answer.get("data")
        return data if isinstance(data, dict) else {}
    words = str(answer.get("error") or "the call did not do it")[:300]
    raise ToolLostError(words) if answer.get("lost") else ToolError(words)
