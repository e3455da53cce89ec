"""A whole call in memory: FakeLine on one side, FakeRealtime on the other, the real Call between them."""

import asyncio
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

from bridge.call.call import Call
from bridge.call.modelside import CallDeps
from bridge.call.rendezvous import Rendezvous
from bridge.call.waittimes import WaitTimes
from bridge.config import DeadlinesConfig, LimitsConfig, ProviderConfig, RecordingConfig, WorkerConfig
from bridge.dialplan.plan import Agent, AgentStep, Plan, Route
from bridge.errors import LinkError
from bridge.media.recorder import RecorderThread
from bridge.realtime.usage import load_prices
from bridge.records.cdr import fold
from tests.fakes.line import FakeLine, frame, settle
from tests.fakes.memory import Connector
from tests.fakes.realtime_server import FakeRealtime, tone

GUARD_S = 20.0
PRICES = load_prices()
VAD = {"type": "server_vad", "create_response": True, "interrupt_response": True}
AGENT = Agent(
    "front", "Be kind to {{ caller.number }}.", greeting="Hello there", turn_detection=VAD, recording=False
)
SPEAK = tone(400)
MUSIC = frame(300, 1000)
PROVIDER = ProviderConfig(name="local", kind="compatible", url="ws://model.example/v1/realtime")
CONFIG = WorkerConfig(
    providers=(PROVIDER,), deadlines=DeadlinesConfig(session_ready_s=2.0, answer_wait_s=3.0)
)


def plan_of(*steps, agents=(AGENT,)):
    return Plan((Route("all", (), tuple(steps)),), tuple(agents))


def config_of(limits=None, deadlines=None, **changes):
    chosen = replace(CONFIG, **changes)
    if limits is not None:
        chosen = replace(chosen, limits=LimitsConfig(**limits))
    if deadlines is not None:
        chosen = replace(chosen, deadlines=replace(CONFIG.deadlines, **deadlines))
    return chosen


@dataclass
class Kept:
    """One event of the record, as control would get it."""

    call_id: str
    type: str
    data: dict[str, Any]
    boot: str = "b"
    at: float = 0.0
    mono: float = 0.0


class Stage:
    """The call that runs, and everything around it."""

    def __init__(self, line, model, connector, events):
        self.line = line
        self.model = model
        self.connector = connector
        self.events = events
        self.changed = asyncio.Condition()
        self.task = None
        self.call = None
        self.others = []

    def emit(self, call_id, event_type, data):
        assert isinstance(data, dict) or dict(data) is not None
        self.events.append(Kept(call_id, event_type, dict(data), at=time.time(), mono=time.monotonic()))

    def of(self, event_type):
        return [event.data for event in self.events if event.type == event_type]

    @property
    def types(self):
        return [event.type for event in self.events]

    @property
    def record(self):
        return fold(self.events)

    async def until(self, condition, *, ticking=True, speech=None):
        """Let the media clock tick and the loop run until `condition()` holds; fails after GUARD_S."""
        async with asyncio.timeout(GUARD_S):
            while not condition():
                if ticking:
                    await self.line.advance(20, speech)
                    for other in self.others:
                        await other.advance(20)
                await asyncio.sleep(0)

    async def session(self, number=0):
        """The n-th session of the model, greeted."""
        await self.until(lambda: len(self.model.sessions) > number)
        return self.model.sessions[number]

    async def talking(self):
        """The call is answered and the greeting was heard to its end."""
        session = await self.session()
        await self.until(lambda: self.of("agent.finished"))
        await settle()
        return session

    async def over(self):
        """The call's own end."""
        await self.until(self.task.done)
        return self.record


@asynccontextmanager
async def on_stage(
    plan=None,
    *,
    config=CONFIG,
    greeting=SPEAK,
    failures=(),
    on_event=None,
    line=None,
    request=None,
    dial=None,
    rendezvous=None,
    times=None,
):
    """A call in memory, started; cancelled at the end if it still runs."""
    line = line or FakeLine()
    model = FakeRealtime(greeting, on_event)
    connector = Connector(model, failures)
    stage = Stage(line, model, connector, [])

    async def refuse(kind, data, deadline_s):
        raise LinkError("control is away")

    with RecorderThread(flush_s=0.05) as recorder:
        deps = CallDeps(
            config,
            PRICES,
            recorder,
            stage.emit,
            request or refuse,
            connector,
            dial=dial,
            music=lambda path: MUSIC,
            rendezvous=rendezvous or Rendezvous(),
            times=times or WaitTimes(),
        )
        stage.call = Call(line.leg, plan or plan_of(AgentStep("front")), deps)
        stage.task = asyncio.create_task(stage.call.run())
        try:
            yield stage
        finally:
            stage.task.cancel()
            await asyncio.gather(stage.task, return_exceptions=True)


def recording_config(folder):
    """Recordings under `folder`."""
    return config_of(recording=RecordingConfig(enabled=True, folder=str(folder)))
