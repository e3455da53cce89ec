"""The data-plane process: one SIP user agent, at most four calls, one asyncio loop. Composition root, no rules.

    supervisor ──starts──► worker ◄──link──► control
                             └ SipAgent ─► Call (one task each) ─► Realtime session

Configuration comes from the supervisor as JSON, the plan from control over the link (or, while control is away, from
the file control wrote last). Without a plan, and while draining, INVITEs get 503. SIGTERM drains: no new calls, the
running ones end by themselves or at the drain deadline. A bug in one call ends that call; a SIP thread or a media
clock that is dead ends the process with status 1, so that the supervisor starts another. Nothing here imports the
control plane's packages: a worker stays small.
"""

import asyncio
import contextlib
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import structlog

from bridge.call.call import Call
from bridge.call.journal import Journal
from bridge.call.modelside import CallDeps
from bridge.call.outgoing import NOT_PLACED, UNSURE, Order, order_of
from bridge.call.rendezvous import Rendezvous
from bridge.config import WorkerConfig
from bridge.dialplan.plan import Plan
from bridge.dialplan.variables import warm
from bridge.errors import BridgeError, LinkError, SipError
from bridge.link.client import LinkClient, LinkHandlers
from bridge.link.messages import CallCommand, PlaceCall
from bridge.media.recorder import RecorderThread
from bridge.realtime.usage import load_prices
from bridge.records.log import configure
from bridge.sip.agent import SipAgent
from bridge.sip.events import HangUpBy, HungUp, Invite
from bridge.sip.leg import Leg
from bridge.strictjson import decode
from bridge.trunk import Credential, Trunk
from bridge.worker_care import EDGE_KNOWS_S, Busy, contained, over, watch_health
from bridge.worker_plan import PlanIntake, calm
from bridge.worker_wire import SupervisorWire, read_config

log = structlog.get_logger(__name__)

BOOT_VARIABLE = "BRIDGE_BOOT"  # the supervisor's name for this life of the process (bridge/supervisor.py)
SWITCH_INTERVAL_S = 0.0005  # a busy loop delays the media clock by this much instead of 5 ms (design §2)
STOP_WAIT_S = 3.0
CONTROL_WAIT_S = 1.0
DELIVERY_WAIT_S = 2.0
MAX_PLACED = 1000  # ids of calls that we placed; none is placed twice


class Worker:
    """The pieces of one worker and the calls it carries. `rest`: words that came with the configuration."""

    def __init__(self, config: WorkerConfig, rest: bytes = b"") -> None:
        self._config = config
        words = {
            "retire": self.retire,
            "pause": lambda: self.pause(True),
            "resume": lambda: self.pause(False),
        }
        self._supervisor = SupervisorWire(words, rest)
        self._taken = 0
        self._paused = False
        self._hurried = asyncio.Event()
        self._calls: dict[str, Call] = {}
        self._placed: deque[str] = deque(maxlen=MAX_PLACED)
        # Until control says who registers. Behind the edge there may be other nodes, so nobody does before that.
        self._registrar = config.index == 0 and not config.sip.edge
        self._replanned = asyncio.Event()
        self._trunks_known = asyncio.Event()
        self._draining = asyncio.Event()
        self._busy = Busy()
        self._tasks: asyncio.TaskGroup
        self._agent: SipAgent
        self._deps: CallDeps
        self._plans = PlanIntake(self._plan_changed)
        self._link = LinkClient(
            Path(config.paths.link_socket),
            config.index,
            Path(config.paths.spool),
            LinkHandlers(
                plan=self._plans.came,
                drain=self.drain,
                hang_up=self._hang_up,
                tool_update=self._tool_update,
                call_command=self._call_command,
                facts=self._facts,
                place_call=self._place_call,
                registrar=self._register,
                watch=self._watch,
            ),
            boot=os.environ.get(BOOT_VARIABLE),
        )

    async def run(self) -> None:
        """Until drained."""
        config = self._config
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.drain)
        self._supervisor.listen()
        self._plans.read(Path(config.paths.state_dir, "run", "plan.json"))
        log_file = Path(config.paths.state_dir, "log", f"pjsip-{config.name}.log")
        log_file.parent.mkdir(parents=True, exist_ok=True)
        with RecorderThread(config.media.rate_hz) as recorder:
            self._deps = CallDeps(
                config,
                load_prices(),
                recorder,
                self._link.emit,
                self._link.request,
                dial=self._dial,
                glimpse=self._link.glimpse,
                rendezvous=Rendezvous(
                    {config.sip.bind} if config.sip.edge else {config.sip.bind, "127.0.0.1"}
                ),
            )
            async with SipAgent(config.sip, config.media, log_file=log_file) as self._agent:
                await self._serve()
        self._link.close()
        self._supervisor.leave()
        log.info("worker.stopped")

    async def _serve(self) -> None:
        async with asyncio.TaskGroup() as self._tasks:
            link = self._tasks.create_task(self._link.run())
            plans = self._tasks.create_task(self._plans.run())
            self._agent.listen(self._incoming, self._record_refusal)
            self._agent.accepting = not self._closed()
            trunks = self._tasks.create_task(self._follow_trunks())
            ready = self._tasks.create_task(self._say_ready())
            watch = self._tasks.create_task(watch_health(self._agent))
            try:
                await self._draining.wait()
            finally:
                self._agent.accepting = False
            ready.cancel()
            with contextlib.suppress(TimeoutError):  # a round trip: what was let in before is known behind it
                await self._agent.command("", lambda _call: None, None)
            await self._drain()
            await self._link.delivered(DELIVERY_WAIT_S)
            trunks.cancel()
            link.cancel()
            plans.cancel()
            watch.cancel()

    async def _follow_trunks(self) -> None:
        """The trunks of the plan in force. One worker registers, by control's word."""
        while True:
            await self._replanned.wait()
            self._replanned.clear()
            plan = self._plans.plan
            if plan is None:
                continue
            try:
                await self._agent.use_trunks(plan.trunks, self._trunk_secret, register=self._registrar)
            except (SipError, TimeoutError) as error:
                log.error("trunks.not_taken", reason=str(error) or "no answer of the SIP thread")  # noqa: TRY400
            self._trunks_known.set()

    def _register(self, on: bool) -> None:
        if on is not self._registrar:
            self._registrar = on
            log.info("trunks.registrar", on=on)
            self._replanned.set()

    async def _trunk_secret(self, trunk: Trunk) -> Credential:
        answer = await self._link.request(
            "trunk_secret", {"trunk": trunk.name}, self._config.deadlines.link_request_s
        )
        return decode(Credential, dict(answer), "trunk_secret")

    async def _say_ready(self) -> None:
        """Tell the supervisor, which reads our standard output, that a call would be taken now."""
        await self._trunks_known.wait()  # not longer than the SIP thread's deadline after the plan
        await self._link.there(CONTROL_WAIT_S)  # the first call may ask it for something
        where = f"{self._config.sip.bind}:{self._config.sip.port}"
        print(f"ready {self._config.name}: SIP on {where}/udp", flush=True)  # noqa: T201  # the supervisor's wire

    # ---- calls -----------------------------------------------------------------------------------------------

    def _incoming(self, leg: Leg) -> None:
        if self._deps.rendezvous.admit(leg):
            return
        plan = self._plans.plan
        if plan is None or not self._trunks_known.is_set():
            self._tasks.create_task(contained(self._turn_away(leg), leg.id))
            return
        try:
            call = Call(leg, plan, self._deps)
        except Exception:
            log.exception("call.unusable", call_id=leg.id)
            self._tasks.create_task(contained(leg.hang_up(HangUpBy.BRIDGE, 500, "internal error"), leg.id))
            return
        self._begin(call)

    def _begin(self, call: Call) -> None:
        self._calls[call.id] = call
        self._busy.enter()
        self._taken += 1
        self._supervisor.status(len(self._calls), self._taken)
        self._tasks.create_task(self._carry(call), name=f"call-{call.id[:8]}")

    async def _carry(self, call: Call) -> None:
        try:
            if not await contained(call.run(), call.id):
                await contained(call.hang_up(500, "internal error"), call.id)
        finally:
            self._calls.pop(call.id, None)
            self._deps.occupancy.leave(call.id)
            self._supervisor.status(len(self._calls), self._taken)
            self._busy.leave()
            if not self._calls:
                self._plans.rest()

    async def _dial(self, uri: str, headers: Mapping[str, str], from_uri: str, trunk: str) -> Leg:
        return await self._agent.call(uri, headers, from_uri, trunk)

    async def _turn_away(self, leg: Leg) -> None:
        self._record_refusal(leg.id, leg.invite, 503, "no dialplan yet")
        await leg.hang_up(HangUpBy.BRIDGE, 503, "no dialplan yet")

    def _record_refusal(self, call_id: str, invite: Invite, status: int, reason: str) -> None:
        log.warning(
            "call.refused", call_id=call_id, status=status, reason=reason, pii_from=invite.caller.user
        )
        version = self._plans.version
        journal = Journal(call_id, self._link.emit, lambda: self._agent.book.take(invite.sip_call_id))
        journal.started(invite, route="", plan_version=version, worker=self._config.name)
        journal.ended(HungUp(HangUpBy.BRIDGE, status, reason))

    # ---- calls that we place ---------------------------------------------------------------------------------

    def _place_call(self, wanted: PlaceCall) -> None:
        if wanted.call_id in self._placed:
            return
        self._placed.append(wanted.call_id)
        self._tasks.create_task(contained(self._place(wanted), wanted.call_id))

    async def _place(self, wanted: PlaceCall) -> None:
        try:
            plan = self._plan_for(wanted)
            variables = {str(name): str(value) for name, value in wanted.variables.items()}
            order = order_of(plan, wanted.number, wanted.run, variables)
        except ValueError as error:
            log.warning("outbound.not_placed", call_id=wanted.call_id, reason=str(error))
            facts = {"call_id": wanted.call_id, "reason": str(error)}
            with contextlib.suppress(LinkError):  # then nobody knows, and control says so
                await self._link.request("outbound.not_placed", facts, self._config.deadlines.link_request_s)
            return
        with self._busy:
            await self._dial_order(wanted.call_id, order, plan)

    def _plan_for(self, wanted: PlaceCall) -> Plan:
        plan = self._plans.plan
        if plan is None or plan.version != wanted.plan_version:
            raise ValueError("the worker has another plan")
        if self._closed() or len(self._calls) >= self._config.sip.max_calls:
            raise ValueError("the worker takes no calls now")
        return plan

    async def _dial_order(self, call_id: str, order: Order, plan: Plan) -> None:
        """The record begins before the INVITE goes out: what rings somewhere is known here."""
        journal, bind = Journal(call_id, self._link.emit), self._config.sip.bind
        invite, name = order.invite(bind), self._config.name
        journal.started(
            invite, route="outbound", plan_version=plan.version, worker=name, direction="outbound"
        )
        log.info("outbound.dialled", call_id=call_id, pii_to=order.number)
        try:
            leg = await self._agent.call(
                invite.request_uri, from_uri=order.from_uri(bind), trunk=order.rules.trunk, leg_id=call_id
            )
        except SipError as error:
            if error.sip_status == 503:
                journal.note(NOT_PLACED, reason=str(error))
            journal.ended(HungUp(HangUpBy.BRIDGE, 503, "cannot dial"), str(error))
            return
        except TimeoutError:  # the INVITE may still go out
            journal.ended(HungUp(HangUpBy.BRIDGE, 503, UNSURE), "no answer of the SIP thread")
            return
        self._begin(Call(leg, plan, self._deps, order))
        with contextlib.suppress(SipError, TimeoutError):
            journal.note("call.dialled", sip_call_id=await leg.sip_call_id())

    # ---- control's words -------------------------------------------------------------------------------------

    def _plan_changed(self) -> None:
        self._link.say_status()
        self._replanned.set()
        plan = self._plans.plan
        if plan is not None:
            texts = [text for agent in plan.agents for text in (agent.instructions, agent.greeting or "")]
            threading.Thread(target=warm, args=(texts,), name="templates", daemon=True).start()

    def drain(self) -> None:
        """Take no new calls; end when the running ones are over, at the drain deadline at the latest."""
        self._hurried.set()
        self.retire()

    def retire(self) -> None:
        """Take no new calls; end when the running ones are over, however long they last."""
        self._draining.set()
        self._open_or_close()

    def pause(self, on: bool) -> None:
        """Take no new calls, and stay; or take calls again."""
        self._paused = on
        self._open_or_close()

    def _closed(self) -> bool:
        return self._paused or self._draining.is_set()

    def _open_or_close(self) -> None:
        if hasattr(self, "_agent"):
            self._agent.accepting = not self._closed()
        self._link.say_status()

    async def _drain(self) -> None:
        log.info("worker.draining", calls=len(self._calls))
        await over(self._busy.idle, self._hurried, EDGE_KNOWS_S if self._config.sip.edge else 0.0)
        try:
            async with asyncio.timeout(self._config.deadlines.drain_s):
                await self._busy.idle.wait()
        except TimeoutError:
            log.warning("worker.drain_deadline", calls=len(self._calls))
            for call in tuple(self._calls.values()):
                await contained(call.hang_up(503, "shutdown", "the drain deadline passed"), call.id)
            async with asyncio.timeout(STOP_WAIT_S):
                await self._busy.idle.wait()

    def _hang_up(self, call_id: str, reason: str) -> None:
        if call := self._calls.get(call_id):
            self._tasks.create_task(contained(call.hang_up(200, reason, "asked by control"), call_id))

    def _tool_update(self, call_id: str, function_call_id: str, data: Mapping[str, Any]) -> None:
        if call := self._calls.get(call_id):
            call.tools.update(function_call_id, data)

    def _watch(self, call_id: str, seconds: float) -> None:
        if call := self._calls.get(call_id):
            call.glimpse.watch(seconds)

    def _call_command(self, command: CallCommand) -> None:
        if call := self._calls.get(command.call_id):
            call.commands.take(command)

    def _facts(self) -> Mapping[str, Any]:
        agent = getattr(self, "_agent", None)
        clock = agent.clock.stats if agent is not None else None
        return {
            "slot": self._config.index,
            "pool": self._config.pool,
            "draining": self._closed(),
            "sip_port": self._config.sip.port,
            "plan_version": self._plans.version,
            "plan_refused": self._plans.refused,
            "calls": len(self._calls),
            "held": self._deps.occupancy.held if hasattr(self, "_deps") else {},
            "clock_late_ticks": clock.late_ticks if clock else 0,
            "clock_max_late_ms": round(clock.max_late_s * 1000, 1) if clock else 0.0,
            "clock_restarts": clock.restarts if clock else 0,
            "trunks": agent.trunk_facts if agent is not None else {},
            "registrar": self._registrar,
        }


def preload() -> None:
    """What a worker loads only when it works: for the process that workers are forked from (bridge/zygote.py)."""
    load_prices()


def main() -> int:
    """`python -m bridge worker`: configuration as one line of JSON on standard input, then the supervisor's words.

    Exit status 1: could not start, or cannot go on.
    """
    text, rest = read_config()
    config = WorkerConfig.from_json(text)
    configure(config.log.level, config.log.format, redact=config.log.redact, process=config.name)
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    calm()
    threading.current_thread().name = "loop"
    try:
        asyncio.run(Worker(config, rest).run())
    except* BridgeError as group:
        log.error("worker.failed", reason="; ".join(str(error) for error in group.exceptions))  # noqa: TRY400
        sys.stdout.flush()
        sys.stderr.flush()
        # Not by return: what a dead pj thread left behind aborts the process when another thread clears it away.
        os._exit(1)
    return 0
