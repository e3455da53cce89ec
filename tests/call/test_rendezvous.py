"""Who comes into a running call from outside: one guest, by a token that is good once and for seconds."""

import asyncio
from dataclasses import replace

import pytest

from bridge.call.rendezvous import LIVES_S, MAX_TOKENS, Rendezvous
from tests.fakes.line import FakeLine, settle


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
async def rendezvous(clock):
    return Rendezvous(clock=clock)


def line(token):
    return FakeLine(to=f"meet-{token}")


async def test_a_leg_with_the_token_gets_to_the_host(rendezvous):
    with rendezvous.meeting() as meeting:
        guest = line(meeting.token())
        assert rendezvous.admit(guest.leg)
        assert await meeting.guest() is guest.leg
    await settle()
    assert guest.pj.ended is None


async def test_ordinary_calls_are_none_of_its_business(rendezvous):
    for called in (
        "100",
        "meet-",
        "meet-xyz",
        "meet-" + "0" * 31,
        "meet-" + "0" * 32 + "1",
        "x-meet-" + "0" * 32,
    ):
        assert not rendezvous.admit(FakeLine(to=called).leg)


async def refused(rendezvous, guest):
    assert rendezvous.admit(guest.leg)
    await settle()
    return guest.pj.ended[1] == 404


async def test_a_token_is_good_once_and_only_for_a_while(rendezvous, clock):
    with rendezvous.meeting() as meeting, rendezvous.meeting() as other:
        token, late = meeting.token(), other.token()
        assert rendezvous.admit(line(token).leg)
        assert await refused(rendezvous, line(token))
        clock.now = LIVES_S
        assert await refused(rendezvous, line(late))
        await meeting.guest()


async def test_an_unknown_token_is_refused_and_never_routed(rendezvous):
    assert await refused(rendezvous, line("0" * 32))


async def test_a_token_is_worth_nothing_from_another_machine(clock):
    rendezvous = Rendezvous(hosts=("10.0.0.1",), clock=clock)
    with rendezvous.meeting() as meeting:
        assert await refused(rendezvous, line(meeting.token()))  # FakeLine's source is 127.0.0.1


async def test_one_guest_only(rendezvous):
    with rendezvous.meeting() as meeting:
        first, second = line(meeting.token()), line(meeting.token())
        assert rendezvous.admit(first.leg)
        assert await refused(rendezvous, second)
        await meeting.guest()


async def test_a_guest_whom_the_host_did_not_wait_for_is_sent_away(rendezvous):
    with rendezvous.meeting() as meeting:
        guest = line(meeting.token())
        rendezvous.admit(guest.leg)
    await settle()
    assert guest.pj.ended[1] == 404


async def test_when_the_host_is_gone_its_tokens_are_worth_nothing(rendezvous):
    with rendezvous.meeting() as meeting:
        token = meeting.token()
    assert rendezvous.visit(token, object()) is None


async def test_a_call_of_the_same_worker_comes_without_sip(rendezvous):
    with rendezvous.meeting() as meeting:
        visit = rendezvous.visit(meeting.token(), object())
        waiting = asyncio.create_task(meeting.guest())
        await settle()
        assert waiting.result() is visit
    assert not visit.ended.is_set()  # the host ends a visit that it has received


async def test_tokens_are_bounded_the_oldest_go_first(rendezvous):
    with rendezvous.meeting() as meeting:
        tokens = [meeting.token() for _ in range(MAX_TOKENS + 1)]
        assert rendezvous.visit(tokens[0], object()) is None
        assert rendezvous.visit(tokens[1], object()) is not None
        await meeting.guest()


async def test_behind_the_edge_a_request_of_another_nodes_worker_gets_in_and_the_edges_own_address_does_not(
    clock,
):
    rendezvous = Rendezvous({"10.0.0.1"}, clock)
    with rendezvous.meeting() as meeting:
        stranger, worker = line(meeting.token()), line(meeting.token())
        assert await refused(rendezvous, stranger)  # FakeLine's is 127.0.0.1
        worker.leg.invite = replace(worker.leg.invite, source="10.0.0.2:15061", from_worker=True)
        assert rendezvous.admit(worker.leg)
        assert await meeting.guest() is worker.leg
