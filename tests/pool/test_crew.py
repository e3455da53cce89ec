"""The rules are in tests/pool/test_roster.py; here is what becomes of their orders, and what the roster is told."""

import os
import signal

import pytest

from bridge.pool.crew import Crew, Hands
from bridge.pool.launch import Program
from bridge.pool.moves import PoolLimits
from bridge.supervision import Child, Kill, Limits, Spawn, Supervision

LIMITS = PoolLimits(recycle_after_calls=10, max_memory_mb=1, check_s=10, ready_s=20, settle_s=0)


class House:
    """A crew of two workers and a surge slot, all started, and what it had the supervisor do."""

    def __init__(self, folder):
        self.done = []
        self.programs = [self.program(folder, 0), self.program(folder, 1, "wide"), self.program(folder, 2)]
        children = [Child(one.name, one.stage, one.says_ready, one.on_demand) for one in self.programs]
        self.machine = Supervision(children, Limits())
        hands = Hands(
            self.done.extend,
            lambda name, word: self.done.append((name, word)),
            lambda: self.done.append("fresh"),
            self.done.append,
        )
        self.crew = Crew(self.programs, LIMITS, self.machine, hands)
        for order in self.machine.begin(0):
            assert isinstance(order, Spawn)
            self.crew.spawned(order.name, 0)
            self.crew.ready(order.name, 0)

    def program(self, folder, index, pool="narrow"):
        files = [folder / f"{index}.json", folder / f"{index}-wide.json"]
        for file, kind in zip(files, ("narrow", "wide"), strict=True):
            file.write_text(f'{{"{kind}": {index}}}\n')
        return Program(
            f"worker-{index}", 2, ("x",), stdin=str(files[0]), stdin_wide=str(files[1]),
            index=index, says_ready=True, role="worker", pool=pool, on_demand=index == 2,
        )  # fmt: skip

    def took(self):
        done = list(self.done)
        self.done.clear()
        return done

    def ask(self, do, slot=None, now=1.0):
        return self.crew.ask({"do": do, "slot": slot}, now)


@pytest.fixture
def house(tmp_path):
    return House(tmp_path)


def test_each_worker_is_told_the_configuration_of_its_pool(house):
    assert house.crew.configuration("worker-0") == b'{"narrow": 0}\n'
    assert house.crew.configuration("worker-1") == b'{"wide": 1}\n'
    house.ask("restart", 1)
    assert house.crew.configuration("worker-2") == b'{"wide": 2}\n'


def test_a_configuration_that_cannot_be_read_is_told(house, tmp_path):
    (tmp_path / "0.json").unlink()
    assert house.crew.configuration("worker-0") == b"\n"
    assert "cannot read the configuration of worker-0" in house.took()[0]


def test_a_restart_starts_another_worker_and_then_has_the_old_one_retire(house):
    answer = house.ask("restart", 0)
    assert answer["ok"]
    assert house.took() == ["worker-0 is replaced by worker-2: asked for", Spawn("worker-2")]
    house.crew.spawned("worker-2", 1)
    house.crew.ready("worker-2", 1.2)
    assert house.took() == [("worker-0", "retire")]
    house.machine.exited("worker-0", "exit code 0", 9)
    house.crew.exited("worker-0", 9)
    states = {one["name"]: one["state"] for one in house.ask("status", now=9)["workers"]}
    assert states == {"worker-0": "free", "worker-1": "active", "worker-2": "active"}


def test_a_rolling_restart_loads_the_image_anew(house):
    assert house.ask("restart", "rolling")["rolling"] == "0 of 2 replaced"
    assert house.took()[:2] == ["fresh", "rolling restart of 2 workers"]


def test_drain_and_undrain_reach_the_worker(house):
    house.ask("drain", 1)
    house.ask("undrain", 1)
    assert [one for one in house.took() if isinstance(one, tuple)] == [
        ("worker-1", "pause"),
        ("worker-1", "resume"),
    ]


@pytest.mark.parametrize(
    ("order", "why"),
    [
        ({}, '"slot" must be a number'),
        ({"do": "dance", "slot": 1}, '"do" must be status, restart, drain or undrain'),
        ({"do": "restart", "slot": True}, '"slot" must be a number'),
        ({"do": "drain", "slot": "rolling"}, '"slot" must be a number'),
        ({"do": "drain", "slot": 7}, "there is no slot 7"),
    ],
)
def test_an_order_that_is_none_is_refused(house, order, why):
    answer = house.crew.ask(order, 1)
    assert (answer["ok"], why in answer["error"]) == (False, True)


def test_a_replacement_that_crashes_before_it_is_ready_leaves_its_slot_free(house):
    house.ask("restart", 0)
    house.crew.spawned("worker-2", 1)
    house.took()
    house.machine.exited("worker-2", "exit code 1", 1.1)
    house.crew.exited("worker-2", 1.1)
    assert house.took() == [
        "worker-0 is not replaced: the new worker in slot 2 ended before it was ready",
        Kill("worker-2", signal.SIGKILL),
    ]
    assert house.machine.free("worker-2")
    assert house.ask("status")["workers"][2]["state"] == "free"


def test_status_lines_of_workers_count_their_calls_and_recycle_them(house):
    assert house.crew.said("worker-0", b"status calls=3 taken=9", 1)
    assert house.ask("status")["workers"][0]["calls"] == 3
    assert house.crew.said("worker-0", b"status calls=3 taken=10", 2)
    assert "worker-0 will be replaced: it has carried 10 calls (pool.recycle_after_calls)" in house.took()
    for line in (b"status", b"status calls=x taken=1", b"status calls=1"):
        assert not house.crew.said("worker-0", line, 3)
    assert not house.crew.said("control", b"status calls=1 taken=1", 3)


def test_what_the_kernel_says_of_a_process_is_judged(house):
    for now in (0.0, 10.0, 20.0):
        house.crew.tick(now, {"worker-0": os.getpid(), "worker-1": 1 << 22, "control": 1})
    worker = house.ask("status", now=20)["workers"][0]
    assert worker["memory_mb"] > 5
    assert worker["pid"] == os.getpid()
    assert any("MB of memory (pool.max_memory_mb: 1)" in str(one) for one in house.took())
    assert house.crew.next_due() == 30  # the next check


def test_while_the_bridge_stops_nothing_is_asked_for_any_more(house):
    house.crew.stop()
    assert house.ask("restart", 0) == {"ok": False, "error": "the bridge is stopping"}
    assert house.ask("status")["ok"]
    house.crew.tick(100, {"worker-0": os.getpid()})
    assert house.crew.next_due() is None
    assert house.took() == []
