"""How the suite is shared out to several processes (pytest-xdist): which tests go together, and which want quiet."""

import fcntl
import os
from contextlib import contextmanager
from pathlib import Path

from xdist.scheduler import LoadScopeScheduling

BY_TEST = ("tests/system/", "tests/scenarios/test_gate_attacks.py")
"""Long tests that share nothing: each may go to whoever is free. Of every other file all tests go to one process."""
BY_FILE = (
    "tests/system/test_edge.py",
    "tests/system/test_edge_attacks.py",
    "tests/system/test_edge_roads.py",
    "tests/system/test_edge_dialogs.py",
    "tests/system/test_edge_trunks.py",
)
"""But not these, which share a running edge."""
LONG = (
    "test_failures",
    "test_edge_attacks",
    "test_edge",
    "test_edge_roads",
    "test_edge_dialogs",
    "test_demo",
    "test_tools_kill",
    "test_tools",
    "test_operating",
    "test_simulate",
    "test_reload",
    "test_outbound",
    "test_gate_attacks",
)
"""Files whose tests take long: first of their kind, so that nobody waits for the last one alone."""
MOST_PROCESSES = 6


def processes() -> int:
    """One more than there are processors: most of the tests wait for something that takes its time."""
    return min(len(os.sched_getaffinity(0)) + 1, MOST_PROCESSES)


def order(item) -> tuple[int, int]:
    """Where a test stands in the queue: what computes, then what runs in real time, then what wants quiet.

    Real-time tests beside those that compute would be late.
    """
    if item.get_closest_marker("quiet"):
        return 2, 0
    real_time = item.get_closest_marker("system") is not None
    name = item.path.stem
    return int(real_time), LONG.index(name) if name in LONG else len(LONG)


class Scheduler(LoadScopeScheduling):
    """Keeps the order of the collection; whole files, or single tests where BY_TEST says so."""

    def _split_scope(self, nodeid):
        alone = nodeid.startswith(BY_TEST) and not nodeid.startswith(BY_FILE)
        return nodeid if alone else nodeid.split("::", 1)[0]


@contextmanager
def turn(folder, *, alone):
    """Real-time tests run beside each other, one that is `alone` beside nothing. `folder`: common to all processes.

    Who waits to be alone keeps others from starting, so its turn comes.
    """
    with _locked(Path(folder) / "running.lock") as running:
        with _locked(Path(folder) / "next.lock") as first:
            fcntl.flock(first, fcntl.LOCK_EX)
            fcntl.flock(running, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        yield


@contextmanager
def _locked(path):
    with path.open("a") as file:  # closing it gives the lock back
        yield file
