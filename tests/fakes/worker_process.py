"""A real worker process on loopback, a fake model and a stand-in for control beside it."""

import asyncio
import signal
import sys
import wave
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from bridge.config import (
    DeadlinesConfig,
    LimitsConfig,
    LogConfig,
    MediaConfig,
    PathsConfig,
    ProviderConfig,
    RecordingConfig,
    SipConfig,
    WorkerConfig,
)
from bridge.dialplan.plan import Agent, AgentStep, Plan, Route
from bridge.errors import LinkError
from bridge.link.messages import CallCommand, Event, decode
from bridge.link.server import LinkServer
from bridge.media.tones import beep
from bridge.records.cdr import fold
from tests.fakes.ports import free_block, free_port
from tests.fakes.realtime_server import FakeRealtime, tone

ROOT = Path(__file__).parents[2]
GUARD_S = 25.0
GREETING = tone(400)
AGENT = Agent("front", "Be kind.", greeting="Hello", turn_detection={"type": "server_vad"}, recording=False)


def plan_of(*steps, agent=AGENT, **changes):
    """One route for every call; without steps it leads to the agent."""
    return Plan((Route("all", (), steps or (AgentStep("front"),)),), (replace(agent, **changes),))


class Control:
    """What control does for a worker, in memory: keeps events and what commands came to, speaks with a tone."""

    def __init__(self, folder):
        self.folder = folder
        self.asked = []
        self.events, self.done = [], []
        self.changed = asyncio.Condition()

    async def store(self, worker, events):
        known = {(event.boot, event.seq) for event in self.events}
        self.events.extend(event for event in events if (event.boot, event.seq) not in known)
        async with self.changed:
            self.changed.notify_all()

    async def answer(self, kind, data, hello):
        if kind == "tool.command_done":
            self.done.append(data)
            async with self.changed:
                self.changed.notify_all()
            return {}
        self.asked.append((kind, dict(data)))
        if kind == "speech.say":
            return {"path": str(self._spoken())}
        raise LinkError(f"no such request {kind!r}")

    def _spoken(self):
        path = self.folder / "spoken.wav"
        with wave.open(str(path), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(8000)
            file.writeframes(beep(400, 800.0))
        return path

    def gone(self, hello):
        pass

    def status(self, hello, before, now):
        pass


class WorkerProcess:
    """The running process and everything around it."""

    def __init__(self, config, model, control):
        self.config = config
        self.model = model
        self.control = control
        self.port = config.sip.port
        self.process = None
        self.output = []

    @property
    def uri(self):
        return f"sip:100@127.0.0.1:{self.port}"

    @property
    def pid(self):
        return self.process.pid

    def of(self, event_type, call_id=None):
        """Data of every event of a type so far."""
        return [
            event.data
            for event in self.control.events
            if event.type == event_type and call_id in {None, event.call_id}
        ]

    async def event(self, event_type, count=1, guard_s=GUARD_S):
        """Wait until `count` events of a type have come; their data."""
        async with asyncio.timeout(guard_s), self.control.changed:
            await self.control.changed.wait_for(lambda: len(self.of(event_type)) >= count)
        return self.of(event_type)

    async def ended(self, count=1, guard_s=GUARD_S):
        """Wait until `count` calls are over; their records in order of their ends."""
        await self.event("call.ended", count, guard_s)
        order = [event.call_id for event in self.control.events if event.type == "call.ended"]
        return [fold([e for e in self.control.events if e.call_id == call_id]) for call_id in order]

    def command(self, kind, command_id="1", **data):
        """Have the only call there is do something, as a tool would."""
        call_id = self.control.events[-1].call_id
        self.link.broadcast(CallCommand(call_id, command_id, kind, data))

    async def done(self, count=1):
        """What the last of `count` commands came to."""
        async with asyncio.timeout(GUARD_S), self.control.changed:
            await self.control.changed.wait_for(lambda: len(self.control.done) >= count)
        return self.control.done[-1]

    def spooled(self):
        """Events on disk, whole lines only."""
        files = sorted(Path(self.config.paths.spool).glob("*.jsonl"))
        lines = [line for file in files for line in file.read_text().splitlines()]
        return [event for event in map(decode, lines) if isinstance(event, Event)]

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)

    async def exit(self, guard_s=GUARD_S):
        """The exit status, when the process is gone."""
        async with asyncio.timeout(guard_s):
            return await self.process.wait()

    def alive(self):
        return self.process.returncode is None

    def usage(self):
        """(RSS in KiB, threads, open files) of the process."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        fields = dict(line.split(":", 1) for line in status.splitlines())
        return (
            int(fields["VmRSS"].split()[0]),
            int(fields["Threads"]),
            len(list(Path(f"/proc/{self.pid}/fd").iterdir())),
        )


def worker_config(folder, model_url, *, limits=None, deadlines=None, media=None, sip=None, recording=None):
    """A worker of its own: free ports, everything else under `folder`."""
    rtp_first = free_block(100)
    chosen = {"port": free_port(), "rtp_first": rtp_first, "rtp_last": rtp_first + 98}
    return WorkerConfig(
        sip=SipConfig(**chosen | (sip or {})),
        media=MediaConfig(**(media or {})),
        limits=LimitsConfig(**(limits or {})),
        deadlines=DeadlinesConfig(**{"answer_wait_s": 4.0, "session_ready_s": 3.0} | (deadlines or {})),
        recording=RecordingConfig(enabled=recording is not None, folder=str(recording or folder / "rec")),
        providers=(ProviderConfig(name="local", kind="compatible", url=model_url),),
        log=LogConfig(level="info", format="json"),
        paths=PathsConfig(str(folder), str(folder / "s"), str(folder / "spool"), str(folder / "prompts")),
    )


@asynccontextmanager
async def running_worker(
    folder,
    plan=None,
    *,
    greeting=GREETING,
    on_event=None,
    control=True,
    model_url=None,
    plan_text="",
    **config,
):
    """Start, wait for the ready line, and kill in the end whatever happened. `config`: see worker_config.

    `plan_text`: what stands in the plan file instead of a plan; such a worker never gets ready.
    """
    (folder / "run").mkdir(exist_ok=True)
    (folder / "run" / "plan.json").write_text(plan_text or (plan or plan_of()).to_json())
    keeper = Control(folder)
    async with FakeRealtime(greeting, on_event).running() as model:
        worker = WorkerProcess(worker_config(folder, model_url or model.url, **config), model, keeper)
        if not control:
            async with _process(worker, folder, ready=not plan_text):
                yield worker
            return
        async with (
            LinkServer(folder / "s", keeper) as worker.link,
            _process(worker, folder, ready=not plan_text),
        ):
            if not plan_text:
                await _linked(worker)  # a call before that is a call without control: no text is spoken
            yield worker


async def _linked(worker):
    async with asyncio.timeout(GUARD_S):
        while not worker.link.peers():  # noqa: ASYNC110  # the link tells nobody
            await asyncio.sleep(0.01)


@asynccontextmanager
async def _process(worker, folder, *, ready):
    with (folder / "worker.log").open("wb") as log:
        worker.process = await asyncio.create_subprocess_exec(
            sys.executable, "-X", "faulthandler", "-m", "bridge", "worker",
            cwd=ROOT, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=log,
        )  # fmt: skip
    try:
        worker.process.stdin.write(worker.config.to_json().encode() + b"\n")
        async with asyncio.timeout(GUARD_S):
            while ready and not (line := await worker.process.stdout.readline()).startswith(b"ready"):
                assert line, (folder / "worker.log").read_text()
        yield worker
    finally:
        if worker.process.returncode is None:
            worker.process.kill()
        await worker.process.wait()
        problems = [line for line in (folder / "worker.log").read_text().splitlines() if "Traceback" in line]
        assert not problems, (folder / "worker.log").read_text()[-4000:]
