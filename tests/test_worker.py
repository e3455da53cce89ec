"""The worker without calls; with calls it is in tests/system."""

import asyncio
import json
import sys
from types import SimpleNamespace

import pytest

from bridge.call.outgoing import Order
from bridge.call.rendezvous import Rendezvous
from bridge.dialplan.outbound import Outbound
from bridge.dialplan.plan import Plan
from bridge.errors import SipError
from bridge.link.messages import PlaceCall
from bridge.worker import Worker
from tests.fakes.line import FakeLine, settle
from tests.fakes.rawphone import raw_phone
from tests.fakes.worker_process import ROOT, plan_of, worker_config

PLAN = plan_of()


@pytest.fixture
async def worker(tmp_path):
    worker = Worker(worker_config(tmp_path, "ws://127.0.0.1:1"))
    yield worker
    worker._link.close()


async def test_before_a_plan_came_there_is_none(worker):
    assert (worker._facts()["plan_version"], worker._facts()["plan_refused"]) == ("", "")


async def test_while_control_is_away_the_last_plan_on_disk_counts(tmp_path, worker):
    path = tmp_path / "run" / "plan.json"
    worker._plans.read(path)
    assert worker._facts()["plan_version"] == ""
    (tmp_path / "run").mkdir()
    path.write_text(Plan((), ()).to_json())
    worker._plans.read(path)
    assert worker._facts()["plan_version"] == Plan((), ()).version


async def test_facts_are_numbers_and_words_json_knows(worker):
    facts = dict(worker._facts())
    assert json.loads(json.dumps(facts)) == facts
    assert (facts["calls"], facts["clock_restarts"], facts["clock_max_late_ms"]) == (0, 0, 0.0)


async def test_a_hang_up_for_a_call_that_is_gone_is_nothing(worker):
    worker._hang_up("no-such-call", "operator")


async def test_a_drain_before_the_start_is_kept(worker):
    worker.drain()
    assert worker._draining.is_set()


class SlowAgent:
    """Its SIP thread takes a while."""

    def __init__(self):
        self.known = asyncio.Event()
        self.book = SimpleNamespace(take=lambda _sip_call_id: ())

    async def use_trunks(self, trunks, secret, *, register):
        await self.known.wait()


async def test_a_worker_is_ready_and_takes_calls_when_its_trunks_are_known_and_control_is_there(
    worker, capsys
):
    worker._agent, worker._deps = agent, _ = SlowAgent(), SimpleNamespace(rendezvous=Rendezvous(set()))
    worker._plans.take(PLAN.to_json())
    async with asyncio.TaskGroup() as worker._tasks:
        trunks = worker._tasks.create_task(worker._follow_trunks())
        ready = worker._tasks.create_task(worker._say_ready())
        early = FakeLine()
        worker._incoming(early.leg)
        await settle()
        assert early.pj.ended[1] == 503
        assert not ready.done()
        agent.known.set()
        await settle()
        assert not ready.done(), "it asks control for the first call already"
        worker._link._there.set()
        await ready
        trunks.cancel()
    assert "ready worker-0" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("error", "kinds", "reason"),
    [
        (SipError(503, "all lines are busy"), ["call.not_placed"], "cannot dial"),
        (SipError(400, "bad"), [], "cannot dial"),
        (TimeoutError(), [], "unsure"),
    ],
)
async def test_a_call_that_is_not_placed_says_whether_that_is_sure(worker, error, kinds, reason):
    async def call(*_args, **_more):
        raise error

    events = []
    worker._link.close()
    worker._link = SimpleNamespace(emit=lambda *event: events.append(event), close=lambda: None)
    worker._agent = SimpleNamespace(call=call)
    rules = Outbound(("+49",), "sip:{number}@t", "+4930", ())
    await worker._dial_order("c1", Order("+493012345678", rules, ()), PLAN)
    assert [kind for _, kind, _ in events] == ["call.started", *kinds, "call.ended"]
    assert events[-1][2]["reason"] == reason


class LateAgent:
    """Its SIP thread lets an INVITE in just before it hears that it shall take none, and takes its time to dial."""

    accepting = False

    def __init__(self, late=None):
        self.late, self.dials, self.hears = late, asyncio.Event(), None

    def listen(self, incoming, _refused):
        self.hears = incoming

    async def use_trunks(self, *_args, **_more):
        pass

    async def command(self, *_args):
        if self.late is not None:
            self.hears(self.late.leg)

    async def call(self, *_args, **_more):
        await self.dials.wait()
        raise SipError(400, "bad")

    def problem(self, _now):
        return ""


@pytest.fixture
def ends(worker):
    """What ends in which order; the link is one that can only wait."""
    ends = []

    async def run():
        try:
            await asyncio.Event().wait()
        finally:
            ends.append("link")

    async def there(_wait_s):
        return True

    async def delivered(_wait_s):
        ends.append("delivered")

    worker._link.close()
    told = {"emit": lambda *_: None, "say_status": lambda: None, "close": lambda: None}
    worker._link = SimpleNamespace(run=run, there=there, delivered=delivered, **told)
    worker._deps = SimpleNamespace(
        rendezvous=Rendezvous(set()), occupancy=SimpleNamespace(leave=lambda _id: ends.append("call"))
    )
    return ends


async def test_an_invite_that_was_let_in_just_before_the_drain_has_its_link_to_the_end(worker, ends):
    line, over = FakeLine(), asyncio.Event()
    worker._agent = LateAgent(line)
    call = SimpleNamespace(id=line.leg.id, run=over.wait)
    worker._agent.listen = lambda _incoming, _refused: setattr(
        worker._agent, "hears", lambda _leg: worker._begin(call)
    )
    serving = asyncio.create_task(worker._serve())
    worker.retire()
    await settle()
    assert list(worker._calls) == [line.leg.id]
    assert ends == []
    over.set()
    await serving
    assert ends == ["call", "delivered", "link"]


async def test_a_worker_that_is_dialling_ends_only_when_that_is_over(worker, ends):
    worker._agent = agent = LateAgent()
    rules = Outbound(("+49",), "sip:{number}@t", "+4930", ())
    plan = Plan((), (), outbound=rules)
    worker._plans.take(plan.to_json())
    serving = asyncio.create_task(worker._serve())
    await settle()
    worker._place_call(PlaceCall("c1", "+493012345678", plan.version, "", {}))
    await settle()
    worker.retire()
    await settle()
    assert ends == []
    agent.dials.set()
    await serving
    assert ends == ["delivered", "link"]


async def run_process(config):
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bridge", "worker", cwd=ROOT,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    output, errors = await asyncio.wait_for(process.communicate(config.to_json().encode() + b"\n"), 20)
    return process.returncode, output.decode(), errors.decode()


@pytest.mark.system
async def test_a_worker_whose_port_is_taken_says_so_and_ends_with_1(tmp_path):
    async with raw_phone(1) as other:
        config = worker_config(tmp_path, "ws://127.0.0.1:1", sip={"port": other.sip_port})
        status, output, errors = await run_process(config)
    assert status == 1
    assert "ready" not in output
    assert f"cannot start SIP on 127.0.0.1:{other.sip_port}" in errors
    assert "Traceback" not in errors


@pytest.mark.system
async def test_a_worker_without_codecs_says_so_and_ends_with_1(tmp_path):
    config = worker_config(tmp_path, "ws://127.0.0.1:1", sip={"codecs": ("EVS",)})
    status, _, errors = await run_process(config)
    assert status == 1
    assert "none of the codecs" in errors
