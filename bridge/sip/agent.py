"""The SIP user agent of one worker process: one pjsua2 endpoint, and the one thread that owns it.

    asyncio loop ──submit(command)──► queue ──► pj thread: libHandleEvents, then the queue, for ever
    asyncio loop ◄─call_soon_threadsafe(frozen event)── pj thread (all pjsua2 callbacks run there: threadCnt=0)

No pj object leaves the pj thread, ids do. Every pj object sits in a dict here and is dropped only on that thread: a
garbage collection that destroyed one elsewhere would crash the process. The rules (what may be asked when) are in
dialog.py; callbacks and commands of one call are in pjcall.py, the audio is in port.py.
"""

import asyncio
import concurrent.futures
import contextlib
import contextvars
import functools
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Self, TypeVar

import pjsua2 as pj
import structlog

from bridge.config import MediaConfig, SipConfig
from bridge.errors import MediaError, SipError
from bridge.sip.accounts import Accounts, PjEndpoint
from bridge.sip.directory import unusable
from bridge.sip.doorman import Doorman
from bridge.sip.edge import believed, sockets
from bridge.sip.endpoint import (
    EXTENSION,
    TRANSACTION_MS,
    AgentInfo,
    allow_codecs,
    endpoint_config,
    new_audio,
    open_pjsua,
    transport_config,
)
from bridge.sip.errands import Errands
from bridge.sip.events import Dtmf, DtmfMethod, HangUpBy, Invite
from bridge.sip.headers import clean, own_invite
from bridge.sip.identity import identity
from bridge.sip.ladder import Book
from bridge.sip.leg import Leg
from bridge.sip.mediaclock import MediaClock
from bridge.sip.mediaqueue import MediaQueue, Pump
from bridge.sip.natives import Natives, SilentConference
from bridge.sip.pace import Pace
from bridge.sip.pjcall import PjCall, call_parameters
from bridge.sip.placed import PlacedCalls
from bridge.sip.siptap import Tap
from bridge.sip.trunkdesk import Secret, TrunkDesk
from bridge.sip.waker import Waker
from bridge.trunk import Trunk

log = structlog.get_logger(__name__)

POLL_MS = 100  # how long the pj thread waits: a command wakes it at once (see Waker), a digit that came by RTP does not
PJSUA_LINES = 4  # PJSUA_MAX_CALLS as compiled; beyond it pjsua answers 486 and tells nobody
COMMAND_DEADLINE_S = 5.0  # a pj thread that does not answer for so long is stuck, and the worker replaced
STUCK_S = 30.0  # a pj thread that has not come round for so long never will; longer than a slow name server

T = TypeVar("T")
OnIncoming = Callable[[Leg], None]
OnRefused = Callable[[str, Invite, int, str], None]


class SipAgent:
    """The worker's SIP side for the asyncio loop. `async with SipAgent(...)`: the endpoint lives as long as the block.

    `on_incoming` is called on the loop with a fresh `Leg` for every INVITE that is let in; `on_refused` for every one
    that is not, with its status. Raises SipError when the port is taken, MediaError without codecs.
    """

    def __init__(self, sip: SipConfig, media: MediaConfig, *, log_file: Path | None = None) -> None:
        self._sip = sip
        self._media = media
        self.codecs = sip.codecs
        self._log_file = log_file
        self._waker = Waker(sip.bind, sip.port)
        self._errands = Errands(self._waker.wake, COMMAND_DEADLINE_S)
        self._submit = self._errands.submit
        self._calls: dict[str, PjCall] = {}
        self._dead: list[PjCall] = []
        self._placed = PlacedCalls()
        self._pace = Pace()
        self._thread = threading.Thread(target=self._run, name="pj", daemon=True)
        self._started: concurrent.futures.Future[AgentInfo] = concurrent.futures.Future()
        self._stopping = self._unsettled = False
        self._turned_s = time.monotonic()
        self._loop: asyncio.AbstractEventLoop
        self._on_incoming: OnIncoming | None = None
        self._on_refused: OnRefused | None = None
        self.accepting = False
        self.natives: Natives | None = None
        self._conference: SilentConference | None = None
        self.clock: MediaClock
        self.book = Book()
        self._accounts = Accounts(sip, self)
        self._accounts.told = self._trunks = TrunkDesk(self._accounts, self._submit)
        self._trunk_task: asyncio.Task[None]
        self.info: AgentInfo

    # ---- the loop's side -------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._context = contextvars.copy_context()  # for what callbacks log; the pj thread's own is empty
        self._thread.start()
        self.info = await asyncio.wrap_future(self._started)
        log.info("sip.listening", **asdict(self.info))
        self._trunk_task = asyncio.create_task(self._trunks.run(), name="trunks")
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._trunk_task.cancel()
        self._stopping = True
        self._waker.wake()
        await asyncio.to_thread(self._thread.join, COMMAND_DEADLINE_S)
        self._waker.close()

    def listen(self, on_incoming: OnIncoming, on_refused: OnRefused) -> None:
        """Say who gets the calls; until then every INVITE is refused with 503."""
        self._on_incoming = on_incoming
        self._on_refused = on_refused
        self.accepting = True

    async def use_trunks(self, trunks: Iterable[Trunk], secret: Secret, *, register: bool = True) -> None:
        """The trunks in force from now on; what did not change keeps its registration. One worker may `register`.

        Returns when calls from them are known; registrations follow, see `trunk_facts`. Raises SipError.
        """
        await self._trunks.use(tuple(trunks), secret, register=register)

    @property
    def trunk_facts(self) -> Mapping[str, Mapping[str, Any]]:
        """How each trunk is, by name: registered, reachable (None: unknown), problem."""
        return self._trunks.facts

    async def call(
        self,
        uri: str,
        headers: Mapping[str, str] | None = None,
        from_uri: str = "",
        trunk: str = "",
        leg_id: str = "",
    ) -> Leg:
        """Place a call; the leg's events tell how it goes. `from_uri` replaces the agent's own From (name-addr form).

        `trunk`: by whose account, proxy and caller-id rules (see identity.py); `Trunk.uri` makes the URI of a number.
        Raises SipError when a URI is unusable, the trunk is not ready or (503) all lines are busy.
        """
        chosen = self._accounts.trunks.get(trunk)
        invite = own_invite(f"{self._sip.user_agent}@{self._sip.bind}", uri, trunk)
        leg = self._new_leg(invite, chosen, incoming=False, leg_id=leg_id)
        who = identity(chosen, from_uri, headers or {})

        def dial() -> None:
            if self._full():
                raise SipError(503, "all lines are busy")
            if not self._pace.admit(time.monotonic()):
                raise SipError(503, "too many calls at once")
            call = PjCall(self, self._accounts.account(trunk), leg)
            prm = call_parameters(headers=who.headers)
            prm.txOption.localUri = who.from_uri
            if problem := call.place(uri, prm):
                self._dead.append(call)
                raise SipError(400, f"cannot call {clean(uri)}: {problem}")
            self._calls[leg.id] = call
            leg.dialogs.append(call.sip_call_id)
            self._placed.add(call.sip_call_id)

        try:
            await self._submit(dial)
        except BaseException:
            # Whoever wanted it is gone, and the INVITE may go out all the same, later: it is ended behind it.
            self.fail(leg.id, 487, "nobody waits for this call", "its caller is gone")
            raise
        return leg

    async def command(self, leg_id: str, action: Callable[[PjCall], T], default: T) -> T:
        """Run `action` on the leg's pj call on the pj thread; `default` when the leg is gone already."""

        def run() -> T:
            return default if (call := self._calls.get(leg_id)) is None else action(call)

        return await self._submit(run)

    def _new_leg(self, invite: Invite, trunk: Trunk | None, *, incoming: bool, leg_id: str = "") -> Leg:
        audio, leg_id = new_audio(self._loop, self._media), leg_id or uuid.uuid4().hex
        audio.on_failure = functools.partial(self.fail, leg_id, 500, "media failed")
        audio.pressed = lambda: self.clock.pressed
        return Leg(leg_id, invite, audio, self, incoming=incoming, trunk=trunk)

    def problem(self, now: float) -> str:
        """What makes this agent useless at monotonic `now`; "" while it works. Cheap."""
        if not self._thread.is_alive():
            return "the pj thread is dead"
        still_s = now - self._turned_s
        if still_s > STUCK_S:
            return f"the pj thread stands still for {still_s:.0f} s"
        return self.clock.problem(now)

    # ---- the pj thread's side --------------------------------------------------------------------------------

    def to_loop(self, callback: Callable[..., None], *args: object) -> None:
        """Run `callback` on the loop; quietly nothing when the loop is closed already."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(callback, *args, context=self._context)

    def fail(self, leg_id: str, status: int, reason: str, what: str) -> None:
        """The call cannot go on: end it on the pj thread, soon. `what` is for the log. Any thread."""

        def run() -> None:
            if (call := self._calls.get(leg_id)) is not None:
                log.error("sip.call_failed", call_id=leg_id, status=status, reason=reason, what=what)
                call.fail(status, reason)

        self._errands.post(run)

    def incoming(self, call_index: int, invite: Invite) -> None:
        """An INVITE passed the doorman and pjsip's own checks: make its leg."""
        self._doorman.taken()
        invite = self.identified(invite)
        trunk = self._accounts.trunks.get(invite.trunk)
        leg = self._new_leg(invite, trunk, incoming=True)
        account = self._accounts.account(invite.trunk, ready=False)
        call = self._calls[leg.id] = PjCall(self, account, leg, call_index)
        self._placed.came_in(invite.sip_call_id)
        if (verdict := unusable(invite, trunk)) is not None:
            call.end(HangUpBy.BRIDGE, *verdict)
            self.turned_away(invite, *verdict)
        elif self._on_incoming is not None:
            self.to_loop(self._on_incoming, leg)

    def identified(self, invite: Invite) -> Invite:
        """The INVITE with where it comes from, and of which trunk."""
        invite = believed(invite, behind_edge=bool(self._sip.edge))
        return replace(invite, trunk=self._accounts.trunk_of(invite))

    def find(self, leg_id: str) -> PjCall | None:
        """The call of a leg."""
        return self._calls.get(leg_id)

    def succeed(self, call: PjCall, heir: PjCall) -> None:
        """The leg of `call` is that of `heir` from now on."""
        self._doorman.taken()
        self._calls[call.leg.id] = heir
        self._dead.append(call)

    def admit_heir(self) -> bool:
        """Whether an INVITE that takes over a call may come in although no new call may; it counts."""
        return self._doorman.lines_in_use() < PJSUA_LINES and self._pace.admit(time.monotonic())

    def closed(self) -> tuple[int, str] | None:
        """Why no call may come in now (RFC 3261 section 21.5.4: a carrier tries elsewhere on 503); None: one may.

        A call that is over for us keeps its line in pjsua until the peer has answered our BYE.
        """
        if self._full():
            return 503, "All Lines Busy"
        return None if self.accepting else (503, "Not Accepting Calls")

    def _full(self) -> bool:
        return len(self._calls) >= self._sip.max_calls or self._doorman.lines_in_use() >= PJSUA_LINES

    def admit(self) -> tuple[int, str] | None:
        """Like `closed`, for an INVITE: it counts."""
        verdict = self.closed()
        if verdict is None and not self._pace.admit(time.monotonic()):
            verdict = 503, "Too Many Calls At Once"
        return verdict

    def turned_away(self, invite: Invite, status: int, phrase: str) -> None:
        """An INVITE was refused."""
        if self._on_refused is not None:
            self.to_loop(self._on_refused, uuid.uuid4().hex, invite, status, phrase)

    def knows(self, request: Invite) -> bool:
        """Whether a request within a dialog belongs to a call that is up."""
        return any(call.owns(request) for call in self._calls.values())

    def placed(self, sip_call_id: str) -> bool:
        """Whether a Call-ID is that of a call we placed, and of none that came in."""
        return sip_call_id in self._placed

    def pressed(self, info: Invite, digit: str) -> None:
        """A digit came by INFO."""
        for call in self._calls.values():
            if call.owns(info):
                call.emit(Dtmf(digit, DtmfMethod.INFO))

    def forget(self, call: PjCall) -> None:
        """The call is over. The object itself goes after its callback has returned, on this thread."""
        if self._calls.pop(call.leg.id, None) is not None:
            self._dead.append(call)

    def _run(self) -> None:
        endpoint = PjEndpoint(self._accounts)
        try:
            self._start(endpoint)
        except (pj.Error, SipError, MediaError, OSError, AttributeError) as error:
            reason = error.reason if isinstance(error, pj.Error) else str(error)
            self._destroy(endpoint)
            where = f"{self._sip.bind}:{self._sip.port}"
            self._started.set_exception(SipError(500, f"cannot start SIP on {where}: {clean(reason)}"))
            return
        while not self._stopping:
            self._turn(endpoint)
        self._hang_up_all(endpoint)
        self.clock.stop()
        self._pump.stop()
        self._doorman.leave()
        self._dead.clear()
        self._calls.clear()
        self._accounts.leave(lambda: endpoint.libHandleEvents(10))
        self._destroy(endpoint)

    def _turn(self, endpoint: pj.Endpoint) -> None:
        """One round: the network, then the commands. Nothing that goes wrong in one of them may end the thread."""
        self._turned_s = time.monotonic()
        try:
            endpoint.libHandleEvents(POLL_MS)
            self._bury()
            self._accounts.sweep(self._accounts_in_use)
            self._settle()
            self._errands.work_off()
        except Exception:
            log.exception("sip.round_failed")

    def _bury(self) -> None:
        """Drop the objects of calls that are over, but never one whose slot pjsua has given to a new call already.

        Its destructor hangs up whatever call has its number.
        """
        self._dead = [call for call in self._dead if call.isActive()]

    def _accounts_in_use(self) -> set[int]:
        return {call.account_id for call in (*self._calls.values(), *self._dead)}

    def _settle(self) -> None:
        """When the last call is over, the conference bridge lets go of what the calls left in its queue."""
        if self._unsettled and not self._calls and not self._dead and self._conference is not None:
            self._conference.settle()
            self._unsettled = False
        self._unsettled = self._unsettled or bool(self._calls)

    def _start(self, endpoint: pj.Endpoint) -> None:
        library = open_pjsua()
        endpoint.libCreate()
        endpoint.libInit(endpoint_config(self._sip, self._media, self._log_file))
        library.pjsip_tsx_set_timers(0, 0, 0, TRANSACTION_MS)
        endpoint.transportCreate(pj.PJSIP_TRANSPORT_UDP, transport_config(self._sip))
        note = self._choose_audio(endpoint)
        endpoint.libStart()
        allow_codecs(endpoint, self._sip.codecs)
        self._accounts.start()
        tap = Tap.of(EXTENSION, self._sip, functools.partial(self.to_loop, self.book.add))
        self._doorman = Doorman(EXTENSION, self, sockets(self._sip.edge), tap)
        if not self._doorman.stand():
            raise SipError(500, "pjsip does not take the doorman module")
        queue, known = MediaQueue(EXTENSION), endpoint.libRegisterThread
        self.clock = MediaClock(self._media.tick_ms, known, self._loop, queue.read if self.natives else None)
        self._pump = Pump(queue, known, needed=not self.natives)
        for part in (self.clock, self._pump):
            part.start()
        audio = "direct" if self.natives else "conference"
        self._started.set_result(AgentInfo(self._sip.bind, self._sip.port, audio, note))

    def _choose_audio(self, endpoint: pj.Endpoint) -> str:
        """Direct stream access when every check passes, else the conference bridge and why."""
        try:
            natives = Natives(EXTENSION)
            problem = natives.check()
        except (OSError, AttributeError) as error:
            problem = str(error)
        if problem:
            endpoint.audDevManager().setNullDev()
            return problem
        self.natives = natives
        self._conference = natives.silence_conference(self._media.rate_hz)
        return ""

    def _hang_up_all(self, endpoint: pj.Endpoint) -> None:
        for call in list(self._calls.values()):
            call.ended_by = call.ended_by or (HangUpBy.BRIDGE, "shutdown")
            with contextlib.suppress(pj.Error):
                call.hangup(call_parameters(503, headers={"Reason": 'SIP;cause=503;text="Shutting Down"'}))
        until = time.monotonic() + 0.5
        while self._calls and time.monotonic() < until:
            endpoint.libHandleEvents(10)

    def _destroy(self, endpoint: pj.Endpoint) -> None:
        with contextlib.suppress(pj.Error):
            endpoint.libDestroy()
        self._accounts.clear()
