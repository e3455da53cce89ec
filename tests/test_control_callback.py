"""Callers who want to be called back, through the office of outbound calls: its rules, its clock, its worker."""

import asyncio

import pytest

from bridge.control_callback import call_back
from bridge.control_waiting import CallBackWish
from bridge.errors import StoreError
from tests.test_control_outbound import KEY, NUMBERS, desk


async def asked(office, number, after_s=0):
    """The ruling, while the office works."""
    ask = call_back(office.store, KEY, lambda: office.now)
    task = asyncio.create_task(ask(CallBackWish("call-7", number, after_s)))
    async with asyncio.timeout(5):
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
