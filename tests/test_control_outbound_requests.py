import asyncio
from dataclasses import replace

import pytest

from bridge.control_outbound import OutboundDeps, OutboundOffice
from bridge.control_outbound_requests import is_sealed, request_call, ruled, sealed_job
from bridge.control_spent import SpentWishes
from bridge.dialplan.outbound import Outbound
from bridge.dialplan.plan import Plan
from bridge.errors import StoreError
from bridge.outbound.job import Wish
from bridge.outbound.wish import WishError
from bridge.store.outboundstore import OutboundStore
from bridge.store.store import Store

KEY = b"k" * 32
WISH = Wish("+493012345678", "agent:a", {"name": "Ann"}, "", "anna", "api", 5.0)
RULES = Outbound(("+49",), "sip:{number}@t", "+4930", (), kinds=("fixed_line",))


class Nobody:
    def peers(self):
        return []

    def tell(self, boot, message):
        return False


def test_only_the_wish_that_was_sealed_is_accepted():
    job = sealed_job(KEY, WISH)
    assert is_sealed(KEY, job)
    assert not is_sealed(b"x" * 32, job)
    assert not is_sealed(KEY, replace(job, job_id="other"))
    for change in (
        {"number": "+493099999999"},
        {"run": ""},
        {"variables": {}},
        {"asked_by": "eve"},
        {"campaign": "c"},
    ):
        assert not is_sealed(KEY, replace(job, wish=replace(WISH, **change)))


async def test_the_answer_is_what_control_has_ruled(tmp_path):
    async with Store(f"sqlite:///{tmp_path}/store.db") as store:
        jobs = OutboundStore(store)
        office = OutboundOffice(OutboundDeps(jobs, Nobody(), KEY, 4, SpentWishes(tmp_path / "spent", 1e6)))
        office.take_plan(Plan((), (), outbound=RULES))
        running = asyncio.create_task(office.run())
        body = {"number": "+49 30 12345678", "variables": {"name": "Ann"}}
        good = await request_call(jobs, KEY, "anna", "api", body)
        bad = await request_call(jobs, KEY, "anna", "api", {"number": "+49900123456"})
        running.cancel()
        assert (good["state"], good["number"], good["asked_by"], good["via"]) == (
            "queued",
            "+493012345678",
            "anna",
            "api",
        )
        assert good["variables"] == {"name": "Ann"}
        assert (bad["state"], "never dialled" in bad["reason"]) == ("refused", True)


async def test_a_wish_nobody_takes_up_is_taken_back(tmp_path):
    async with Store(f"sqlite:///{tmp_path}/store.db") as store:
        jobs, job = OutboundStore(store), sealed_job(KEY, WISH)
        await jobs.add([job])
        with pytest.raises(StoreError, match="not running"):
            await ruled(jobs, job.job_id, within_s=0.0)
        assert [one.cancel for one in await jobs.work(0.0)] == [True]


async def test_a_body_that_is_none_is_refused_before_anything_is_kept(tmp_path):
    async with Store(f"sqlite:///{tmp_path}/store.db") as store:
        jobs = OutboundStore(store)
        with pytest.raises(WishError):
            await request_call(jobs, KEY, "anna", "api", {"to": "sip:x"})
        assert await jobs.jobs() == []
