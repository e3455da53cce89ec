"""How the tests themselves are shared out: turns, order, scopes, networks."""

import multiprocessing
import os
import socket
from multiprocessing.connection import wait
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.fakes import parallel
from tests.fakes.netns import own_network

FORK = multiprocessing.get_context("fork")


def item(name, *marks):
    known = {mark: SimpleNamespace(name=mark) for mark in marks}
    return SimpleNamespace(path=Path(f"tests/{name}.py"), get_closest_marker=known.get)


def takes_a_turn(folder, alone, told):
    with parallel.turn(folder, alone=alone):
        told.send("in")
        told.recv()
    told.send("out")


def beside(folder, *, alone):
    here, there = FORK.Pipe()
    process = FORK.Process(target=takes_a_turn, args=(folder, alone, there), daemon=True)
    process.start()
    there.close()  # only the child has it: its end is seen
    return here, process


@pytest.mark.parametrize(
    ("first", "second", "together"), [(False, False, True), (True, False, False), (False, True, False)]
)
def test_a_test_that_wants_quiet_runs_beside_no_other_real_time_test(tmp_path, first, second, together):
    """Two processes: a lock would go over to a child that is forked while it is held."""
    (one, other), processes = zip(beside(tmp_path, alone=first), beside(tmp_path, alone=second), strict=True)
    early, late = (one, other) if one in wait([one, other], 5) else (other, one)
    assert early.recv() == "in"
    assert late.poll(5 if together else 0.2) is together
    early.send("go on")
    assert early.recv() == "out"
    assert late.recv() == "in"
    late.send("go on")
    assert late.recv() == "out"
    for process in processes:
        process.join(5)


def test_what_computes_comes_first_and_what_wants_quiet_last():
    items = [
        item("test_b", "system", "quiet"),
        item("test_steps", "system"),
        item("test_demo", "system"),
        item("test_policy"),
        item("test_gate_attacks"),
    ]
    names = [one.path.stem for one in sorted(items, key=parallel.order)]
    assert names == ["test_gate_attacks", "test_policy", "test_demo", "test_steps", "test_b"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a network namespace")
def test_two_processes_with_networks_of_their_own_may_have_the_same_port():
    def bind(told):
        own_network()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as here:
            here.bind(("127.0.0.1", port))
            told.send(here.getsockname()[1])

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        here, there = FORK.Pipe()
        process = FORK.Process(target=bind, args=(there,), daemon=True)
        process.start()
        assert here.poll(10)
        assert here.recv() == port
        process.join(5)
