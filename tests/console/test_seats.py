"""Seats: how many, whose, and that each ends with its session, its role, or control. A program acts as one."""

import asyncio
import json
import os
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bridge.console.seats import MOST_OF_ONE, Seat, SeatLimits, Seats
from bridge.errors import SeatError, StoreError
from bridge.seat.order import Listen, Order
from bridge.store.userstore import User

PROGRAM = (sys.executable, str(Path(__file__).parents[1] / "fakes" / "seat_program.py"))
OLGA, ANNA = (User(name, frozenset({"operator"}), frozenset()) for name in ("olga", "anna"))
GUARD_S = 10


class Sessions:
    """Who is signed in; `away`: the store does not answer."""

    def __init__(self):
        self.users, self.away = {"s-olga": OLGA, "s-anna": ANNA}, False

    async def user(self, secret, now):
        if self.away:
            raise StoreError("away")
        return self.users.get(secret)


@asynccontextmanager
async def running(most=8, look_s=0.05):
    sessions = Sessions()
    limits = SeatLimits(most, program=PROGRAM, look_s=look_s)
    seats = Seats(sessions, limits, lambda user, right: "operator" in user.roles)
    task = asyncio.create_task(seats.run())
    await asyncio.sleep(0)
    try:
        yield seats, sessions
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def order(wish="ok"):
    return Order(f"v=0 {wish}", listen=Listen("127.0.0.1:9", "00" * 32, 8000))


async def opened(seats, user=OLGA, wish="ok"):
    seat = seats.reserve(user, f"s-{user.name}", "calls")
    return seat, json.loads(await seats.open(seat, order(wish)))


async def over(seat):
    async with asyncio.timeout(GUARD_S):
        await seat.over.wait()


def lives(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"


async def gone(pid):
    async with asyncio.timeout(GUARD_S):
        while lives(pid):  # noqa: ASYNC110  # another process
            await asyncio.sleep(0.02)


async def test_a_seat_is_a_process_that_gets_the_order_and_nothing_of_our_environment(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    async with running() as (seats, _):
        seat, answer = await opened(seats)
        assert answer["order"]["listen"]["address"] == "127.0.0.1:9"
        assert "OPENAI_API_KEY" not in answer["environ"]
        assert "PATH" in answer["environ"]
        assert seats.taken == 1
        seat.end()
        await over(seat)
        assert seats.taken == 0
        await gone(answer["pid"])


async def test_all_end_with_control():
    async with running() as (seats, _):
        pids = [(await opened(seats, user))[1]["pid"] for user in (OLGA, ANNA)]
    for pid in pids:
        await gone(pid)
    with pytest.raises(SeatError, match="just starting, or ending"):
        seats.reserve(OLGA, "s-olga", "calls")


@pytest.mark.parametrize("what", ["signed out", "role gone"])
async def test_who_has_signed_out_or_lost_the_role_hears_nothing_any_more(what):
    async with running() as (seats, sessions):
        mine, _ = await opened(seats, OLGA)
        other, _ = await opened(seats, ANNA)
        if what == "signed out":
            del sessions.users["s-olga"]
        else:
            sessions.users["s-olga"] = User("olga", frozenset({"viewer"}), frozenset())
        await over(mine)
        assert not other.over.is_set()


async def test_a_store_that_is_away_ends_nobodys_seat():
    async with running() as (seats, sessions):
        seat, _ = await opened(seats)
        sessions.away = True
        await asyncio.sleep(0.2)
        assert not seat.over.is_set()


async def test_there_are_so_many_and_no_more_and_one_person_has_few():
    async with running(most=MOST_OF_ONE + 1) as (seats, _):
        for _ in range(MOST_OF_ONE):
            seats.reserve(OLGA, "s-olga", "calls")
        with pytest.raises(SeatError, match="other windows"):
            seats.reserve(OLGA, "s-olga", "calls")
        held = seats.reserve(ANNA, "s-anna", "calls")
        with pytest.raises(SeatError, match="are taken"):
            seats.reserve(ANNA, "s-anna", "calls")
        seats.forget(held)
        assert isinstance(seats.reserve(ANNA, "s-anna", "calls"), Seat)


async def test_a_seat_is_found_by_its_own_person_only():
    async with running() as (seats, _):
        seat, _ = await opened(seats)
        assert seats.find(seat.id, OLGA) is seat
        for wrong in ((seat.id, ANNA), ("no such seat", OLGA)):
            with pytest.raises(SeatError):
                seats.find(*wrong)


@pytest.mark.parametrize(("wish", "words"), [("refuse", "no SDP"), ("die", "has died")])
async def test_a_process_that_cannot_says_why_and_its_place_is_free(wish, words):
    async with running() as (seats, _):
        with pytest.raises(SeatError, match=words):
            await opened(seats, wish=wish)
        assert seats.taken == 0


async def test_a_process_that_says_nothing_is_given_up():
    async with running() as (seats, _):
        seat = seats.reserve(OLGA, "s-olga", "calls")
        with pytest.raises(SeatError, match="in time"):
            await seats.open(seat, order("hang"), 0.3)
        await over(seat)


@pytest.mark.parametrize("wish", ["list", "number", "deep"])
async def test_a_process_that_babbles_ends_itself_and_nobody_else(wish):
    """It reads what browsers send; one that is made to say anything is not to end control."""
    async with running() as (seats, _):
        with pytest.raises(SeatError, match="does not work"):
            await opened(seats, wish=wish)
        assert (await opened(seats, ANNA))[0].user == ANNA


async def test_a_program_that_is_not_there_is_said():
    async with running() as (seats, _):
        seats.limits = SeatLimits(program=("/no/such/program",))
        with pytest.raises(SeatError, match="does not work"):
            await opened(seats)


async def test_one_process_is_kept_ready_and_used():
    async with running() as (seats, _):
        seats.warm()
        async with asyncio.timeout(GUARD_S):
            while seats.spare is None:  # noqa: ASYNC110  # another process
                await asyncio.sleep(0.02)
        spare = seats.spare.pid
        _, answer = await opened(seats)
        assert answer["pid"] == spare
