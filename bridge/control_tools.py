"""Where function calls become actions: control's tool desk.

    worker ──tool.call──► check ─► policy ─► Gate ─► store ─► (run) ─► store ─► ToolUpdate ──► worker
    CLI, console ──decision──► store ──► Decisions ─► Gate ─┘       └─► Notifier ─► people

A shell around approval/gate.py: it does the gate's actions in the order given, and Store comes first, so what is not on
disk has not happened; what the store does not take is taken back in memory too. After a restart every open request goes
on where it was; one that was being executed is `unknown` unless its tool is idempotent. Runs on control's loop.
"""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from bridge.approval.gate import FINAL, Action, Execute, Gate, Notify, State, Store, Tell
from bridge.approval.outcome import (
    BAD_ARGUMENTS,
    CALL_OVER,
    GIVE_UP,
    NO_FUNCTION,
    NOT_PINNED,
    OTHER_CALL,
    function_output,
    refusal,
)
from bridge.approval.policy import Policy
from bridge.approval.request import Refused
from bridge.control_commands import Commands, ToolCall
from bridge.control_decisions import Decisions
from bridge.control_facts import facts_of, request_of, shown
from bridge.control_gates import Gates
from bridge.control_toolbox import ToolSource
from bridge.errors import LinkError, StoreError, ToolArgumentsError
from bridge.link.messages import Message, ToolUpdate
from bridge.store.gatestore import OPEN_STATES, GateStore
from bridge.store.userstore import UserStore
from bridge.toolbox.mcptools import pinned
from bridge.toolbox.run import ToolRunner, validate
from bridge.toolbox.spec import ToolContext, ToolSpec

log = structlog.get_logger(__name__)

LOOK_EVERY_S = 0.05  # for decisions and clocks while something waits: a caller is on the line
IDLE_LOOK_S = 1.0
STORE_AGAIN_S = (0.2, 5.0)  # an outcome that the store did not take is tried again, less and less often
SETTLED = FINAL | {State.UNKNOWN}
FORGET_S = 24 * 3600.0  # longer than any call
MAX_OVER = 10_000  # ended calls that are remembered, for what they still ask
MAX_REPAIRS = 3  # bad arguments in a row for one tool on one call; then the model is told to give up


@dataclass(frozen=True, slots=True)
class OfficeDeps:
    """What the tool desk works with. `tell` gets a message to the workers; `folder`: where tools keep their files.

    `notify(kind, group, gate)` tells people; `decision_key` seals decisions.
    """

    store: GateStore
    users: UserStore
    source: ToolSource
    folder: Path
    tell: Callable[[Message], None]
    notify: Callable[[str, str, Gate], None]
    decision_key: bytes


class ToolOffice:
    """The open requests, and what happens to them."""

    def __init__(self, deps: OfficeDeps) -> None:
        self._deps = deps
        self._store = deps.store
        self._source = deps.source
        self._decisions = Decisions(deps.store, deps.users, deps.source, deps.decision_key)
        self._commands = Commands(deps.tell)
        self._gates = Gates(deps.store, deps.decision_key)
        self._repairs: Counter[tuple[str, str]] = Counter()
        self._verified: dict[str, str] = {}
        self._runner = ToolRunner()
        self._opening = asyncio.Lock()
        self._ready, self._opened = asyncio.Event(), asyncio.Event()
        self._over: dict[str, None] = {}
        self._ended: set[str] = set()
        self._tasks: asyncio.TaskGroup

    async def run(self) -> None:
        """Until cancelled."""
        try:
            async with asyncio.TaskGroup() as self._tasks:
                await self._take_over()
                self._ready.set()
                await self._decisions.warn()
                while True:
                    await self._pause()
                    try:
                        await self._look(time.time())
                    except StoreError as error:
                        log.warning("tools.store", reason=str(error))
                    except Exception:  # a bug over one request must not be the end of all the others
                        log.exception("tools.look_failed")
        finally:
            self._runner.close()

    async def _pause(self) -> None:
        """Until there may be something to look at."""
        waits = any(gate.state not in SETTLED for gate in self._gates)
        self._opened.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LOOK_EVERY_S if waits else IDLE_LOOK_S):
                await self._opened.wait()

    # ---- what workers ask ------------------------------------------------------------------------------------

    async def answer(self, kind: str, data: Mapping[str, Any]) -> dict[str, Any]:
        """A worker's `tool.*` request. Raises LinkError for one that is none, StoreError: nothing was done.

        It is done to its end even when the worker that asked goes away: half a step is no state to be in.
        """
        handler = _ANSWERS.get(kind)
        if handler is None:
            raise LinkError(f"control knows no request {kind[:40]!r}")
        await self._ready.wait()  # what an earlier control left open comes first; the worker has a deadline
        answered: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._tasks.create_task(_fulfil(answered, handler(self, data)))
        return await answered

    async def _offer(self, data: Mapping[str, Any]) -> dict[str, Any]:
        tools = self._source.offer(str(name) for name in data.get("names", ()))
        hidden = {name: list(self._source.hidden(name)) for name in (one.get("name", "") for one in tools)}
        return {"tools": tools, "hidden": {name: names for name, names in hidden.items() if names}}

    async def _call(self, data: Mapping[str, Any]) -> dict[str, Any]:
        call_id, function_call_id = str(data["call_id"]), str(data["function_call_id"])
        spec, policy = self._source.tools.get(str(data["tool"])), self._source.policy
        by_provider = data.get("definition") is not None
        if spec is None or policy is None or by_provider != (spec.origin == "provider"):
            return refusal(NO_FUNCTION)
        if by_provider and not pinned(spec, data["definition"]):
            log.warning("mcp.definition_not_accepted", call_id=call_id, tool=spec.name)
            return refusal(NOT_PINNED)
        try:
            arguments = validate(spec, str(data.get("arguments", "")))
        except ToolArgumentsError as error:
            self._repairs[call_id, spec.name] += 1
            given_up = self._repairs[call_id, spec.name] > MAX_REPAIRS
            log.info("tool.bad_arguments", call_id=call_id, tool=spec.name, pii_reason=str(error)[:200])
            return refusal(GIVE_UP if given_up else BAD_ARGUMENTS.format(problem=error))
        self._repairs.pop((call_id, spec.name), None)
        async with self._opening:  # two half amounts asked for at once must see each other
            known = await self._gates.known(call_id, function_call_id)
            if known is None:
                return await self._open(spec, policy, arguments, data)
        same = known.request.tool == spec.name and dict(known.request.arguments) == arguments
        return self._news(known) if same else refusal(OTHER_CALL)

    async def _open(
        self, spec: ToolSpec, policy: Policy, arguments: Mapping[str, Any], data: Mapping[str, Any]
    ) -> dict[str, Any]:
        now = time.time()
        proof = {"verified_by": self._verified.get(str(data["call_id"]), "")}  # a worker cannot say so
        request = request_of(spec, policy, arguments, {**data, **proof}, now)
        ruling = policy.rule(await facts_of(self._store, request, now))
        if request.call_id in self._over:
            return refusal(CALL_OVER)
        gate, actions = Gate.open(request, ruling, now)
        facts = {
            "tool": spec.name,
            "request_id": request.request_id,
            "effect": ruling.effect,
            "rule": ruling.rule,
        }
        log.info("tool.requested", call_id=request.call_id, **facts, pii_arguments=shown(spec, arguments))
        self._gates.add(gate)
        async with self._gates.lock(gate):
            await self._do(gate, actions, tell=False)
        self._opened.set()
        return self._news(gate)

    async def _confirm(self, data: Mapping[str, Any]) -> dict[str, Any]:
        gate = self._gates.get(str(data["request_id"]))
        if gate is None or gate.request.call_id != data.get("call_id"):
            return {"taken": False}
        how = str(data.get("how", ""))[:200]
        async with self._gates.lock(gate):
            yes = data.get("yes") is True
            actions = gate.confirmed(time.time(), how) if yes else gate.refused_by_caller(how)
            return {"taken": await self._take(gate, actions)}

    async def _state(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Of a call; from the store too, where what an earlier control brought to its end still waits to be told."""
        call_id = str(data.get("call_id"))
        gates = {gate.request.request_id: gate for gate in await self._gates.stored(call_id)}
        gates |= {gate.request.request_id: gate for gate in self._gates.of_call(call_id)}
        return {"calls": {gate.request.function_call_id: self._news(gate) for gate in gates.values()}}

    async def _command_done(self, data: Mapping[str, Any]) -> dict[str, Any]:
        self._commands.done(data)
        return {}

    # ---- what else happens -----------------------------------------------------------------------------------

    async def calls_ended(self, call_ids: Iterable[str]) -> None:
        """These calls are over, whatever the reason. What the store does not take now is tried again."""
        self._ended.update(call_ids)
        self._over |= dict.fromkeys(self._ended)
        while len(self._over) > MAX_OVER:
            del self._over[next(iter(self._over))]
        self._commands.calls_ended(self._ended)
        try:
            await self._cancel_ended()
        except StoreError as error:
            log.warning("tools.store", reason=str(error))

    async def _cancel_ended(self) -> None:
        for call_id in tuple(self._ended):
            for gate in self._gates.of_call(call_id):
                async with self._gates.lock(gate):
                    await self._do(gate, gate.hung_up())
                    if gate.state not in OPEN_STATES:
                        self._gates.forget(gate)
            self._ended.discard(call_id)
            self._verified.pop(call_id, None)

    async def _take_over(self) -> None:
        """What an earlier control left open. A store that is locked is waited for."""
        while True:
            try:
                rows = await self._store.requests(OPEN_STATES, limit=100_000)
                ended = await self._store.ended([row.call_id for row in rows])
                break
            except StoreError as error:
                log.warning("tools.store", reason=str(error))
                await asyncio.sleep(IDLE_LOOK_S)
        for gate, proved in [found for row in rows if (found := self._gates.adopt(row)) is not None]:
            if not proved:
                self._settle_soon(gate, lambda it: it.distrusted("what the store gave back was changed"))
            elif gate.state is State.EXECUTING:
                self._settle_soon(gate, lambda it: it.crashed(time.time(), "control died while it ran"))
            elif gate.state is State.PENDING:
                self._deps.notify("asked", gate.reminded_group, gate)
        await self.calls_ended(ended)

    async def _look(self, now: float) -> None:
        for number, request_id, words in await self._store.open_decisions():
            await self._store.answer(number, await self._decide(request_id, words, now))
        await self._cancel_ended()
        for gate in self._gates:
            if gate.due_at is not None and now >= gate.due_at:
                async with self._gates.lock(gate):
                    await self._do(gate, gate.tick(now))
            elif gate.state is State.APPROVED:  # its start was not stored, or control died before it
                async with self._gates.lock(gate):
                    await self._start(gate)
            elif gate.state in FINAL and now - gate.request.requested_at > FORGET_S:
                self._gates.forget(gate)

    async def _decide(self, request_id: str, words: Mapping[str, Any], now: float) -> str:
        gate = self._gates.get(request_id)
        async with self._gates.lock(gate) if gate is not None else asyncio.Lock():
            taken = await self._decisions.judge(gate, request_id, words, now)
            by = str(words.get("by"))[:64]
            if isinstance(taken, Refused) or gate is None:
                refused = (
                    taken if isinstance(taken, Refused) else Refused("already_decided", "it is not open")
                )
                log.warning("tool.decision_refused", request_id=request_id, by=by, code=refused.code)
                return f"refused: {refused.code}: {refused.message}"
            await self._do(gate, taken)
        log.info("tool.decided", request_id=request_id, by=by, state=gate.state.value)
        return f"taken: the request is {gate.state}"

    # ---- the gate's actions ----------------------------------------------------------------------------------

    async def _take(self, gate: Gate, actions: list[Action] | Refused, spec: ToolSpec | None = None) -> bool:
        if isinstance(actions, Refused):
            log.warning("tool.refused", request_id=gate.request.request_id, code=actions.code)
            return False
        await self._do(gate, actions, spec)
        return True

    async def _do(
        self, gate: Gate, actions: Sequence[Action], spec: ToolSpec | None = None, *, tell: bool = True
    ) -> None:
        """In the order given; what belongs together is stored together, first. Raises StoreError: nothing was done.

        `spec`: what an Execute runs, as it was when its definition was looked at.
        """
        if any(isinstance(action, Store) for action in actions):
            await self._gates.keep(gate, actions)
        for action in actions:
            match action:
                case Execute(key, arguments) if spec is not None:
                    self._tasks.create_task(self._execute(gate, spec, key, arguments))
                case Tell() if tell:
                    self._push(gate)
                case Notify(kind, group):
                    self._deps.notify(kind, group, gate)
        if gate.state is State.APPROVED:
            try:
                await self._start(gate)
            except StoreError as error:  # that it is approved is stored: `_look` starts it
                log.warning("tool.start_waits", request_id=gate.request.request_id, reason=str(error))

    async def _start(self, gate: Gate) -> None:
        """Claim the execution of what is still as it was asked for."""
        if gate.state is not State.APPROVED:
            return
        spec = self._source.tools.get(gate.request.tool)
        misfit = await self._decisions.misfit(gate, time.time())
        if misfit or spec is None or spec is not self._source.tools.get(gate.request.tool):
            log.warning("tool.withdrawn", request_id=gate.request.request_id, reason=misfit)
            await self._do(gate, gate.withdraw(misfit or "the function has changed since"))
            return
        await self._take(gate, gate.claim(time.time()), spec)

    async def _execute(self, gate: Gate, spec: ToolSpec, key: str, arguments: Mapping[str, Any]) -> None:
        request, caller = gate.request, gate.request.caller
        call = ToolCall(self._commands, request.call_id)
        context = ToolContext(request.call_id, caller.number, key, self._deps.folder, caller.verified, call)
        result = await self._runner.run(spec, arguments, context)
        facts = {"request_id": request.request_id, "tool": request.tool}
        log.info("tool.ran", **facts, ok=result.ok, unknown=result.unknown)
        if spec.options.verifies and result.ok and result.output.get("verified") is True:
            self._verified[request.call_id] = request.tool
        if result.unknown:
            await self._settle(gate, lambda it: it.crashed(time.time(), "its outcome was not told"))
        else:
            await self._settle(gate, lambda it: it.finished(result.output, ok=result.ok))

    def _settle_soon(self, gate: Gate, settle: Callable[[Gate], list[Action] | Refused]) -> None:
        self._tasks.create_task(self._settle(gate, settle))

    async def _settle(self, gate: Gate, settle: Callable[[Gate], list[Action] | Refused]) -> None:
        """What came of an execution, until the store has taken it: it cannot be found out again."""
        pause_s, most_s = STORE_AGAIN_S
        while True:
            try:
                async with self._gates.lock(gate):
                    await self._take(gate, settle(gate))
            except StoreError as error:
                log.error("tool.outcome_not_stored", request_id=gate.request.request_id, reason=str(error))  # noqa: TRY400
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, most_s)
            else:
                return

    def _push(self, gate: Gate) -> None:
        request = gate.request
        self._deps.tell(ToolUpdate(request.call_id, request.function_call_id, self._news(gate)))

    def _news(self, gate: Gate) -> dict[str, Any]:
        """What the worker has to know."""
        news: dict[str, Any] = {"request_id": gate.request.request_id, "state": gate.state.value}
        output = function_output(gate)
        if output:
            return news | {"output": output}
        if gate.state is State.CONFIRMING and gate.ruling.confirm is not None:
            asked = gate.ruling.confirm
            return news | {"question": asked.question, "key": asked.key, "by": list(asked.by)}
        spec = self._source.tools.get(gate.request.tool)
        if gate.state is State.EXECUTING and spec is not None:
            news["line"] = spec.options.while_running
        return news


async def _fulfil(answered: asyncio.Future[dict[str, Any]], work: Awaitable[dict[str, Any]]) -> None:
    try:
        answer = await work
    except asyncio.CancelledError:
        answered.cancel()
        raise
    except Exception as error:  # noqa: BLE001  # it is the one's who asked
        if not answered.done():
            answered.set_exception(error)
    else:
        if not answered.done():
            answered.set_result(answer)


_ANSWERS: Mapping[str, Any] = {
    "tool.offer": ToolOffice._offer,  # noqa: SLF001  # the class's own table
    "tool.call": ToolOffice._call,  # noqa: SLF001
    "tool.confirm": ToolOffice._confirm,  # noqa: SLF001
    "tool.state": ToolOffice._state,  # noqa: SLF001
    "tool.command_done": ToolOffice._command_done,  # noqa: SLF001
}
