"""Calls that the bridge places, over real SIP: a fake trunk answers as people, machines and networks do."""

import asyncio
import json
import os
import signal
import sqlite3
import uuid
from contextlib import asynccontextmanager, closing

import pytest

from bridge.cli.demo import embedded_bridge, environment
from bridge.dialplan.outbound import Outbound
from bridge.dialplan.plan import AgentStep, HangUpStep, Plan, Route, SayStep
from bridge.link.messages import PlaceCall
from bridge.media.tones import beep
from bridge.sim.voice import speak
from tests.fakes.ladder import check
from tests.fakes.trunk import answers, busy, fake_trunk, reject, silent
from tests.fakes.wire import wire
from tests.fakes.worker_process import AGENT, GUARD_S, running_worker
from tests.system.test_tools import sipbridge
from tests.system.test_tools_kill import process_of

pytestmark = pytest.mark.system

PERSON = speak("Hello?", rate_hz=8000)
MACHINE = speak(
    "Hi, you have reached Anna Smith. Please leave a message after the tone.", rate_hz=8000
) + beep(400)
NUMBER = "+493012345678"
PROMPT = beep(300, 700.0)


def plan_of(trunk, **changes):
    rules = {"allow": ("+49",), "target": f"sip:{{number}}@127.0.0.1:{trunk.port}", "caller_id": "+4930999"}
    rules |= {"steps": (AgentStep("front"),), "ring_s": 5} | changes
    return Plan((Route("all", (), (AgentStep("front"),)),), (AGENT,), outbound=Outbound(**rules))


@asynccontextmanager
async def worker_that_dials(folder, behaviour, **changes):
    async with fake_trunk(default=behaviour) as trunk:
        plan = plan_of(trunk, **changes)
        (folder / "prompts").mkdir()
        write_wav(folder / "prompts" / "msg.wav", PROMPT)
        async with running_worker(folder, plan) as worker:
            yield worker, trunk, plan


def write_wav(path, pcm):
    import wave

    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(pcm)


async def place(worker, plan, number=NUMBER, **changes):
    """Have it dial; the call's id."""
    call_id = uuid.uuid4().hex
    async with asyncio.timeout(GUARD_S):
        while not worker.link.peers():  # noqa: ASYNC110  # the link tells nobody
            await asyncio.sleep(0.02)
    words = {"plan_version": plan.version, "run": "", "variables": {}} | changes
    worker.link.broadcast(PlaceCall(call_id, number, **words))
    return call_id


async def test_a_person_hears_the_agent_right_after_saying_hello(tmp_path):
    async with (
        wire() as line,
        worker_that_dials(tmp_path, answers(PERSON, ring_s=0.6)) as (worker, trunk, plan),
    ):
        call_id = await place(worker, plan)
        await worker.event("amd")
        await trunk.until(lambda: trunk.invites and len(trunk.of(NUMBER)[0].heard()) > 10)
        call = trunk.of(NUMBER)[0]
        # "Hello?" takes half a second; 0.72 s of silence after it mean that a person waits.
        said_s = len(PERSON) / 16000
        assert call.heard()[0].at - call.answered_at < said_s + 0.72 + 0.6
        assert worker.of("amd", call_id)[0]["verdict"] == "human"
        assert "+4930999@" in call.invite.headers["from"]
        (session,) = worker.model.sessions
        kinds = [event.type for event in worker.control.events if event.call_id == call_id]
        assert kinds.index("session.ready") < kinds.index("call.answered")
        assert session is not None
        worker.link.hang_up(0, call_id, "test")
        (record,) = await worker.ended()
        assert (record.call_id, record.direction, record.to_uri) == (call_id, "outbound", NUMBER)
        assert record.answered_at is not None
        assert record.sip_call_id == call.invite.headers["call-id"]
        check("outbound-answered", line.ladder(bridge=worker.port, trunk=trunk.port))


async def test_a_machine_gets_its_message_after_the_beep_and_the_agent_is_silent(tmp_path):
    message = (SayStep("x", "en", "msg"), HangUpStep(None, ""))
    machine = answers(MACHINE)
    async with worker_that_dials(tmp_path, machine, on_machine="leave_message", message=message) as (
        worker,
        trunk,
        plan,
    ):
        await place(worker, plan)
        (record,) = await worker.ended()
        call = trunk.of(NUMBER)[0]
        said = call.heard()
        assert worker.of("amd")[0]["verdict"] == "machine"
        assert worker.of("amd.message")[0]["why"] == "beep"
        assert said[0].at - call.answered_at > len(MACHINE) / 16000 - 0.1
        assert 10 <= len(said) <= 20
        assert (record.ended_by, record.end_status) == ("bridge", 200)
        assert call.over.is_set()


async def test_a_machine_is_hung_up_on_without_a_word(tmp_path):
    async with worker_that_dials(tmp_path, answers(MACHINE)) as (worker, trunk, plan):
        await place(worker, plan)
        (record,) = await worker.ended()
        assert (record.end_reason, record.end_status) == ("machine", 200)
        assert not trunk.of(NUMBER)[0].heard()


async def test_nobody_answers_and_the_ringing_is_cancelled(tmp_path):
    async with wire() as line, worker_that_dials(tmp_path, silent, ring_s=1) as (worker, trunk, plan):
        await place(worker, plan)
        (record,) = await worker.ended()
        assert (record.end_status, record.end_reason) == (487, "no_answer")
        assert [r.method for r in trunk.requests if r.method != "ACK"] == ["INVITE", "CANCEL"]
        check("outbound-no-answer", line.ladder(bridge=worker.port, trunk=trunk.port))


@pytest.mark.parametrize(("behaviour", "status"), [(busy, 486), (reject, 603)])
async def test_a_refusal_of_the_network_is_the_record_s_status(tmp_path, behaviour, status):
    async with wire() as line, worker_that_dials(tmp_path, behaviour) as (worker, trunk, plan):
        await place(worker, plan)
        (record,) = await worker.ended()
        assert (record.end_status, record.answered_at) == (status, None)
        check(f"outbound-{behaviour.__name__}", line.ladder(bridge=worker.port, trunk=trunk.port))


async def test_a_worker_dials_only_what_its_plan_allows_and_nothing_twice(tmp_path):
    async with worker_that_dials(tmp_path, busy) as (worker, trunk, plan):
        for number in (
            "+33123456789",
            "+49900123456",
            "+8816123456789",
            "+49 30 1",
            "sip:x@y",
            "+4930\r\nX: y",
            "12",
        ):
            await place(worker, plan, number)
        await place(worker, plan, plan_version="another")
        call_id = await place(worker, plan)
        worker.link.broadcast(PlaceCall(call_id, NUMBER, plan.version, "", {}))
        await worker.ended()
        await asyncio.sleep(0.3)
        assert trunk.invites == [NUMBER]


PLAN = """
version: 1
agents:
  caller:
    greeting: Good morning, this is the clinic.
    instructions: Tell "{{{{ vars.name }}}}" about the appointment.
outbound:
  allow: ["+49"]
  region: DE
  target: sip:{{number}}@127.0.0.1:{port}
  caller_id: "+493012345"
  ring_s: 5
  amd: false
  per_minute: 100
  concurrent: 2
  retry: {{busy: {{after_s: 1, times: 1}}}}
  do:
    - agent: caller
      or_else: [{{hang_up: {{}}}}]
routes:
  - {{name: all, do: [{{hang_up: {{}}}}]}}
"""


@asynccontextmanager
async def whole_bridge(folder, behaviours=None, default=busy):
    async with fake_trunk(behaviours, default) as trunk:
        (folder / "plans").mkdir()
        (folder / "plans" / "plan.yaml").write_text(PLAN.format(port=trunk.port))
        environ = environment(folder, os.environ) | {"SIPBRIDGE_DIALPLANS": str(folder / "plans")}
        async with embedded_bridge(folder, environ):
            yield trunk, environ


async def jobs_of(environ):
    _, output = await sipbridge(environ, "dial", "list", "--all", "--json")
    return {job["number"]: job for job in json.loads(output)}


async def settled(environ, count):
    """The jobs, as soon as so many are over."""
    async with asyncio.timeout(40):
        while True:
            jobs = await jobs_of(environ)
            over = [
                job for job in jobs.values() if job["state"] not in {"asked", "queued", "dialling", "ringing"}
            ]
            if len([job for job in over if job["state"] not in {"answered", "human"}]) >= count:
                return jobs
            await asyncio.sleep(0.3)


def hangs_up(pcm, after_s):
    """Somebody who hangs up after a while."""

    async def behave(call):
        speaking = asyncio.create_task(answers(pcm)(call))
        await asyncio.sleep(after_s)
        call.bye()
        await asyncio.wait({speaking}, timeout=2)
        speaking.cancel()

    return behave


async def test_a_campaign_calls_everybody_in_its_pace_and_tries_the_busy_ones_again(tmp_path):
    numbers = [f"+49301234567{n}" for n in range(6)]
    person = hangs_up(PERSON, 0.6)
    behaviours = dict.fromkeys(numbers, person) | {numbers[1]: [busy, person], numbers[2]: reject}
    async with whole_bridge(tmp_path, behaviours) as (trunk, environ):
        file = tmp_path / "people.csv"
        rows = "".join(f"{number},Person {n}\n" for n, number in enumerate(numbers))
        file.write_text("number,name\n" + rows + f"{numbers[0]},again\n+49900123456,x\n")
        status, _ = await sipbridge(environ, "campaign", "load", str(file), "--name", "clinic")
        assert (status, trunk.invites) == (1, [])
        status, output = await sipbridge(
            environ, "campaign", "load", str(file), "--name", "clinic", "--skip-bad"
        )
        assert (status, "6 calls, 2 lines left out" in output) == (0, True)
        jobs = await settled(environ, 6)
        assert [jobs[number]["state"] for number in numbers] == [
            "done",
            "done",
            "failed",
            "done",
            "done",
            "done",
        ]
        assert [jobs[number]["attempts"] for number in numbers] == [1, 2, 1, 1, 1, 1]
        assert sorted(trunk.invites) == sorted([*numbers, numbers[1]])
        again = trunk.of(numbers[1])
        assert again[1].at - again[0].at >= 1.0
        assert most_at_once(trunk) <= 2
        assert jobs[numbers[3]]["variables"] == {"name": "Person 3"}


def most_at_once(trunk):
    marks = sorted(
        [(call.at, 1) for call in trunk.calls.values() if call.acked.is_set() and call.rtp is not None]
        + [(call.ended_at, -1) for call in trunk.calls.values() if call.rtp is not None]
    )
    most = now = 0
    for _, step in marks:
        now += step
        most = max(most, now)
    return most


async def test_a_call_whose_worker_is_killed_is_not_dialled_again(tmp_path):
    async with whole_bridge(tmp_path, default=silent) as (trunk, environ):
        await sipbridge(environ, "dial", NUMBER)
        await trunk.until(lambda: trunk.invites)
        await asyncio.sleep(0.3)
        os.kill(process_of(tmp_path, "worker"), signal.SIGKILL)
        jobs = await settled(environ, 1)
        assert jobs[NUMBER]["state"] == "unknown"
        await asyncio.sleep(1)
        assert trunk.invites == [NUMBER]


async def test_control_killed_while_it_rings_neither_dials_twice_nor_forgets(tmp_path):
    slow = hangs_up(PERSON, 1.5)

    async def rings(call):
        call.reply(180, "Ringing")
        await asyncio.sleep(2.0)
        await slow(call)

    async with whole_bridge(tmp_path, default=rings) as (trunk, environ):
        await sipbridge(environ, "dial", NUMBER, "--var", "name=Anna")
        await trunk.until(lambda: trunk.invites)
        os.kill(process_of(tmp_path, "control"), signal.SIGKILL)
        jobs = await settled(environ, 1)
        assert (jobs[NUMBER]["state"], jobs[NUMBER]["attempts"]) == ("done", 1)
        assert trunk.invites == [NUMBER]


async def test_no_obfuscated_number_reaches_the_trunk_and_a_forged_row_does_not_either(tmp_path):
    bad = ("0900 1234567", "+1 202 555 0123", "+493012345678?Replaces=1", "tel:+49301234567")
    async with whole_bridge(tmp_path) as (trunk, environ):
        for number in bad:
            status, output = await sipbridge(environ, "dial", number)
            assert (status, "refused" in output) == (1, True), output
        with closing(sqlite3.connect(tmp_path / "sipbridge.db")) as store, store:
            row = dict(
                job_id="forged", campaign="", number=NUMBER, version=1, attempts=0, due_at=0.0, call_id=""
            )
            row |= dict(boot="", dialled_at=0.0, heard="", reason="", cancel=0, seal="0" * 64, created_at=0.0)
            row |= dict(updated_at=0.0, state="queued", wish=json.dumps({"number": NUMBER}))
            columns, marks = ",".join(row), ",".join("?" * len(row))
            store.execute(f"INSERT INTO outbound_calls ({columns}) VALUES ({marks})", [*row.values()])
        jobs = await settled(environ, len(bad) + 1)
        assert {job["state"] for job in jobs.values()} == {"refused"}
        assert trunk.invites == []
