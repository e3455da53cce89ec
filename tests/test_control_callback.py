"""Callers who want to be called back, through the office of outbound calls: its rules, its clock, its worker."""

import asyncio

import pytest

from bridge.control_callback import KEEP_S, MAX_PER_CALL, call_back
from bridge.control_waiting import CallBackWish
from bridge.errors import StoreError
from tests.test_control_outbound import KEY, NUMBERS, desk


async def asked(office, number, after_s=0, call_id="call-7", ask=None):
    """The ruling, while the office works."""
    ask = ask or call_back(office.store, KEY, lambda: office.now)
    task = asyncio.create_task(ask(CallBackWish(call_id, number, after_s)))
    async with asyncio.timeout(20):
        while not task.done():
            await asyncio.sleep(0.02)
            await office.turn()
    return task.result()


async def test_a_number_that_the_rules_allow_is_called_with_the_calls_id(tmp_path):
    async with desk(tmp_path) as office:
        assert await asked(office, "030 1234 5670") == ""
        await office.turn()
        (order,) = office.workers.told
        assert (order.number, order.variables) == (NUMBERS[0], {"callback_of": "call-7"})


async def test_it_is_not_called_before_its_time(tmp_path):
    async with desk(tmp_path) as office:
        assert await asked(office, NUMBERS[0], after_s=300) == ""
        await office.turn(later_s=290)
        assert office.workers.placed == []
        await office.turn(later_s=11)
        assert office.workers.placed == [NUMBERS[0]]


@pytest.mark.parametrize(
    "number", ["+900123456", "+15005550006", "anonymous", "", "sip:boss@evil.example", "0190 123456"]
)
async def test_a_number_outside_the_rules_is_refused_with_the_reason_and_never_dialled(tmp_path, number):
    async with desk(tmp_path) as office:
        assert await asked(office, number)
        await office.turn(later_s=100)
        assert office.workers.placed == []


async def test_when_nobody_judges_in_time_the_wish_is_taken_back(tmp_path):
    async with desk(tmp_path) as office:
        ask = call_back(office.store, KEY, lambda: office.now)
        with pytest.raises(StoreError):
            await ask(CallBackWish("call-7", NUMBERS[0], 0))
        await office.turn()
        await office.turn()
        assert office.workers.placed == []


async def test_a_number_is_to_be_called_back_once_however_it_is_written(tmp_path):
    async with desk(tmp_path) as office:
        assert await asked(office, NUMBERS[0], after_s=300) == ""
        assert "already" in await asked(office, "030 1234 5670", call_id="call-8")
        assert await asked(office, NUMBERS[1]) == ""
        await office.turn(301)
        await office.told(("call.started", {}), ("call.answered", {}), ("call.ended", {"by": "caller"}))
        await office.turn()
        assert await asked(office, NUMBERS[0], call_id="call-9") == ""


async def test_callers_may_have_us_call_only_a_part_of_the_calls_of_a_day(tmp_path):
    async with desk(tmp_path) as office:
        office.workers.list = []
        office.plan(per_day=4)
        rulings = [await asked(office, number, call_id=number) for number in NUMBERS[:4]]
        assert [bool(one) for one in rulings] == [False, False, True, True]
        assert "2 is the limit" in rulings[2]


async def test_a_call_has_so_many_wishes(tmp_path):
    async with desk(tmp_path) as office:
        ask = call_back(office.store, KEY, lambda: office.now)
        rulings = [await asked(office, number, ask=ask) for number in NUMBERS[: MAX_PER_CALL + 1]]
        assert rulings[:-1] == [""] * MAX_PER_CALL
        assert "3 times" in rulings[-1]
        assert await asked(office, NUMBERS[6], call_id="other", ask=ask) == ""


async def test_who_could_not_be_called_back_for_a_day_is_not_called(tmp_path):
    async with desk(tmp_path) as office:
        office.workers.list = []
        assert await asked(office, NUMBERS[0], after_s=300) == ""
        await office.turn(KEEP_S + 299)
        (job,) = await office.store.jobs()
        assert job.state == "queued"
        await office.turn(2)
        (job,) = await office.store.jobs()
        assert (job.state, "a day ago" in job.reason) == ("refused", True)
