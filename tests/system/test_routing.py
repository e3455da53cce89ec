"""Real INVITEs: numbers in every form meet the plan's, and room on a route is shared by the workers."""

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace

import pytest

from bridge.control_desk import Desk
from bridge.control_pages import Facts
from bridge.dialplan import load
from bridge.link.server import LinkServer
from tests.fakes.rawphone import raw_phone
from tests.fakes.worker_process import GUARD_S, WorkerProcess, _process, running_worker, worker_config

pytestmark = pytest.mark.system

NUMBERS = """\
version: 1
country: DE
numbers: {"030 1234567": front-office}
routes:
- {name: office, when: {number: front-office}, do: [{reject: {status: 603}}]}
- {name: internal, when: {to: "100"}, do: [{reject: {status: 480}}]}
"""
FORMS = ("+49301234567", "0049301234567", "0301234567", "49301234567")


async def test_every_form_of_a_number_reaches_its_route(tmp_path):
    (tmp_path / "plan.yaml").write_text(NUMBERS)
    plan = load.load(tmp_path / "plan.yaml")
    async with running_worker(tmp_path, plan) as worker:
        for to, status in (*((form, 603) for form in FORMS), ("100", 480)):
            async with raw_phone(worker.port) as phone:
                assert (await phone.invite(to=to)).status == status
        started = await worker.event("call.started", 5)
    assert [data["route"] for data in started] == ["office"] * 4 + ["internal"]
    assert [data["to"] for data in started] == [*FORMS, "100"]
    assert [data.get("to_e164", "") for data in started] == ["", *[FORMS[0]] * 3, ""]
    assert [data.get("number", "") for data in started] == ["front-office"] * 4 + [""]


ROOM = """\
version: 1
routes:
- {name: desk, when: {capacity: {max_calls: 3}}, do: [{answer: {}}, {hold: {s: 60}}, {hang_up: {}}]}
- {name: full, do: [{reject: {status: 486}}]}
"""


async def until(condition):
    """What happens in other processes; fails after GUARD_S."""
    async with asyncio.timeout(GUARD_S):
        while not condition():  # noqa: ASYNC110  # nobody tells
            await asyncio.sleep(0.01)


class Kept:
    """A store that takes everything."""

    async def write(self, worker, events):
        return len(events)


@asynccontextmanager
async def two_workers(folder, plan):
    """Two real workers and the real desk of control between them."""
    (folder / "run").mkdir()
    (folder / "run" / "plan.json").write_text(plan.to_json())
    desk = Desk(Kept(), None, Facts(0.0))
    async with LinkServer(folder / "s", desk) as link, AsyncExitStack() as stack:
        workers = []
        for index in range(2):
            (folder / str(index)).mkdir()
            config = replace(worker_config(folder, "ws://127.0.0.1:1"), index=index, name=f"worker-{index}")
            worker = WorkerProcess(config, None, None)
            workers.append(await stack.enter_async_context(_process(worker, folder / str(index), ready=True)))
        await until(lambda: len(link.peers()) == 2)
        yield desk, workers


async def test_calls_at_two_workers_share_the_room_of_a_route(tmp_path):
    (tmp_path / "plan.yaml").write_text(ROOM)
    plan = load.load(tmp_path / "plan.yaml")
    async with two_workers(tmp_path, plan) as (desk, workers), AsyncExitStack() as stack:
        phones = [await stack.enter_async_context(raw_phone(workers[n % 2].port)) for n in range(6)]
        answers = await asyncio.gather(*(phone.invite() for phone in phones))
        assert sorted(answer.status for answer in answers) == [200, 200, 200, 486, 486, 486]
        assert desk.room.live() == {"desk": 3}
        talking = [phone for phone, answer in zip(phones, answers, strict=True) if answer.status == 200]
        await talking[0].bye()
        await until(lambda: desk.room.live() == {"desk": 2})
        late = await stack.enter_async_context(raw_phone(workers[0].port))
        assert (await late.invite()).status == 200
        for phone in (*talking[1:], late):
            await phone.bye()
