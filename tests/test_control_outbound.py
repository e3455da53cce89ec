"""Control's desk for outbound calls over a real store; workers that only note what they are told."""

import contextlib
import json
from dataclasses import dataclass, field, replace

import pytest
import sqlalchemy as sa

from bridge.control_outbound import LATER_S, MAX_AGE_S, NOT_PLACED_MOST, PLACE_S, OutboundDeps, OutboundOffice
from bridge.control_outbound_requests import sealed_job
from bridge.control_spent import SpentWishes
from bridge.dialplan.outbound import Outbound, Retry
from bridge.dialplan.plan import Agent, AgentStep, HangUpStep, Plan, Route
from bridge.errors import StoreError
from bridge.link.messages import Event, HangUp, PlaceCall
from bridge.outbound.job import Wish
from bridge.store.outboundstore import OutboundStore
from bridge.store.store import Store

KEY = b"k" * 32
RULES = Outbound(
    ("+49",), "sip:{number}@t", "+4930", (AgentStep("front"),), kinds=("fixed_line",), region="DE", concurrent=2,
    per_minute=3, retries=(Retry("busy", 60, 1),),
)  # fmt: skip
ROUTES = (Route("night", (), (HangUpStep(None, ""),)),)
NUMBERS = [f"+49301234567{n}" for n in range(8)]


@dataclass
class Peer:
    boot: str = "b1"
    status: dict = field(default_factory=lambda: {"calls": 0})

    @property
    def hello(self):
        return self


class Workers:
    def __init__(self):
        self.list, self.told, self.gone = [Peer()], [], set()

    def peers(self):
        return self.list

    def tell(self, boot, message):
        if boot in self.gone:
            return False
        self.told.append(message)
        return True

    @property
    def placed(self):
        return [one.number for one in self.told if isinstance(one, PlaceCall)]


class Desk:
    """An office whose clock stands still until it is moved."""

    def __init__(self, store, folder):
        self.store, self.raw, self.folder = OutboundStore(store), store, folder
        self.workers, self.now, self.seq = Workers(), 1_795_000_000.0, 0
        self.restart()
        self.plan()

    def restart(self):
        deps = OutboundDeps(
            self.store, self.workers, KEY, 4, SpentWishes(self.folder / "spent", MAX_AGE_S), lambda: self.now
        )
        self.office = OutboundOffice(deps)

    def plan(self, **changes):
        self.office.take_plan(Plan(ROUTES, (Agent("front", "x"),), outbound=replace(RULES, **changes)))

    async def ask(self, number=NUMBERS[0], **changes):
        job = sealed_job(KEY, Wish(number, asked_by="anna", via="cli", asked_at=self.now, **changes))
        await self.store.add([job])
        return job.job_id

    async def turn(self, later_s=0.0):
        self.now += later_s
        await self.office.turn()

    async def job(self, job_id):
        (found,) = await self.store.find(job_id)
        return found

    async def told(self, *events):
        """The worker's events about the call that was placed last."""
        call_id = [one for one in self.workers.told if isinstance(one, PlaceCall)][-1].call_id
        rows = []
        for kind, data in events:
            self.seq += 1
            rows.append(Event(self.seq, "b1", call_id, kind, self.now, self.now, data))
        await self.raw.write(0, rows)


STARTED = ("call.started", {})
BUSY = ("call.ended", {"by": "caller", "status": 486, "reason": "Busy Here"})


@contextlib.asynccontextmanager
async def desk(folder):
    async with Store(f"sqlite:///{folder}/store.db") as store:
        yield Desk(store, folder)


@pytest.fixture
async def office(tmp_path):
    async with desk(tmp_path) as found:
        yield found


async def test_a_wish_is_judged_dialled_and_followed_to_its_end(office):
    job_id = await office.ask("030 1234 5670", variables={"name": "Ann"}, run="agent:front")
    await office.turn()
    assert (await office.job(job_id)).state == "queued"
    await office.turn()
    (order,) = office.workers.told
    assert (order.number, order.run, order.variables) == (NUMBERS[0], "agent:front", {"name": "Ann"})
    assert order.plan_version == office.office._plan.version
    told = {
        "dialling": STARTED,
        "ringing": ("call.ringing", {}),
        "answered": ("call.answered", {}),
        "human": ("amd", {"verdict": "human"}),
        "done": ("call.ended", {"status": 200}),
    }
    for state, event in told.items():
        await office.told(event)
        await office.turn()
        assert (await office.job(job_id)).state == state
    await office.turn()
    assert len(office.workers.told) == 1


@pytest.mark.parametrize("number", ["+33123456789", "0900 123456", "tel:+4930", "+4930\r\n", "112"])
async def test_what_is_not_allowed_is_refused_with_the_reason(office, number):
    job_id = await office.ask(number)
    await office.turn()
    await office.turn()
    job = await office.job(job_id)
    assert job.state == "refused"
    assert job.reason
    assert not office.workers.told


async def test_without_rules_every_wish_is_refused(office):
    office.office.take_plan(Plan(ROUTES, ()))
    job_id = await office.ask()
    await office.turn()
    assert "no outbound section" in (await office.job(job_id)).reason


async def test_steps_that_the_plan_does_not_have_are_refused(office):
    ids = [
        await office.ask(run="agent:nobody"),
        await office.ask(run="route:day"),
        await office.ask(run="route:night"),
    ]
    await office.turn()
    assert [(await office.job(one)).state for one in ids] == ["refused", "refused", "queued"]


async def test_a_wish_that_was_only_written_into_the_database_is_refused_at_every_stage(office):
    asked, waiting = await office.ask(), await office.ask(NUMBERS[1])
    office.workers.list = []
    await office.turn()
    job = await office.job(waiting)
    forged = json.dumps({**vars_of(job.wish), "number": "+493099999999"})
    change = sa.text("UPDATE outbound_calls SET wish = :wish WHERE job_id = :job")
    await office.raw.transaction("x", lambda it: it.execute(change, {"wish": forged, "job": waiting}))
    change = sa.text("UPDATE outbound_calls SET number = '+493088888888' WHERE job_id = :job")
    await office.raw.transaction("x", lambda it: it.execute(change, {"job": asked}))
    office.workers.list = [Peer()]
    await office.turn()
    assert "the seal is wrong" in (await office.job(waiting)).reason
    assert "not the one that was asked for" in (await office.job(asked)).reason
    assert not office.workers.told


def vars_of(wish):
    from dataclasses import asdict

    return asdict(wish)


async def test_calls_wait_for_their_turn_within_pace_and_lines(office):
    ids = [await office.ask(number) for number in NUMBERS[:5]]
    await office.turn()
    await office.turn()
    assert len(office.workers.placed) == 2  # concurrent
    assert {(await office.job(one)).state for one in ids} == {"dialling", "queued"}
    waiting = [await office.job(one) for one in ids]
    assert "at a time" in next(job.reason for job in waiting if job.state == "queued")
    await office.told(STARTED, ("call.ended", {"status": 404}))
    await office.turn()
    assert len(office.workers.placed) == 3
    await office.told(STARTED, ("call.ended", {"status": 404}))
    await office.turn(1)
    assert len(office.workers.placed) == 3  # per_minute
    await office.turn(61)
    assert len(office.workers.placed) == 4  # the first call is lost by now, but it may be on
    await office.turn(3600)
    assert len(office.workers.placed) == 5


async def test_a_full_or_absent_worker_gets_no_call(office):
    office.workers.list = [Peer("b1", {"calls": 4})]
    job_id = await office.ask()
    await office.turn()
    await office.turn()
    assert (await office.job(job_id)).reason == "no worker has a free line"
    office.workers.list = [Peer("b1", {"calls": 4}), Peer("b2", {"calls": 1}), Peer("b3", {"calls": 3})]
    await office.turn()
    assert (await office.job(job_id)).boot == "b2"


async def test_a_worker_that_is_gone_when_it_is_told_costs_no_try(office):
    office.workers.gone = {"b1"}
    job_id = await office.ask()
    await office.turn()
    await office.turn()
    job = await office.job(job_id)
    assert (job.state, job.attempts) == ("queued", 0)
    office.workers.gone = set()
    await office.turn(1.5)
    assert office.workers.placed == [NUMBERS[0]]


async def test_a_worker_that_did_not_place_it_says_so_and_it_is_dialled_again(office):
    job_id = await office.ask()
    await office.turn()
    await office.turn()
    call_id = office.workers.told[0].call_id
    assert await office.office.not_placed("b1", {"call_id": call_id, "reason": "draining"}) == {}
    assert await office.office.not_placed("b1", {"call_id": "nobody"}) == {}
    job = await office.job(job_id)
    assert (job.state, job.attempts, job.reason) == ("queued", 0, "draining")
    await office.turn(1.5)
    assert [one.call_id == call_id for one in office.workers.told] == [True, False]


async def test_busy_is_tried_again_later_and_no_oftener_than_the_rules_say(office):
    job_id = await office.ask()
    await office.turn()
    for wait_s, placed in ((0, 1), (30, 1), (31, 2)):
        await office.turn(wait_s)
        assert len(office.workers.placed) == placed
        if placed == 1 and not wait_s:
            await office.told(STARTED, BUSY)
            await office.turn()
    await office.told(STARTED, BUSY)
    await office.turn()
    assert (await office.job(job_id)).state == "busy"
    await office.turn(1000)
    assert len(office.workers.placed) == 2


async def test_a_call_of_which_nothing_is_heard_is_unknown_and_never_dialled_again(office):
    job_id = await office.ask()
    await office.turn()
    await office.turn()
    await office.turn(PLACE_S - 1)
    assert (await office.job(job_id)).state == "dialling"
    office.restart()
    office.plan()
    await office.turn(2)
    assert (await office.job(job_id)).state == "dialling"  # the worker may still be on its way back to us
    await office.turn(PLACE_S + 1)
    assert (await office.job(job_id)).state == "unknown"
    await office.turn(1000)
    assert len(office.workers.placed) == 1
    await office.told(STARTED, ("call.answered", {}), ("call.ended", {"status": 200}))
    await office.turn()
    assert (await office.job(job_id)).state == "done"


async def test_a_control_that_comes_back_dials_nothing_twice_and_forgets_nothing(office):
    on, waiting = await office.ask(), await office.ask(NUMBERS[1])
    office.plan(concurrent=1)
    await office.turn()
    await office.turn()
    office.restart()
    office.plan(concurrent=1)
    await office.turn()
    assert office.workers.placed == [NUMBERS[0]]
    await office.told(STARTED, ("call.answered", {}), ("call.ended", {"status": 200}))
    await office.turn()
    assert ((await office.job(on)).state, (await office.job(waiting)).state) == ("done", "dialling")


async def test_a_cancelled_wish_is_not_dialled_and_a_call_that_is_on_is_hung_up_on_once(office):
    on, waiting = await office.ask(), await office.ask(NUMBERS[1])
    office.plan(concurrent=1)
    await office.turn()
    await office.turn()
    for one in (on, waiting):
        await office.store.cancel(one)
    await office.told(STARTED)
    await office.turn()
    await office.turn()
    assert (await office.job(waiting)).state == "cancelled"
    hung_up = [one for one in office.workers.told if isinstance(one, HangUp)]
    assert [one.reason for one in hung_up] == ["cancelled"]
    await office.told(("call.ended", {"status": 487, "by": "bridge", "reason": "cancelled"}))
    await office.turn()
    assert (await office.job(on)).state == "cancelled"


async def test_who_asks_for_one_call_is_told_when_the_day_is_full_but_a_campaign_waits(office):
    office.plan(per_number_per_day=1)
    first = await office.ask()
    await office.turn()
    await office.turn()
    await office.told(STARTED, ("call.ended", {"status": 404}))
    again, campaign = await office.ask(), sealed_job(KEY, Wish(NUMBERS[0], campaign="c", asked_at=office.now))
    await office.store.add([campaign], "c", "anna")
    await office.turn()
    await office.turn()
    assert (await office.job(first)).state == "failed"
    assert (await office.job(again)).state == "refused"
    job = await office.job(campaign.job_id)
    assert (job.state, job.due_at) == ("queued", office.now + LATER_S)


async def test_a_wish_that_is_on_the_list_by_now_is_not_dialled(office):
    office.workers.list = []
    job_id = await office.ask()
    await office.turn()
    from bridge.dialplan.do_not_call import content_hash

    file = office.folder / "dnc.txt"
    file.write_text(NUMBERS[0] + "\n")
    office.plan(do_not_call=str(file), do_not_call_hash=content_hash(file.read_bytes()))
    office.workers.list = [Peer()]
    await office.turn()
    assert "do-not-call" in (await office.job(job_id)).reason
    assert not office.workers.told


async def test_a_list_that_changed_behind_the_plan_holds_every_call_until_a_reload(office):
    file = office.folder / "dnc.txt"
    file.write_text("")
    office.plan(do_not_call=str(file), do_not_call_hash="other")
    campaign = sealed_job(KEY, Wish(NUMBERS[0], campaign="c", asked_at=office.now))
    await office.store.add([campaign], "c", "anna")
    await office.turn()
    await office.turn()
    job = await office.job(campaign.job_id)
    assert (job.state, "reload" in job.reason) == ("queued", True)
    assert not office.workers.told


async def test_who_is_called_cannot_have_themselves_called_again_by_what_their_bye_says(office):
    office.plan(per_number_per_day=1, per_day=1)
    job_id = await office.ask()
    await office.turn()
    await office.turn()
    bye = {"by": "caller", "status": 200, "reason": "not_placed"}
    await office.told(STARTED, ("call.answered", {}), ("call.ended", bye))
    for _ in range(5):
        await office.turn(1.1)
    assert (await office.job(job_id)).state == "done"
    assert len(office.workers.placed) == 1


async def write(office, change):
    """As somebody who can write the database and has no key."""
    await office.raw.transaction("x", lambda it: it.execute(sa.text(change)))


AGAIN = "UPDATE outbound_calls SET state = 'queued', due_at = 0, call_id = '', attempts = 0"


async def test_a_wish_that_was_fulfilled_cannot_be_had_again_by_writing_the_database(office):
    job_id = await office.ask()
    await office.turn()
    await office.turn()
    await office.told(STARTED, ("call.answered", {}), ("call.ended", {"by": "caller", "status": 200}))
    await office.turn()
    for restart in (False, True):
        await write(office, AGAIN)
        await write(office, "DELETE FROM outbound_attempts")
        if restart:
            office.restart()
            office.plan()
        await office.turn(86_400)
        assert (await office.job(job_id)).state == "refused"
    assert len(office.workers.placed) == 1


async def test_a_wish_that_is_on_cannot_be_had_for_ever_by_writing_the_database(office):
    await office.ask()
    await office.turn()
    for _ in range(30):
        await office.turn(61)
        await write(office, AGAIN)
        await write(office, "DELETE FROM outbound_attempts")
    assert len(office.workers.placed) <= 2 + NOT_PLACED_MOST


async def test_an_old_wish_must_be_asked_for_again(office):
    office.workers.list = []
    job_id = await office.ask()
    await office.turn()
    office.workers.list = [Peer()]
    await office.turn(MAX_AGE_S + 1)
    assert "days ago" in (await office.job(job_id)).reason
    assert not office.workers.told


async def test_a_worker_that_can_never_place_it_costs_it_nothing(office):
    job_id = await office.ask()
    await office.turn()
    for _ in range(2 * NOT_PLACED_MOST):
        await office.turn(1.5)
        await office.office.not_placed(
            "b1", {"call_id": office.workers.told[-1].call_id, "reason": "draining"}
        )
    assert (await office.job(job_id)).state == "queued"


async def test_what_cannot_be_noted_as_dialled_is_not_dialled(office):
    (office.folder / "spent").mkdir()
    await office.ask()
    with pytest.raises(StoreError, match="spent"):
        await office.turn()
    assert not office.workers.told


async def test_a_lost_call_that_surely_ended_is_no_line_in_use(office):
    office.plan(concurrent=1)
    lost, _ = await office.ask(), await office.ask(NUMBERS[1])
    await office.turn()
    await office.turn()
    await office.told(STARTED, ("call.ended", {"by": "bridge", "reason": "worker_died"}))
    await office.turn()
    assert (await office.job(lost)).state == "unknown"
    assert office.workers.placed == [NUMBERS[0], NUMBERS[1]]


async def test_a_plan_that_comes_in_the_middle_of_a_turn_counts_from_the_next(office):
    before = office.office._plan.version
    await office.ask()
    await office.turn()
    counted = office.store.counts

    async def counts(*words):
        office.office.take_plan(Plan(ROUTES, (Agent("front", "y"),), outbound=replace(RULES, allow=("+1",))))
        return await counted(*words)

    office.store.counts = counts
    await office.turn()
    assert [one.plan_version for one in office.workers.told] == [before]


async def test_what_was_dialled_meanwhile_counts_when_a_try_is_kept(office):
    office.plan(per_day=1)
    await office.ask()
    await office.turn()
    counted = office.store.counts

    async def counts(*words):
        found = await counted(*words)
        await write(office, f"INSERT INTO outbound_attempts VALUES ('other', 'o', '+491', {office.now})")
        return found

    office.store.counts = counts
    await office.turn()
    assert not office.workers.told


async def test_the_number_that_is_counted_is_the_one_that_is_dialled(office):
    office.plan(per_number_per_day=1)
    for _ in range(2):
        await office.ask()
    office.workers.list = []
    await office.turn()
    await write(office, "UPDATE outbound_calls SET number = ''")
    office.workers.list = [Peer()]
    await office.turn()
    assert office.workers.placed == [NUMBERS[0]]


async def test_only_the_worker_that_was_told_can_say_that_it_did_not_dial(office):
    job_id = await office.ask()
    await office.turn()
    await office.turn()
    await office.office.not_placed("b2", {"call_id": office.workers.told[0].call_id, "reason": "x"})
    assert (await office.job(job_id)).state == "dialling"
