"""A supervisor in a running call: hears it, whispers to the agent, speaks with both, or takes the call over.

    command supervise {target, mode} ─► INVITE ─► answered ─► party of the caller's conference, until it hangs up

`listen`: hears everybody and is heard by nobody. `whisper`: heard by all but the caller, which with a model is the
model. `join`: heard by all. Without a conference one is made of the caller and what is played to it (the agent); while
a step connects the caller with others the supervisor moves over to them. It all runs beside the call's steps and ends
with the supervisor's hang-up, a stop, or the call. On the worker's loop.
"""

import asyncio
import contextlib
import itertools
from collections.abc import Mapping
from typing import Any

from bridge.call.context import CallContext, NotDoneError
from bridge.call.limits import Ending
from bridge.call.secondleg import SecondLeg, second_leg
from bridge.call.talk import AgentTalk
from bridge.call.tasks import either
from bridge.media.mixer import Mixer

MODES = ("listen", "whisper", "join")
RING_S = 30
LOOK_S = 0.1
MAX_SUPERVISORS = 3
BACK_S = 30.0  # for the agent to be heard again
CALLER = "party-0"  # secondleg.connected's name for its first party
AGENT = "agent"


class Supervisor:
    """One of them. `stop` sends it away; `over`: it is gone; `gives_back`: it had the caller, the agent shall again."""

    def __init__(self, target: str, party: str, mode: str) -> None:
        self.target = target
        self.party = party
        self.mode = mode
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
        self._jobs: asyncio.Queue[tuple[Supervisor, asyncio.Future[None]]] = asyncio.Queue()
        self._mixer: Mixer | None = None
        self._holder: Supervisor | None = None

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
            here.mode = mode
            self._context.journal.note("supervisor.mode", leg=target, mode=mode)
            if here.connected:
                self._seat(here, self._audio.conference)
            return {}
        await self._bring(target, mode)
        return {}

    async def take_over(self, data: Mapping[str, Any]) -> Mapping[str, Any]:
        """End the agent's session: caller and {target} talk alone. Raises NotDoneError: no agent has the caller."""
        target = str(data.get("target", ""))
        await self.command({"target": target, "mode": "join"})
        supervisor = self._here.get(target)
        if supervisor is None:
            raise NotDoneError(f"{target[:40]!r} has hung up")
        await self._talk.leave(lambda: self._alone(supervisor))
        self._context.journal.note("supervisor.took_over", leg=target)
        return {}

    async def hand_back(self, data: Mapping[str, Any]) -> Mapping[str, Any]:
        """The agent is to have the caller again, {note} from who took over. Back when it does; raises NotDoneError.

        Who took over stays until the agent is heard, so that the caller is never alone.
        """
        holder = self._holder
        if holder is None or holder.over.is_set() or holder.gives_back.is_set():
            raise NotDoneError("nobody has taken the caller over")
        self._talk.handed_back(holder.target, str(data.get("note", "")))
        holder.gives_back.set()
        try:
            async with asyncio.timeout(BACK_S):
                await self._talk.has_the_caller()
        except TimeoutError:
            raise NotDoneError(
                "the agent was not heard in time; who took over is still on the line"
            ) from None
        self._context.journal.note("supervisor.gave_back", leg=holder.target)
        holder.stop.set()
        return {}

    async def _alone(self, supervisor: Supervisor) -> None:
        """In place of the agent's step: to the end of the call, or until the agent is to have the caller again."""
        self._holder = supervisor
        supervisor.gives_back.clear()
        try:
            await either(supervisor.over.wait(), supervisor.gives_back.wait())
        finally:
            self._holder = None
        if not supervisor.gives_back.is_set():
            await self._context.end(Ending(200, "taken_over", f"{supervisor.target} hung up"))

    async def _bring(self, target: str, mode: str) -> None:
        """Returns when the supervisor has answered. Raises NotDoneError."""
        if not self._context.caller.answered:
            raise NotDoneError("the call is not answered yet")
        if len(self._here) >= MAX_SUPERVISORS:
            raise NotDoneError("too many supervise this call already")
        supervisor = Supervisor(target, f"supervisor-{next(self._numbers)}", mode)
        answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._here[target] = supervisor
        self._jobs.put_nowait((supervisor, answered))
        await answered

    async def _supervise(self, supervisor: Supervisor, answered: "asyncio.Future[None]") -> None:
        journal, target = self._context.journal, supervisor.target
        try:
            async with second_leg(self._context, target, ring_s=RING_S) as other:
                journal.note("supervisor.joined", leg=target, mode=supervisor.mode)
                supervisor.connected = True
                _done(answered)
                gone = either(other.over.wait(), supervisor.stop.wait())
                await either(gone, self._keep_in(supervisor, other))
        except NotDoneError as error:
            _done(answered, error)
        finally:
            if supervisor.connected:
                journal.note("supervisor.left", leg=target)
            del self._here[target]
            supervisor.over.set()
            _done(answered, NotDoneError("the call ended before"))

    # ---- who hears whom --------------------------------------------------------------------------------------

    async def _keep_in(self, supervisor: Supervisor, other: SecondLeg) -> None:
        """In the caller's conference, whichever that is now; steps make and leave theirs as they go."""
        mixer: Mixer | None = None
        try:
            while True:
                if mixer is None or self._audio.conference is not mixer:
                    if mixer is not None:
                        mixer.leave(supervisor.party)
                    mixer = self._audio.conference or self._own()
                    self._seat(supervisor, mixer)
                    other.leg.audio.join(mixer, supervisor.party)
                await asyncio.sleep(LOOK_S)
        finally:
            other.leg.audio.leave()
            if mixer is not None:
                mixer.leave(supervisor.party)
                self._close(mixer)

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


def _done(answered: "asyncio.Future[None]", error: NotDoneError | None = None) -> None:
    with contextlib.suppress(asyncio.InvalidStateError):
        if error is None:
            answered.set_result(None)
        else:
            answered.set_exception(error)
