import asyncio
import contextlib
from dataclasses import replace

import pytest

from bridge.errors import StoreError
from bridge.link.messages import Event
from bridge.outbound.job import Job, Wish, accepted, cancelled, dialled, lost, not_placed, refused
from bridge.outbound.policy import Counts
from bridge.store.outboundstore import BATCH, OutboundStore
from bridge.store.store import Store

NUMBER = "+493012345678"


@contextlib.asynccontextmanager
async def opened(url):
    async with Store(url) as store:
        yield OutboundStore(store), store


def job(job_id="j1", campaign="", **changes):
    return replace(
        Job(job_id, Wish(NUMBER, "agent:a", {"name": "Ann"}, campaign, "anna", "cli", 5.0), "seal"), **changes
    )


async def queued(jobs, job_id="j1", campaign="", now=10.0):
    new = job(job_id, campaign)
    await jobs.add([new])
    ready = accepted(new, NUMBER, now)
    assert await jobs.save(ready)
    return ready


async def test_a_job_comes_back_as_it_was_kept(database):
    async with opened(database) as (jobs, _):
        await jobs.add([job()])
        assert await jobs.find("j") == [job()]


async def test_of_two_that_carry_a_job_on_only_one_is_in_time(database):
    async with opened(database) as (jobs, _):
        ready = await queued(jobs)
        assert await jobs.dial(dialled(ready, "c1", "b1", 20.0))
        assert not await jobs.dial(dialled(ready, "c2", "b2", 20.0))
        assert not await jobs.save(refused(ready, "x"))
        assert (await jobs.find("j1"))[0].call_id == "c1"
        assert await jobs.counts(NUMBER, 0.0, 21.0) == Counts(day=1, number=1, minute=1, running=1)


async def test_tries_are_counted_by_day_number_and_minute(database):
    async with opened(database) as (jobs, _):
        for number, at in (("1", 100.0), ("2", 1000.0), ("3", 1030.0)):
            ready = await queued(jobs, f"j{number}")
            one = dialled(replace(ready, number=f"+49{number}"), f"c{number}", "b", at)
            assert await jobs.dial(one)
        assert await jobs.counts("+493", 500.0, 1050.0) == Counts(day=2, number=1, minute=2, running=3)


async def test_a_try_that_was_not_placed_is_not_counted(database):
    async with opened(database) as (jobs, _):
        on = dialled(await queued(jobs), "c1", "b1", 20.0)
        await jobs.dial(on)
        assert await jobs.not_placed(not_placed(on, "no line", 21.0), "c1")
        assert await jobs.counts(NUMBER, 0.0, 22.0) == Counts()
        assert not await jobs.not_placed(not_placed(on, "no line", 21.0), "c1")


async def test_work_is_what_is_new_on_due_or_to_be_cancelled(database):
    async with opened(database) as (jobs, _):
        await jobs.add([job("new")])
        await queued(jobs, "due", now=10.0)
        await queued(jobs, "early", now=1000.0)
        await queued(jobs, "stop", now=1000.0)
        await jobs.cancel("stop")
        await jobs.save(cancelled(await queued(jobs, "gone")))
        on = dialled(await queued(jobs, "on"), "c1", "b", 20.0)
        await jobs.dial(on)
        await jobs.save(lost(on, "x"))
        found = {one.job_id: one.cancel for one in await jobs.work(50.0)}
        assert found == {"new": False, "due": False, "stop": True, "on": False}
        assert "on" not in {one.job_id for one in await jobs.work(100_000.0)}


async def test_a_paused_campaign_waits_and_a_cancelled_one_is_cancelled(database):
    async with opened(database) as (jobs, _):
        await jobs.add([job("j1", "clinic")], "clinic", "anna")
        await jobs.save(accepted(job("j1", "clinic"), NUMBER, 10.0))
        assert [one.job_id for one in await jobs.work(50.0)] == ["j1"]
        assert await jobs.set_campaign("clinic", ("running",), "paused")
        assert not await jobs.work(50.0)
        assert not await jobs.set_campaign("clinic", ("running",), "paused")
        assert not await jobs.set_campaign("other", ("running",), "paused")
        assert await jobs.set_campaign("clinic", ("paused",), "cancelled")
        assert [one.cancel for one in await jobs.work(0.0)] == [True]
        (campaign,) = await jobs.campaigns()
        assert (campaign.state, campaign.asked_by, campaign.counts) == ("cancelled", "anna", {"queued": 1})


async def test_a_campaign_s_name_is_given_once_and_then_nothing_is_kept(database):
    async with opened(database) as (jobs, _):
        await jobs.add([job("j1", "clinic")], "clinic", "anna")
        with pytest.raises(StoreError, match="there is a campaign clinic already"):
            await jobs.add([job("j2", "clinic")], "clinic", "bert")
        assert [one.job_id for one in await jobs.jobs()] == ["j1"]


async def test_the_facts_of_a_call_are_those_that_tell_its_fate_in_order(database):
    async with opened(database) as (jobs, store):
        types = ("call.started", "transcript", "call.ringing", "call.answered", "amd", "media", "call.ended")
        events = [Event(n, "b1", "c1", kind, 1.0, 1.0, {"n": n}) for n, kind in enumerate(types, 1)]
        await store.write(0, events)
        found = await jobs.facts(["c1", "c2"])
        assert [fact.type for fact in found["c1"]] == [
            "call.started", "call.ringing", "call.answered", "amd", "call.ended",
        ]  # fmt: skip
        assert found["c1"][-1].data == {"n": 7}
        assert await jobs.facts([]) == {}


async def test_a_job_is_found_by_its_call(database):
    async with opened(database) as (jobs, _):
        await jobs.dial(dialled(await queued(jobs), "c1", "b1", 20.0))
        assert (await jobs.by_call("c1")).job_id == "j1"
        assert await jobs.by_call("c2") is None


async def test_jobs_are_listed_by_state_and_campaign(database):
    async with opened(database) as (jobs, _):
        await jobs.add([job("j1", "a"), job("j2", "b")])
        assert [one.job_id for one in await jobs.jobs(campaign="b")] == ["j2"]
        assert [one.job_id for one in await jobs.jobs(("queued",))] == []
        assert len(await jobs.jobs(limit=1)) == 1


async def test_a_wish_that_cannot_be_read_is_an_empty_one(database):
    async with opened(database) as (jobs, store):
        await jobs.add([job()])
        import sqlalchemy as sa

        await store.transaction("x", lambda it: it.execute(sa.text("UPDATE outbound_calls SET wish = '[1'")))
        assert (await jobs.find("j1"))[0].wish.number == ""


async def test_a_call_that_somebody_waits_for_goes_before_a_large_campaign(database):
    async with opened(database) as (jobs, _):
        await jobs.add([job(f"j{n}", "clinic") for n in range(BATCH + 50)], "clinic", "anna")
        await jobs.add([job("alone")])
        found = await jobs.work(50.0)
        assert len(found) == BATCH
        assert found[0].job_id == "alone"
        on = dialled(await queued(jobs, "on"), "c1", "b", 20.0)
        await jobs.dial(on)
        assert (await jobs.work(50.0))[0].job_id == "on"


async def test_a_cap_holds_when_two_nodes_dial_at_the_same_moment(cluster):
    url = cluster.fresh()
    async with Store(url, node="a") as one, Store(url, node="b") as two:
        them = [OutboundStore(one), OutboundStore(two)]
        ready = [await queued(them[0], f"j{number}") for number in range(10)]
        dials = [
            them[number % 2].dial(dialled(job, f"c{number}", "b", 20.0), 0.0, lambda counts: counts.day < 3)
            for number, job in enumerate(ready)
        ]
        assert (await asyncio.gather(*dials)).count(True) == 3
        assert (await them[1].counts(NUMBER, 0.0, 21.0)).day == 3
