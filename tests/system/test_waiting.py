"""Queues, parked calls and supervisors over real SIP: two workers, one control; phones: tests/fakes/rawphone.py.

Every party has a tone of its own, so that the RTP shows who hears whom.
"""

import asyncio
import re
import time
import wave
from contextlib import asynccontextmanager
from dataclasses import replace

import numpy as np
import pytest

from bridge.control_waiting import WaitingRoom
from bridge.dialplan.plan import AgentStep, Condition, HangUpStep, Plan, Route
from bridge.dialplan.queue import Queue
from bridge.dialplan.steps import ParkStep, PickUpStep, QueueStep
from bridge.link.messages import CallCommand
from bridge.link.server import LinkServer
from bridge.media.g711 import pcmu_decode, pcmu_encode
from tests.fakes.ladder import check, ladder
from tests.fakes.rawphone import raw_phone
from tests.fakes.realtime_server import FakeRealtime, tone
from tests.fakes.wire import wire
from tests.fakes.worker_process import AGENT, GREETING, Control, WorkerProcess, _process, worker_config

pytestmark = pytest.mark.system

CALLER, OTHER, AGENT_HZ, SPEECH_HZ, MUSIC_HZ = KNOWN = 700, 1300, 440, 2000, 1000
SECOND = 8000


def wav(folder, hz):
    """A second of a tone in a file."""
    path = folder / f"{hz}.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(tone(1000, 8000, hz=hz))
    return str(path)


class Desk(Control):
    """What control is for calls that wait; a text is spoken as a tone."""

    def __init__(self, folder):
        super().__init__(folder)
        self.room = WaitingRoom()
        self.spoken, self.held = [], set()
        self.wav = wav(folder, SPEECH_HZ)

    async def answer(self, kind, data, hello):
        if kind == "speech.say":
            self.spoken.append(data["text"])
            return {"path": self.wav}
        if kind == "queue.wait":
            for member in self.held:  # talks with somebody else
                place = {
                    **data,
                    "call_id": f"with {member}",
                    "state": "talking",
                    "member": member,
                    "admitted": True,
                }
                await self.room.answer(kind, place)
        if self.room.knows(kind):
            return await self.room.answer(kind, data)
        return await super().answer(kind, data, hello)

    async def release(self):
        """The members are free."""
        for member in tuple(self.held):
            self.held.discard(member)
            await self.room.answer("queue.leave", {"call_id": f"with {member}"})


@asynccontextmanager
async def bridge(folder, plan, workers=2):
    """Workers on one control."""
    desk = Desk(folder)
    (folder / "run").mkdir()
    (folder / "run" / "plan.json").write_text(plan.to_json())
    async with FakeRealtime(GREETING, None).running() as model, LinkServer(folder / "s", desk) as link:
        running = []
        async with asyncio.TaskGroup() as tasks:
            stop = asyncio.Event()
            for index in range(workers):
                config = replace(worker_config(folder, model.url), index=index, name=f"worker-{index}")
                worker = WorkerProcess(config, model, desk)
                worker.link, worker.ready = link, asyncio.Event()
                own = folder / f"w{index}"
                own.mkdir()
                running.append(worker)
                tasks.create_task(_hold(worker, own, stop))
            try:
                async with asyncio.timeout(15):
                    await asyncio.gather(*(worker.ready.wait() for worker in running))
                await until(lambda: len(link.peers()) == workers)
                yield running
            finally:
                stop.set()


async def _hold(worker, folder, stop):
    async with _process(worker, folder, ready=True):
        worker.ready.set()
        await stop.wait()


def route(called, *steps):
    return Route(called, (Condition("to", (called,)),), steps)


def sound(hz):
    """The payload of packet `n` of a tone."""
    pcm = tone(1000, 8000, hz=hz)
    return lambda n: pcmu_encode(pcm[n % 50 * 320 : n % 50 * 320 + 320])


def hears(phone, last_s=0.4):
    """Which tones were in what came within the last moments."""
    since = time.monotonic() - last_s
    pcm = b"".join(pcmu_decode(p.payload) for p in phone.rtp.got if p.at > since and p.payload_type == 0)
    return tones(np.frombuffer(pcm, "<i2"))


def tones(samples):
    if len(samples) < 1600:
        return set()
    power = np.abs(np.fft.rfft(samples * np.hanning(len(samples)))) / len(samples)
    at = {hz: power[round(hz * len(samples) / SECOND) + np.arange(-3, 4)].max() for hz in KNOWN}
    return {hz for hz, level in at.items() if level > 300}


async def until(condition, guard_s=12.0):
    async with asyncio.timeout(guard_s):
        while not condition():  # noqa: ASYNC110  # RTP tells nobody
            await asyncio.sleep(0.02)


class Callee:
    """A phone that is called: a member of a queue, a supervisor."""

    def __init__(self, phone):
        self.phone = phone
        self.invite = None

    @property
    def uri(self):
        return f"sip:{self.phone.call_id}@127.0.0.1:{self.phone.sip_port}"

    async def rings(self):
        self.invite = await self.phone.request("INVITE")
        self.phone.port = int(re.search(r"127\.0\.0\.1:(\d+)", self.invite.headers["via"])[1])
        self.invite.headers["to"] += ";tag=callee"
        return self

    async def answers(self):
        await self.rings()
        self.phone.take(self.invite)
        self.phone.rtp_to = ("127.0.0.1", int(re.search(r"m=audio (\d+)", self.invite.body)[1]))
        contact = f"Contact: <{self.uri}>\r\n"
        self.phone.reply(self.invite, headers=contact, body=self.phone.sdp())
        await self.phone.request("ACK")

    def refuses(self):
        self.phone.reply(self.invite, 486, "Busy Here")

    async def hangs_up(self):
        headers = self.invite.headers
        target = re.search(r"<([^>]+)>", headers["contact"])[1]
        self.phone.raw(
            f"BYE {target} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{self.phone.sip_port};branch=z9hG4bKbye\r\n"
            f"Max-Forwards: 70\r\nFrom: {headers['to']}\r\nTo: {headers['from']}\r\nCall-ID: {headers['call-id']}\r\n"
            "CSeq: 9 BYE\r\nContent-Length: 0\r\n\r\n"
        )
        await self.phone.response(9, "BYE")


QUEUE = Queue(
    "help", ("ann", "bob"), "in_order", 10, 0, 30, 5, 60, "", "Number {{ vars.position }}.", 10, "en"
)


async def test_callers_of_two_workers_wait_in_one_queue_and_the_next_member_is_tried(tmp_path):
    async with raw_phone(0) as ann_phone, raw_phone(0) as bob_phone:
        ann, bob = Callee(ann_phone), Callee(bob_phone)
        steps = (QueueStep("help", (HangUpStep(503, "nobody"),)), HangUpStep(None, "bye"))
        queue = replace(QUEUE, music=wav(tmp_path, MUSIC_HZ))
        targets = {"ann": ann.uri, "bob": bob.uri}
        plan = Plan((route("100", *steps),), (), transfers=targets, queues=(queue,))
        async with (
            bridge(tmp_path, plan) as workers,
            raw_phone(workers[0].port) as first,
            raw_phone(workers[1].port) as second,
        ):
            workers[0].control.held |= {"ann", "bob"}
            assert (await first.invite()).status == 200
            await until(lambda: SPEECH_HZ in hears(first))
            await until(lambda: hears(first) == {MUSIC_HZ})
            assert (await second.invite()).status == 200
            await until(lambda: SPEECH_HZ in hears(second))
            assert workers[0].control.spoken[:2] == ["Number 1.", "Number 2."]
            # Both are called: ann for the first caller, bob for the second. Ann is busy, so nobody is left for now.
            await workers[0].control.release()
            await ann.rings()
            await bob.answers()
            ann.refuses()
            async with second.speaking(sound(CALLER)), bob.phone.speaking(sound(OTHER)):
                await until(lambda: hears(second) == {OTHER} and hears(bob.phone) == {CALLER})
            assert hears(first) == {MUSIC_HZ}
            await bob.hangs_up()
            bob.phone.sip.got.clear()
            second.reply(await second.request("BYE"))
            # Bob is free again, and it is the first caller's turn.
            await bob.answers()
            async with first.speaking(sound(CALLER)), bob.phone.speaking(sound(OTHER)):
                await until(lambda: hears(first) == {OTHER} and hears(bob.phone) == {CALLER})
            await first.bye()
            await bob.phone.request("BYE")
            bob.phone.reply(await bob.phone.request("BYE"))
            await workers[0].ended(2)
            assert workers[0].control.room.states()[0].waiting == 0


@pytest.mark.parametrize("picking", [0, 1], ids=["same-worker", "other-worker"])
async def test_a_call_that_is_parked_is_picked_up(tmp_path, picking):
    routes = (
        route("700", ParkStep("701", 60, wav(tmp_path, MUSIC_HZ), ()), HangUpStep(None, "")),
        route("701", PickUpStep("701", (HangUpStep(404, "empty"),)), HangUpStep(None, "")),
    )
    async with (
        wire() as line,
        bridge(tmp_path, Plan(routes, ())) as workers,
        raw_phone(workers[0].port) as parked,
        raw_phone(workers[picking].port) as picker,
    ):
        assert (await parked.invite(to="700")).status == 200
        await workers[0].event("park.parked")
        await until(lambda: hears(parked) == {MUSIC_HZ})
        assert (await picker.invite(to="701")).status == 200
        async with parked.speaking(sound(CALLER)), picker.speaking(sound(OTHER)):
            await until(lambda: hears(parked) == {OTHER} and hears(picker) == {CALLER})
        assert len(workers[0].of("leg.dialled")) == picking
        assert (await picker.bye()).status == 200
        bye = await parked.request("BYE")
        parked.reply(bye)
        assert "picked_up" in bye.headers["reason"]
        await workers[0].ended(2)
        ports = {"parked": parked.sip_port, "picker": picker.sip_port, "bridge-2": workers[1].port}
        seen = line.ladder(apart=bool(picking), bridge=workers[0].port, **ports)
        check(("park", "park-two-workers")[picking], seen)
        async with raw_phone(workers[1].port) as late:
            assert (await late.invite(to="701")).status == 404


async def test_an_invite_with_a_token_that_nobody_gave_is_refused(tmp_path):
    plan = Plan((Route("all", (), (AgentStep("front"),)),), (AGENT,))
    async with bridge(tmp_path, plan, workers=1) as workers, raw_phone(workers[0].port) as phone:
        assert (await phone.invite(to="meet-" + "0" * 32)).status == 404
        assert workers[0].control.events == []


@pytest.mark.parametrize(
    ("mode", "caller_hears", "model_hears"),
    [
        ("listen", {AGENT_HZ}, {CALLER}),
        ("whisper", {AGENT_HZ}, {CALLER, OTHER}),
        ("join", {AGENT_HZ, OTHER}, {CALLER, OTHER}),
    ],
)
async def test_who_hears_whom_when_a_supervisor_is_there(tmp_path, mode, caller_hears, model_hears):
    async with raw_phone(0) as phone_of_boss:
        boss = Callee(phone_of_boss)
        plan = Plan((Route("all", (), (AgentStep("front"),)),), (AGENT,), transfers={"boss": boss.uri})
        async with bridge(tmp_path, plan, workers=1) as (worker,), raw_phone(worker.port) as caller:
            assert (await caller.invite()).status == 200
            session = await worker.model.session()
            await worker.event("agent.finished")
            call_id = worker.control.events[-1].call_id
            worker.link.broadcast(CallCommand(call_id, "1", "supervise", {"target": "boss", "mode": mode}))
            await boss.answers()
            assert (await worker.done())["ok"] is True
            response_id, item_id = await session.start_response()
            await session.audio(response_id, item_id, tone(8000, hz=AGENT_HZ))
            before = len(session.of("input_audio_buffer.append"))
            async with caller.speaking(sound(CALLER)), boss.phone.speaking(sound(OTHER)):
                await until(lambda: hears(boss.phone) == {CALLER, AGENT_HZ} and hears(caller) == caller_hears)
                await session.hears(40, since=before)
            pcm = np.frombuffer(session.heard(before), "<i2")
            assert tones(pcm[::3][-3200:]) == model_hears
            await boss.hangs_up()
            assert (await worker.event("supervisor.left")) == [{"leg": "boss"}]
            await caller.bye()
            await worker.ended()
            check("supervisor", ladder(caller=caller, supervisor=boss.phone))
