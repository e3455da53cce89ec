"""Where function calls become actions: control's tool desk.

    worker ──tool.call──► validate ─► policy ─► Gate ─► store ─► (run) ─► store ─► ToolUpdate ──► worker
    CLI, console ──decision──► store ──► Gate.decide ─┘

A shell around approval/gate.py: it does the gate's actions in the order given, and Store comes first, so what is not on
disk has not happened. After a restart every open request goes on where it was; one that was being executed is
`unknown` unless its tool is idempotent. Runs on control's loop.
"""

import asyncio
import json
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import structlog

from bridge.approval.canonical import binding
from bridge.approval.gate import FINAL, Action, Audit, Execute, Gate, Notify, State, Store, Tell
from bridge.approval.outcome import function_output
from bridge.approval.policy import Facts, Policy
from bridge.approval.request import CallerFacts, Decision, Refused, Ruling, ToolRequest
from bridge.approval.tally import CALLER_S, Past, counts
from bridge.errors import LinkError, StoreError, ToolArgumentsError
from bridge.link.messages import ToolUpdate
from bridge.store.gatestore import OPEN_STATES, GateStore, NewAudit
from bridge.toolbox.load import Toolbox
from bridge.toolbox.run import ToolRunner, validate
from bridge.toolbox.spec import ToolContext, ToolSpec

log = structlog.get_logger(__name__)

LOOK_EVERY_S = 0.1  # for decisions and clocks while something waits: a caller is on the line
IDLE_LOOK_S = 1.0
FORGET_S = 24 * 3600.0  # longer than any call
MAX_REPAIRS = 3  # bad arguments in a row for one tool on one call; then the model is told to give up
BAD_ARGUMENTS = (
    "The arguments do not fit: {problem}. Nothing was done. Correct them and call the function again."
)
GIVE_UP = "The arguments still do not fit. Nothing was done. Tell the caller that it is not possible now."
NO_RULING = Ruling("ask", "", "")
Tools = Callable[[ToolUpdate], None]


class ToolOffice:
    """`tell` gets a ToolUpdate to the workers. `folder`: where tools keep their files."""

    def __init__(self, store: GateStore, toolbox: Toolbox, policy: Policy, folder: Path, tell: Tools) -> None:
        self._store = store
        self._toolbox = toolbox
        self._policy = policy
        self._folder = folder
        self._tell = tell
        self._gates: dict[str, Gate] = {}
        self._versions: dict[str, int] = {}
        self._by_call: dict[tuple[str, str], str] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._repairs: Counter[tuple[str, str]] = Counter()
        self._runner = ToolRunner()
        self._opening = asyncio.Lock()
        self._ready = asyncio.Event()
        self._ended: set[str] = set()
        self._tasks: asyncio.TaskGroup

    async def run(self) -> None:
        """Until cancelled."""
        try:
            async with asyncio.TaskGroup() as self._tasks:
                await self._take_over()
                self._ready.set()
                while True:
                    await asyncio.sleep(LOOK_EVERY_S if self._gates else IDLE_LOOK_S)
                    try:
                        await self._look(time.time())
                    except StoreError as error:
                        log.warning("tools.store", reason=str(error))
        finally:
            self._runner.close()

    # ---- what workers ask ------------------------------------------------------------------------------------

    async def answer(self, kind: str, data: Mapping[str, Any]) -> dict[str, Any]:
        """A worker's `tool.*` request. Raises LinkError for one that is none, StoreError: nothing was done."""
        handler = _ANSWERS.get(kind)
        if handler is None:
            raise LinkError(f"control knows no request {kind[:40]!r}")
        await self._ready.wait()  # what an earlier control left open comes first; the worker has a deadline
        answer: dict[str, Any] = await handler(self, data)
        return answer

    async def _offer(self, data: Mapping[str, Any]) -> dict[str, Any]:
        names = [str(name) for name in data.get("names", ())]
        missing = [name for name in names if name not in self._toolbox.tools]
        if missing:
            log.warning("tools.missing", names=missing)
        found = [self._toolbox.tools[name] for name in names if name in self._toolbox.tools]
        return {"tools": [spec.definition() for spec in found]}

    async def _call(self, data: Mapping[str, Any]) -> dict[str, Any]:
        call_id, function_call_id = str(data["call_id"]), str(data["function_call_id"])
        known = self._by_call.get((call_id, function_call_id))
        if known is not None:
            return self._news(self._gates[known])
        spec = self._toolbox.tools.get(str(data["tool"]))
        if spec is None:
            return _refusal("There is no such function. Nothing was done.")
        try:
            arguments = validate(spec, str(data.get("arguments", "")))
        except ToolArgumentsError as error:
            self._repairs[call_id, spec.name] += 1
            given_up = self._repairs[call_id, spec.name] > MAX_REPAIRS
            log.info("tool.bad_arguments", call_id=call_id, tool=spec.name, reason=str(error)[:200])
            return _refusal(GIVE_UP if given_up else BAD_ARGUMENTS.format(problem=error))
        self._repairs.pop((call_id, spec.name), None)
        gate = await self._open(spec, arguments, data)
        return self._news(gate)

    async def _open(self, spec: ToolSpec, arguments: Mapping[str, Any], data: Mapping[str, Any]) -> Gate:
        async with self._opening:  # two half amounts asked for at once must see each other
            return await self._open_alone(spec, arguments, data)

    async def _open_alone(
        self, spec: ToolSpec, arguments: Mapping[str, Any], data: Mapping[str, Any]
    ) -> Gate:
        now, call_id = time.time(), str(data["call_id"])
        caller = CallerFacts(number=str(data.get("caller", "")))
        policy = self._policy
        request = ToolRequest(
            request_id=uuid.uuid4().hex[:16],
            call_id=call_id,
            function_call_id=str(data["function_call_id"]),
            tool=spec.name,
            definition_hash=spec.definition_hash,
            arguments=arguments,
            risk=spec.options.risk,
            idempotent=spec.options.idempotent,
            binding=binding(spec.name, spec.definition_hash, arguments, call_id, policy.version),
            policy_version=policy.version,
            requested_at=now,
            agent=str(data.get("agent", "")),
            caller=caller,
        )
        ruling = policy.rule(await self._facts(request, now))
        gate, actions = Gate.open(request, ruling, now)
        log.info(
            "tool.requested",
            call_id=call_id,
            tool=spec.name,
            request_id=request.request_id,
            effect=ruling.effect,
        )
        self._gates[request.request_id] = gate
        self._by_call[call_id, request.function_call_id] = request.request_id
        try:
            await self._do(gate, actions, tell=False)
        except StoreError:
            self._forget(gate)
            raise
        return gate

    async def _facts(self, request: ToolRequest, now: float) -> Facts:
        local = time.localtime(now)
        midnight = time.mktime((*local[:3], 0, 0, 0, 0, 0, -1))
        rows = await self._store.history(request.tool, now - CALLER_S)
        past = [_past(Gate.from_json(row.gate)) for row in rows]
        caller = request.caller
        return Facts(
            tool=request.tool,
            arguments=request.arguments,
            risk=request.risk,
            caller={"number": caller.number, "verified": caller.verified, "verstat": caller.verstat},
            agent=request.agent,
            hour=local.tm_hour,
            weekday=local.tm_wday + 1,
            counts=counts(past, _past(Gate(request, NO_RULING)), midnight),
        )

    async def _confirm(self, data: Mapping[str, Any]) -> dict[str, Any]:
        gate = self._gates.get(str(data["request_id"]))
        if gate is None or gate.request.call_id != data.get("call_id"):
            return {"taken": False}
        how = str(data.get("how", ""))[:200]
        async with self._lock(gate):
            yes = data.get("yes") is True
            actions = gate.confirmed(time.time(), how) if yes else gate.refused_by_caller(how)
            return {"taken": await self._take(gate, actions)}

    async def _state(self, data: Mapping[str, Any]) -> dict[str, Any]:
        mine = [gate for gate in self._gates.values() if gate.request.call_id == data.get("call_id")]
        return {"calls": {gate.request.function_call_id: self._news(gate) for gate in mine}}

    # ---- what else happens -----------------------------------------------------------------------------------

    async def calls_ended(self, call_ids: Iterable[str]) -> None:
        """These calls are over, whatever the reason. What the store does not take now is tried again."""
        self._ended.update(call_ids)
        try:
            await self._cancel_ended()
        except StoreError as error:
            log.warning("tools.store", reason=str(error))

    async def _cancel_ended(self) -> None:
        for call_id in tuple(self._ended):
            for gate in [gate for gate in self._gates.values() if gate.request.call_id == call_id]:
                async with self._lock(gate):
                    await self._do(gate, gate.hung_up())
                    if gate.state not in OPEN_STATES:
                        self._forget(gate)
            self._ended.discard(call_id)

    async def _take_over(self) -> None:
        """What an earlier control left open."""
        for row in await self._store.requests(OPEN_STATES):
            self._gates[row.request_id], self._versions[row.request_id] = (
                Gate.from_json(row.gate),
                row.version,
            )
            self._by_call[row.call_id, row.function_call_id] = row.request_id
        await self.calls_ended(await self._store.ended([call_id for call_id, _ in self._by_call]))
        for gate in list(self._gates.values()):
            if gate.state is State.EXECUTING:
                await self._take(gate, gate.crashed(time.time(), "control died while it was being executed"))
            elif gate.state is State.APPROVED:
                await self._start(gate)

    async def _look(self, now: float) -> None:
        for number, request_id, words in await self._store.open_decisions():
            await self._store.answer(number, await self._decide(request_id, words, now))
        await self._cancel_ended()
        for gate in list(self._gates.values()):
            if gate.due_at is not None and now >= gate.due_at:
                async with self._lock(gate):
                    await self._do(gate, gate.tick(now))
            elif gate.state in FINAL and now - gate.request.requested_at > FORGET_S:
                self._forget(gate)

    async def _decide(self, request_id: str, words: Mapping[str, Any], now: float) -> str:
        gate, by = self._gates.get(request_id), self._policy.people.get(str(words.get("by")))
        if gate is None:
            return "refused: already_decided: the request is not open any more"
        if by is None:
            return f"refused: not_an_approver: nobody named {words.get('by')} may decide"
        decision = Decision(
            request_id=request_id,
            binding=str(words.get("binding")),
            by=by,
            verdict="approve" if words.get("verdict") == "approve" else "deny",
            reason=str(words.get("reason", ""))[:300],
        )
        async with self._lock(gate):
            taken = gate.decide(decision, now)
            if isinstance(taken, Refused):
                return f"refused: {taken.code}: {taken.message}"
            await self._do(gate, taken)
        return f"taken: the request is {gate.state}"

    # ---- the gate's actions ----------------------------------------------------------------------------------

    async def _take(self, gate: Gate, actions: list[Action] | Refused) -> bool:
        if isinstance(actions, Refused):
            log.warning("tool.refused", request_id=gate.request.request_id, code=actions.code)
            return False
        await self._do(gate, actions)
        return True

    async def _do(self, gate: Gate, actions: Sequence[Action], *, tell: bool = True) -> None:
        """In the order given; what belongs together is stored together, first."""
        if any(isinstance(action, Store) for action in actions):
            audit = [NewAudit(a.type, a.actor, a.facts) for a in actions if isinstance(a, Audit)]
            key = gate.request.request_id
            self._versions[key] = await self._store.save(
                gate.to_json(), self._versions.get(key, 0), audit, time.time()
            )
        for action in actions:
            match action:
                case Execute(key, arguments):
                    self._tasks.create_task(self._execute(gate, key, arguments))
                case Tell() if tell:
                    self._push(gate)
                case Notify(kind, group):
                    log.info("tool.notify", kind=kind, group=group, request_id=gate.request.request_id)
        if gate.state is State.APPROVED:
            await self._start(gate)

    async def _start(self, gate: Gate) -> None:
        """Claim the execution. A tool whose definition changed since it was approved is not run."""
        spec = self._toolbox.tools.get(gate.request.tool)
        if spec is None or spec.definition_hash != gate.request.definition_hash:
            log.warning("tool.changed", tool=gate.request.tool, request_id=gate.request.request_id)
            await self._do(gate, gate.withdraw("the function has changed since"))
            return
        await self._take(gate, gate.claim(time.time()))

    async def _execute(self, gate: Gate, key: str, arguments: Mapping[str, Any]) -> None:
        request = gate.request
        context = ToolContext(
            request.call_id, request.caller.number, key, self._folder, request.caller.verified
        )
        result = await self._runner.run(self._toolbox.tools[request.tool], arguments, context)
        async with self._lock(gate):
            try:
                if result.unknown:
                    await self._take(gate, gate.crashed(time.time(), "it did not answer in time"))
                else:
                    await self._take(gate, gate.finished(result.output, ok=result.ok))
            except StoreError as error:
                log.error("tool.outcome_not_stored", request_id=request.request_id, reason=str(error))  # noqa: TRY400
                self._push(gate)

    def _push(self, gate: Gate) -> None:
        request = gate.request
        self._tell(ToolUpdate(request.call_id, request.function_call_id, self._news(gate)))

    def _news(self, gate: Gate) -> dict[str, Any]:
        """What the worker has to know."""
        news: dict[str, Any] = {"request_id": gate.request.request_id, "state": gate.state.value}
        output = function_output(gate)
        if output:
            return news | {"output": output}
        if gate.state is State.CONFIRMING and gate.ruling.confirm is not None:
            asked = gate.ruling.confirm
            return news | {"question": asked.question, "key": asked.key, "by": list(asked.by)}
        spec = self._toolbox.tools.get(gate.request.tool)
        if gate.state is State.EXECUTING and spec is not None:
            news["line"] = spec.options.while_running
        return news

    def _lock(self, gate: Gate) -> asyncio.Lock:
        return self._locks.setdefault(gate.request.request_id, asyncio.Lock())

    def _forget(self, gate: Gate) -> None:
        key = gate.request.request_id
        self._by_call.pop((gate.request.call_id, gate.request.function_call_id), None)
        for known in (self._gates, self._versions, self._locks):
            known.pop(key, None)


_ANSWERS: Mapping[str, Any] = {
    "tool.offer": ToolOffice._offer,  # noqa: SLF001  # the class's own table
    "tool.call": ToolOffice._call,  # noqa: SLF001
    "tool.confirm": ToolOffice._confirm,  # noqa: SLF001
    "tool.state": ToolOffice._state,  # noqa: SLF001
}


def _past(gate: Gate) -> Past:
    request = gate.request
    return Past(
        request.tool,
        request.call_id,
        request.caller.number,
        gate.state.value,
        gate.arguments,
        request.requested_at,
    )


def _refusal(words: str) -> dict[str, Any]:
    return {"state": "denied", "output": json.dumps({"status": "refused", "message": words})}
