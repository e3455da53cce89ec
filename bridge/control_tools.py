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

from bridge.approval import outcome
from bridge.approval.actions import FINAL, Action, Execute, Inquire, Notify, State, Store, Tell
from bridge.approval.gate import Gate
from bridge.approval.policy import Policy
from bridge.approval.request import Refused
from bridge.control_commands import Commands
from bridge.control_decisions import Decisions
from bridge.control_facts import facts_of, request_of, same_call, shown
from bridge.control_gates import Gates, Moved
from bridge.control_questions import Questions
from bridge.control_runs import Runs, fulfil
from bridge.control_takeover import Takeover, TakeoverDeps, raced
from bridge.control_toolbox import ToolSource
from bridge.errors import LinkError, StoreError, ToolArgumentsError
from bridge.link.messages import Message, ToolUpdate
from bridge.records.complaint import Complaint
from bridge.store.gatestore import GateStore
from bridge.store.tables import OPEN_STATES
from bridge.store.userstore import UserStore
from bridge.toolbox.mcptools import pinned
from bridge.toolbox.run import validate
from bridge.toolbox.spec import ToolSpec

log = structlog.get_logger(__name__)

LOOK_EVERY_S = 0.05  # for decisions and clocks while something waits: a caller is on the line
IDLE_LOOK_S = 1.0
SETTLED = FINAL | {State.UNKNOWN}
FORGET_S = 24 * 3600.0  # longer than any call
MAX_OVER = 10_000  # ended calls that are remembered, for what they still ask
RACE_S = 60.0  # two nodes that decide about one tool at the same time see each other within this
MAX_REPAIRS = 3  # bad arguments in a row for one tool on one call; then the model is told to give up


@dataclass(frozen=True, slots=True)
class OfficeDeps:
    """What the tool desk works with. `tell` gets a message to the workers; `folder`: where tools keep their files.

    `notify(kind, group, gate)` tells people; `decision_key` seals decisions; `moved`: Gates; `listening()`: `wake` is
    called for decisions.
    """

    store: GateStore
    users: UserStore
    source: ToolSource
    folder: Path
    tell: Callable[[Message], None]
    notify: Callable[[str, str, Gate], None]
    decision_key: bytes
    moved: Moved = lambda *_facts: None
    listening: Callable[[], bool] = lambda: False


class ToolOffice:
    """The open requests, and what happens to them."""

    def __init__(self, deps: OfficeDeps) -> None:
        self._deps = deps
        self._store = deps.store
        self._source = deps.source
        self._decisions = Decisions(deps.store, deps.users, deps.source, deps.decision_key)
        self.commands = Commands(deps.tell)
        self._gates = Gates(deps.store, deps.decision_key, deps.moved)
        self._repairs: Counter[tuple[str, str]] = Counter()
        self._opening = asyncio.Lock()
        self._ready, self._opened = asyncio.Event(), asyncio.Event()
        self._over: dict[str, None] = {}
        self.takeover = Takeover(
            TakeoverDeps(deps.store, self._gates, self._do, self.calls_ended, deps.notify, self._push)
        )
        found_out = self.takeover.find_out
        self._runs = Runs(self._gates, self.commands, deps.folder, self._take, found_out, self._over)
        self._questions = Questions(self._gates, self._store, self.commands, self._do, self._over)
        self._decisions_at, self._complaint = 0.0, Complaint(log, "tools.store", "tools.store_back")
        self._answers: dict[int, str] = {}
        self._ended: set[str] = set()
        self._tasks: asyncio.TaskGroup

    def waiting(self) -> Counter[str]:
        """Requests that are not over, by state."""
        return Counter(gate.state.value for gate in self._gates if gate.state not in FINAL)

    async def run(self) -> None:
        """Until cancelled."""
        try:
            async with asyncio.TaskGroup() as self._tasks:
                await self.takeover.at_start()
                self._ready.set()
                await self._decisions.warn()
                while True:
                    await self._pause()
                    await self._look(time.time())
        finally:
            self._runs.close()

    def wake(self) -> None:
        """A decision waits, somebody says: look now."""
        self._decisions_at = 0.0
        self._opened.set()

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
        self._tasks.create_task(fulfil(answered, handler(self, data)))
        return await answered

    async def _offer(self, data: Mapping[str, Any]) -> dict[str, Any]:
        tools = self._source.offer(str(name) for name in data.get("names", ()))
        hidden = {name: list(self._source.hidden(name)) for name in (one.get("name", "") for one in tools)}
        return {"tools": tools, "hidden": {name: names for name, names in hidden.items() if names}}

    async def _call(self, data: Mapping[str, Any]) -> dict[str, Any]:
        call_id, function_call_id = str(data["call_id"]), str(data["function_call_id"])
        async with self._opening:  # two half amounts asked for at once must see each other
            if (known := await self._gates.known(call_id, function_call_id)) is not None:
                return self._again(known, data)
            spec, policy = self._source.tools.get(str(data["tool"])), self._source.policy
            by_provider = data.get("definition") is not None
            if spec is None or policy is None or by_provider != (spec.origin == "provider"):
                return outcome.refusal(outcome.NO_FUNCTION)
            if by_provider and not pinned(spec, data["definition"]):
                log.warning("mcp.definition_not_accepted", call_id=call_id, tool=spec.name)
                return outcome.refusal(outcome.NOT_PINNED)
            try:
                arguments = validate(spec, str(data.get("arguments", "")))
            except ToolArgumentsError as error:
                self._repairs[call_id, spec.name] += 1
                given_up = self._repairs[call_id, spec.name] > MAX_REPAIRS
                log.info("tool.bad_arguments", call_id=call_id, tool=spec.name, pii_reason=str(error)[:200])
                return outcome.refusal(
                    outcome.GIVE_UP if given_up else outcome.BAD_ARGUMENTS.format(problem=error)
                )
            self._repairs.pop((call_id, spec.name), None)
            return await raced(lambda: self._open(spec, policy, arguments, data))

    def _again(self, known: Gate, data: Mapping[str, Any]) -> dict[str, Any]:
        """The same function call once more: its answer was lost on the way. Another one under its id is refused."""
        same = same_call(known.request, self._source.tools.get(known.request.tool), data)
        return self._news(known) if same else outcome.refusal(outcome.OTHER_CALL)

    async def _open(
        self, spec: ToolSpec, policy: Policy, arguments: Mapping[str, Any], data: Mapping[str, Any]
    ) -> dict[str, Any]:
        now = time.time()
        if not self._runs.on_the_line(str(data["call_id"]), int(data.get("callers", 0)), now):
            return outcome.refusal(outcome.CALL_OVER)
        proof = {"verified_by": self._runs.verified.get(str(data["call_id"]), "")}  # a worker cannot say so
        since = now - RACE_S
        seen = since, await self._store.recent(spec.name, since)
        request = request_of(spec, policy, arguments, {**data, **proof}, now)
        ruling = policy.rule(await facts_of(self._store, request, now))
        if request.call_id in self._over:
            return outcome.refusal(outcome.CALL_OVER)
        gate, actions = Gate.open(request, ruling, now)
        facts = {
            "tool": spec.name,
            "request_id": request.request_id,
            "effect": ruling.effect,
            "rule": ruling.rule,
        }
        log.info("tool.requested", call_id=request.call_id, **facts, pii_arguments=shown(spec, arguments))
        self._gates.add(gate, seen)
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
        self.commands.done(data)
        return {}

    # ---- what else happens -----------------------------------------------------------------------------------

    async def calls_ended(self, call_ids: Iterable[str]) -> None:
        """These calls are over, whatever the reason. What the store does not take now is tried again."""
        self._ended.update(call_ids)
        self._over |= dict.fromkeys(self._ended)
        while len(self._over) > MAX_OVER:
            del self._over[next(iter(self._over))]
        self.commands.calls_ended(self._ended)
        try:
            await self._cancel_ended()
        except StoreError as error:
            log.warning("tools.store", reason=str(error))

    async def _cancel_ended(self) -> None:
        for call_id in tuple(self._ended):
            mine = self._gates.of_call(call_id)
            done = [await self._alone(gate, lambda it: self._do(it, it.hung_up())) for gate in mine]
            for gate in mine:
                if gate.state not in OPEN_STATES:
                    self._gates.forget(gate)
            if all(done):
                self._ended.discard(call_id)
            self._runs.call_over(call_id)
            for key in [key for key in self._repairs if key[0] in self._over]:  # those that came late too
                del self._repairs[key]

    async def _alone(self, gate: Gate, step: Callable[[Gate], Awaitable[None]]) -> bool:
        """A step of one request; what goes wrong with it stops no other. False: it is to be tried again."""
        try:
            async with self._gates.lock(gate):
                await step(gate)
        except StoreError as error:
            log.warning("tools.store", request_id=gate.request.request_id, reason=str(error))
            await self.takeover.find_out(gate)
            return False
        except Exception:
            log.exception("tool.step_failed", request_id=gate.request.request_id)
            return False
        return True

    async def _look(self, now: float) -> None:
        try:
            await self.takeover.owed()
            for number, request_id, words in await self._new_decisions():
                if number not in self._answers:
                    self._answers[number] = await self._decide(request_id, words, now)
                await self._store.answer(number, self._answers[number])
                del self._answers[number]
            self._complaint.worked()
        except StoreError as error:
            self._complaint.failed(str(error))
        await self._cancel_ended()
        for gate in self._gates:
            if gate.due_at is not None and now >= gate.due_at:
                await self._alone(gate, lambda it: self._do(it, it.tick(now)))
            elif gate.state is State.APPROVED:  # its start was not stored, or control died before it
                await self._alone(gate, self._start)
            elif gate.state is State.EXECUTING and gate not in self._runs:
                await self._alone(gate, self._lost)
            elif gate.state in FINAL and (
                gate.request.call_id in self._over or now - gate.request.requested_at > FORGET_S
            ):
                self._gates.forget(gate)

    async def _new_decisions(self) -> list[tuple[int, str, Mapping[str, Any]]]:
        """Where other nodes tell of decisions (`wake`), looking once a second is enough."""
        if self._deps.listening() and time.monotonic() - self._decisions_at < IDLE_LOOK_S:
            return []
        self._decisions_at = time.monotonic()
        return await self._store.open_decisions()

    async def _lost(self, gate: Gate) -> None:
        """It is being executed, but not by this process: an earlier control died, or did not learn that it began."""
        if gate.state is State.EXECUTING and gate not in self._runs:
            await self._take(gate, self.takeover.lost(gate))

    async def _decide(self, request_id: str, words: Mapping[str, Any], now: float) -> str:
        """What became of a decision. Raises StoreError: look at it again."""
        by = str(words.get("by"))[:64].encode("utf-8", "ignore").decode()
        try:
            taken = await self._judged(request_id, words, now)
        except StoreError:
            raise
        except Exception:
            log.exception("tool.decision_failed", request_id=request_id)
            taken = Refused("internal", "it could not be looked at; the log says why")
        if isinstance(taken, Refused):
            log.warning("tool.decision_refused", request_id=request_id, by=by, code=taken.code)
            return f"refused: {taken.code}: {taken.message}"
        log.info("tool.decided", request_id=request_id, by=by, state=taken.value)
        return f"taken: the request is {taken}"

    async def _judged(self, request_id: str, words: Mapping[str, Any], now: float) -> State | Refused:
        gate = self._gates.get(request_id)
        async with self._gates.lock(gate) if gate is not None else asyncio.Lock():
            taken = await self._decisions.judge(gate, request_id, words, now)
            if isinstance(taken, Refused) or gate is None:
                return taken if isinstance(taken, Refused) else Refused("already_decided", "it is not open")
            await self.takeover.surely(gate, taken)
            return gate.state

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
                    self._runs.begun(gate)
                    self._tasks.create_task(self._runs.execute(gate, spec, key, arguments))
                case Inquire(number):
                    self._tasks.create_task(self._questions.put(gate, number))
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
        await self._take(gate, gate.claim(time.time(), self._store.node), spec)

    def _push(self, gate: Gate) -> None:
        request = gate.request
        self._deps.tell(ToolUpdate(request.call_id, request.function_call_id, self._news(gate)))

    def _news(self, gate: Gate) -> dict[str, Any]:
        """What the worker has to know."""
        news: dict[str, Any] = {"request_id": gate.request.request_id, "state": gate.state.value}
        if told := outcome.function_output(gate):
            return news | {"output": told}
        if gate.state is State.CONFIRMING and gate.ruling.confirm is not None:
            asked = gate.ruling.confirm
            return news | {"question": asked.question, "key": asked.key, "by": list(asked.by)}
        spec = self._source.tools.get(gate.request.tool)
        if gate.state is State.EXECUTING and spec is not None:
            news["line"] = spec.options.while_running
        return news


_ANSWERS: Mapping[str, Any] = {
    "tool.offer": ToolOffice._offer,  # noqa: SLF001  # the class's own table
    "tool.call": ToolOffice._call,  # noqa: SLF001
    "tool.confirm": ToolOffice._confirm,  # noqa: SLF001
    "tool.state": ToolOffice._state,  # noqa: SLF001
    "tool.command_done": ToolOffice._command_done,  # noqa: SLF001
}
