"""The beginning of a call that we placed: it rings, somebody answers, and who that is. Then its steps may be heard.

    INVITE ─► ringing ─► 200 OK ─► listen (media/amd.py) ─► human, silence, undecided: the steps are heard
       └ ring_s: CANCEL               └► machine: hang up · wait for the beep, leave a message · the steps

The steps run from the start, so that the model is connected and its first words are there while it rings; the gate
`may_talk` holds them back. A shell: the rules are the plan's (dialplan/outbound.py). On the worker's loop.
"""

import asyncio
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from bridge.call.callerside import CallerSide, End
from bridge.call.journal import Journal
from bridge.call.limits import CallLimits
from bridge.config import LimitsConfig
from bridge.dialplan.outbound import Outbound
from bridge.dialplan.plan import AgentStep, CallFacts, Plan, Step
from bridge.dialplan.recording import RecordingRule
from bridge.media.amd import Amd, MessageMoment, Verdict
from bridge.sip.events import Confirmed, Invite, LegEvent, Party, Ringing
from bridge.sip.leg import Leg

NO_AUDIO_GRACE_S = 0.5
"""A peer that sends no RTP at all gives no frames to count by; so much later the clock decides."""
BEEP_WAIT_S = 30.0
NO_ANSWER = "no_answer"
"""The reason of a call that we stopped ringing; control knows it by this word (outbound/job.py)."""
NOT_PLACED = "call.not_placed"
"""The event of a call whose INVITE was never sent; control takes it for no try (outbound/job.py)."""
UNSURE = "unsure"
"""The reason of a call of which nobody can say whether its INVITE was sent."""
_HOST = re.compile(r"@([A-Za-z0-9.-]+)")


@dataclass(frozen=True, slots=True)
class Order:
    """A call to place. `steps`: what a person hears. `variables`: data for the agent, from whoever asked.

    `recording`: the rule of the route whose steps these are.
    """

    number: str
    rules: Outbound
    steps: tuple[Step, ...]
    variables: Mapping[str, str] = field(default_factory=dict)
    recording: RecordingRule | None = None

    def facts(self) -> CallFacts:
        """What the agent's templates see: we are the caller."""
        return CallFacts(to_number=self.number, from_number=self.rules.caller_id, vars=dict(self.variables))

    def invite(self, bind: str) -> Invite:
        """The INVITE that will be sent, for the record."""
        uri = self.rules.uri(self.number)
        host = _HOST.search(uri)
        called = Party(self.number, host[1] if host else "", uri=uri)
        return Invite("", uri, Party(self.rules.caller_id, bind), called, request_party=called)

    def from_uri(self, bind: str) -> str:
        """The From header."""
        return f"<sip:{self.rules.caller_id}@{bind}>"


def order_of(plan: Plan, number: str, run: str, variables: Mapping[str, str]) -> Order:
    """The order by this plan. ValueError says why there is none: the number may not be dialled, or no such steps.

    `run`: "" for the plan's own steps, "agent:NAME", "route:NAME".
    """
    rules = plan.outbound
    if rules is None:
        raise ValueError("the dialplan has no outbound section")
    rules.uri(number)
    kind, _, name = run.partition(":")
    if not run:
        return Order(number, rules, rules.steps, variables)
    if kind == "agent" and name in {agent.name for agent in plan.agents}:
        return Order(number, rules, (AgentStep(name),), variables)
    route = next((one for one in plan.routes if kind == "route" and one.name == name), None)
    if route is None:
        raise ValueError(f"the dialplan has no {kind} {name}"[:120])
    return Order(number, rules, route.steps, variables, route.recording)


class Outgoing:
    """`may_talk`: what the steps play is heard from now on."""

    def __init__(self, leg: Leg, order: Order, journal: Journal) -> None:
        self.order = order
        self.may_talk = asyncio.Event()
        self.leg = leg
        self.journal = journal
        self._rang = False
        self._confirmed = asyncio.Event()
        self._began_s = time.monotonic()

    def take(self, event: LegEvent) -> None:
        """Ringing, or Confirmed."""
        if isinstance(event, Ringing) and not self._rang and not self._confirmed.is_set():
            self._rang = True
            self.journal.note("call.ringing", status=event.status)
        if isinstance(event, Confirmed) and not self._confirmed.is_set():
            media = self.leg.media
            self.journal.note(
                "call.answered",
                codec=media.codec if media else "",
                ptime_ms=media.ptime_ms if media else 0,
                remote_rtp=media.remote if media else "",
                answer_ms=round((time.monotonic() - self._began_s) * 1000, 1),
            )
            self._confirmed.set()

    async def answered(self) -> bool:
        """Whether somebody answers within ring_s."""
        try:
            async with asyncio.timeout(self.order.rules.ring_s):
                await self._confirmed.wait()
        except TimeoutError:
            return False
        return True

    async def who(self) -> Verdict:
        """Who has answered; HUMAN at once when nobody wants to know."""
        rules = self.order.rules
        if not rules.amd:
            return Verdict.HUMAN
        amd, began_s = Amd(rules.amd_s), time.monotonic()
        verdict: Verdict | None = None
        self.leg.audio.listen()
        try:
            async with asyncio.timeout(rules.amd_s + NO_AUDIO_GRACE_S):
                while verdict is None:
                    verdict = amd.hear(await self.leg.audio.read_narrow())
        except TimeoutError:
            verdict = amd.give_up()
        ms = round((time.monotonic() - began_s) * 1000)
        self.journal.note("amd", verdict=verdict.value, ms=ms, why=amd.why)
        return verdict

    async def message_moment(self) -> None:
        """Wait until the machine listens: its beep is over, or it is silent for a while."""
        moment = MessageMoment()
        why = "waited long enough"
        try:
            async with asyncio.timeout(BEEP_WAIT_S):
                while not (found := moment.hear(await self.leg.audio.read_narrow())):
                    pass
                why = found
        except TimeoutError:
            pass
        self.journal.note("amd.message", why=why)


class CalledSide(CallerSide):
    """Who we called, as the steps see them: "answer" is when they may be talked to."""

    def __init__(self, out: Outgoing, limits: LimitsConfig, end: End) -> None:
        super().__init__(out.leg, out.journal, limits, end)
        self._out = out

    async def ring(self) -> None:
        """The other side does that."""

    async def early_media(self) -> bool:
        """Nobody listens before they have answered."""
        return False

    async def answer(self) -> None:
        """Wait until the right one has answered; what was played is heard from now on."""
        if self.limits is not None:
            return
        await self._out.may_talk.wait()
        if self.limits is None:  # two steps may have waited
            now = time.monotonic()
            self.limits = CallLimits(self._config, now)
            self.limits.held(self.leg.held, now)
            self.leg.audio.start()
