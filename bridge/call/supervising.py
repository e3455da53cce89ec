"""A supervisor in a running call: hears it, whispers to the agent, speaks with both, or takes the call over.

    command supervise {target, mode} ─► INVITE ─► answered ─► party of the caller's conference, until it hangs up
                      {target: seat:ID, key, mode} ─► a socket ─► {address, rate_hz}: the same, from a browser

`listen`: hears everybody and is heard by nobody. `whisper`: heard by all but the caller, which with a model is the
model. `join`: heard by all. Without a conference one is made of the caller and what is played to it (the agent); while
a step connects the caller with others the supervisor moves over to them. It all runs beside the call's steps and ends
with the supervisor's hang-up, a stop, or the call. On the worker's loop.
"""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Protocol

from bridge.call.context import CallContext, NotDoneError
from bridge.call.limits import Ending
from bridge.call.seatline import seat_line
from bridge.call.secondleg import SecondLeg, second_leg
from bridge.call.talk import AgentTalk
from bridge.call.tasks import cancelled, either
from bridge.media.frame import FRAME_MS, bytes_per_ms
from bridge.media.mixer import Mixer

MODES = ("listen", "whisper", "join")
RING_S = 30
LOOK_S = 0.1
MAX_SUPERVISORS = 3
BACK_S = 30.0  # for the agent to be heard again
Answered = asyncio.Future[Mapping[str, Any]]
CALLER = "party-0"  # secondleg.connected's name for its first party
AGENT = "agent"
LOST_NOTE = "The colleague's connection was lost before they could say anything about it."
SEAT = "seat:"
"""Begins the target of a browser's seat; no name in a plan has a colon."""


class End(Protocol):
    """What a supervisor listens with: a leg of ours, or a seat. `over`: it is gone."""

    @property
    def over(self) -> asyncio.Event: ...

    def join(self, mixer: Mixer, party: str) -> None:
        """Be `party` of this conference from now on."""

    def leave(self) -> None:
        """Be in none."""


@dataclass(frozen=True, slots=True)
class _Phone:
    """A leg that we called."""

    leg: SecondLeg

    @property
    def over(self) -> asyncio.Event:
        return self.leg.over

    def join(self, mixer: Mixer, party: str) -> None:
        self.leg.leg.audio.join(mixer, party)

    def leave(self) -> None:
        self.leg.leg.audio.leave()


class Supervisor:
    """One of them. `stop` sends it away; `over`: it is gone; `gives_back`: it had the caller, the agent shall again.

    `key`: of a seat; `who` is at it, for the record.
    """

    def __init__(self, target: str, party: str, mode: str, key: str = "", who: str = "") -> None:
        self.target = target
        self.party = party
        self.mode = mode
        self.key = key
        self.leg = f"browser of {who[:64]}" if key else target
        self.who = who[:64] if key else target
        self.stop = asyncio.Event()
        self.over = asyncio.Event()
        self.gives_back = asyncio.Event()
        self.connected = False


class Supervision:
    """The supervisors of one call. `run` lives as long as the call."""

    def __init__(self, context: CallContext, talk: AgentTalk) -> None:
        self._context = context
        self._talk = talk
        self._audio = context.caller.leg.audio
        self._numbers = itertools.count(1)
        self._here: dict[str, Supervisor] = {}
        self._jobs: asyncio.Queue[tuple[Supervisor, Answered]] = asyncio.Queue()
        self._mixer: Mixer | None = None
        self._holder: Supervisor | None = None
        self._giver: Supervisor | None = None
        self._kept = asyncio.Event()

    async def run(self) -> None:
        """Carry supervisors until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                tasks.create_task(self._supervise(*await self._jobs.get()))

    async def command(self, data: Mapping[str, Any]) -> Mapping[str, Any]:
        """Bring {target, mode} in, or change its mode; {target, stop: true} sends it away."""
        target, mode = str(data.get("target", "")), str(data.get("mode") or MODES[0])
        here = self._here.get(target)
        if data.get("stop"):
            if here is None:
                raise NotDoneError(f"{target[:40]!r} supervises nothing here")
            here.stop.set()
            await here.over.wait()
            return {}
        if mode not in MODES:
            raise NotDoneError(f"there is no mode {mode[:20]!r}; there are: {', '.join(MODES)}")
        if here is not None:
            self._change(here, mode)
            return {}
        party = f"supervisor-{next(self._numbers)}"
        key, who = str(data.get("key", "")), str(data.get("by", ""))
        return await self._bring(Supervisor(target, party, mode, key, who))

    async def take_over(self, data: Mapping[str, Any]) -> Mapping[str, Any]:
        """End the agent's session: caller and {target} talk alone. Raises NotDoneError: no agent has the caller."""
        target = str(data.get("target", ""))
        if target not in self._here:
            await self.command({"target": target, "mode": "join"})
        supervisor = self._here.get(target)
        if supervisor is None:
            raise NotDoneError(f"{target[:40]!r} has hung up")
        if not supervisor.connected:
            raise NotDoneError("the seat is not connected yet")
        await self._talk.leave(lambda: self._alone(supervisor))
        if supervisor.mode != "join":  # not before: who cannot take over stays as unheard as they were
            self._change(supervisor, "join")
        self._context.journal.note("supervisor.took_over", leg=supervisor.leg)
        return {}

    async def hand_back(self, data: Mapping[str, Any]) -> Mapping[str, Any]:
        """The agent is to have the caller again, {note} from who took over. Back when it does; raises NotDoneError.

        Who took over stays until the agent is heard, so that the caller is never alone; if it cannot come, they go on.
        """
        holder = self._holder
        if holder is None or holder.over.is_set() or holder.gives_back.is_set():
            raise NotDoneError("nobody has taken the caller over")
        self._talk.handed_back(holder.who, str(data.get("note", "")))
        self._giver = holder
        self._kept.clear()
        holder.gives_back.set()
        try:
            async with asyncio.timeout(BACK_S):
                await either(self._talk.has_the_caller(), self._kept.wait())
        except TimeoutError:
            raise NotDoneError(
                "the agent was not heard in time; who took over is still on the line"
            ) from None
        if self._kept.is_set():
            raise NotDoneError("the agent is not available; who took over still has the caller")
        self._giver = None
        self._context.journal.note("supervisor.gave_back", leg=holder.leg)
        if holder.key and not holder.over.is_set():  # who sits at a page may want to hear how it goes on
            await self.command({"target": holder.target, "mode": "listen"})
        else:
            holder.stop.set()
        return {}

    def kept(self) -> Callable[[], Awaitable[None]] | None:
        """The agent cannot come back: who was giving the caller back to it has them on. None: nobody was."""
        giver, self._giver = self._giver, None
        if giver is None or giver.over.is_set():
            return None
        self._context.journal.note("supervisor.took_over", leg=giver.leg)
        self._kept.set()
        return lambda: self._alone(giver)

    async def _alone(self, supervisor: Supervisor) -> None:
        """In place of the agent's step: to the end of the call, or until the agent is to have the caller again."""
        self._holder = supervisor
        self._context.with_people()
        supervisor.gives_back.clear()
        try:
            await either(supervisor.over.wait(), supervisor.gives_back.wait())
        finally:
            self._holder = None
        if supervisor.gives_back.is_set():
            return
        if not supervisor.key:
            await self._context.end(Ending(200, "taken_over", f"{supervisor.leg} hung up"))
        # A window that is closed, or a network that is gone, is no hang-up: the caller is not to pay for it.
        self._context.journal.note("supervisor.gave_back", leg=supervisor.leg, lost=True)
        self._talk.handed_back(supervisor.who, LOST_NOTE)

    async def _bring(self, supervisor: Supervisor) -> Mapping[str, Any]:
        """Returns when the supervisor has answered; of a seat, where it is expected. Raises NotDoneError."""
        if not self._context.caller.answered:
            raise NotDoneError("the call is not answered yet")
        if len(self._here) >= MAX_SUPERVISORS:
            raise NotDoneError("too many supervise this call already")
        answered: Answered = asyncio.get_running_loop().create_future()
        self._here[supervisor.target] = supervisor
        self._jobs.put_nowait((supervisor, answered))
        return await answered

    async def _supervise(self, supervisor: Supervisor, answered: Answered) -> None:
        journal = self._context.journal
        ends = self._seated if supervisor.target.startswith(SEAT) else self._called
        try:
            async with ends(supervisor, answered) as end:
                journal.note("supervisor.joined", leg=supervisor.leg, mode=supervisor.mode)
                supervisor.connected = True
                _done(answered)
                gone = either(end.over.wait(), supervisor.stop.wait())
                await either(gone, self._keep_in(supervisor, end))
        except NotDoneError as error:
            _done(answered, error)
        finally:
            if supervisor.connected:
                journal.note("supervisor.left", leg=supervisor.leg)
            del self._here[supervisor.target]
            supervisor.over.set()
            _done(answered, NotDoneError("the call ended before"))

    @contextlib.asynccontextmanager
    async def _called(self, supervisor: Supervisor, _answered: Answered) -> AsyncIterator[End]:
        async with second_leg(self._context, supervisor.target, ring_s=RING_S) as leg:
            yield _Phone(leg)

    @contextlib.asynccontextmanager
    async def _seated(self, supervisor: Supervisor, answered: Answered) -> AsyncIterator[End]:
        """Its first word comes when control has told it where to send it: the command is answered before."""
        rate_hz = self._audio.rate_hz
        bind = self._context.deps.config.sip.bind
        async with seat_line(bind, supervisor.key, FRAME_MS * bytes_per_ms(rate_hz)) as line:
            watching = asyncio.create_task(line.watch())
            try:
                _done(answered, {"address": line.address, "rate_hz": rate_hz})
                await either(line.here.wait(), either(line.over.wait(), supervisor.stop.wait()))
                if not line.here.is_set():
                    raise NotDoneError("the seat did not come")
                yield line
            finally:
                await cancelled(watching)

    # ---- who hears whom --------------------------------------------------------------------------------------

    async def _keep_in(self, supervisor: Supervisor, end: End) -> None:
        """In the caller's conference, whichever that is now; steps make and leave theirs as they go."""
        mixer: Mixer | None = None
        try:
            while True:
                if mixer is None or self._audio.conference is not mixer:
                    if mixer is not None:
                        mixer.leave(supervisor.party)
                    mixer = self._audio.conference or self._own()
                    self._seat(supervisor, mixer)
                    end.join(mixer, supervisor.party)
                await asyncio.sleep(LOOK_S)
        finally:
            end.leave()
            if mixer is not None:
                mixer.leave(supervisor.party)
                self._close(mixer)

    def _change(self, supervisor: Supervisor, mode: str) -> None:
        supervisor.mode = mode
        self._context.journal.note("supervisor.mode", leg=supervisor.leg, mode=mode)
        if supervisor.connected:
            self._seat(supervisor, self._audio.conference)

    def _own(self) -> Mixer:
        """A conference of the caller and what is played to it."""
        mixer = self._mixer = Mixer()
        mixer.join(CALLER)
        mixer.join(AGENT)
        self._audio.join(mixer, CALLER, voice=AGENT)
        return mixer

    def _close(self, mixer: Mixer) -> None:
        """The last supervisor leaves no conference behind."""
        if mixer is self._mixer is self._audio.conference and mixer.parties == {CALLER, AGENT}:
            self._audio.leave()

    @staticmethod
    def _seat(supervisor: Supervisor, mixer: Mixer | None) -> None:
        if mixer is not None:
            hidden = (CALLER,) if supervisor.mode == "whisper" else ()
            mixer.join(supervisor.party, muted=supervisor.mode == "listen", hidden_from=hidden)


def _done(answered: Answered, outcome: NotDoneError | Mapping[str, Any] = MappingProxyType({})) -> None:
    with contextlib.suppress(asyncio.InvalidStateError):
        if isinstance(outcome, NotDoneError):
            answered.set_exception(outcome)
        else:
            answered.set_result(outcome)
