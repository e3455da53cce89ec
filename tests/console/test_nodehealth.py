"""What a node says of its health: comes through as it was, stays small, and strange words of a database do no harm."""

import json
import random

import pytest

from bridge.console.banners import Worries, banners
from bridge.console.healthfacts import Disk, Facts, McpState, NodeHealth, Trunk
from bridge.console.healthview import panels
from bridge.console.nodehealth import packed, read
from bridge.store.healthstore import MAX_CHARS

WORKER = {
    "slot": 0, "name": "worker-0", "state": "active", "calls": 2, "taken": 57, "age_s": 7300.25,
    "cpu_percent": 3.5, "memory_mb": 41.0, "late_ms": 1.2, "why": "", "plan_lag": "",
}  # fmt: skip
CHILD = {"name": "kamailio", "state": "running", "since_s": 1.5, "restarts": 0, "failures": 0, "last": ""}
SAID = NodeHealth(
    "b",
    workers=[WORKER],
    children=[CHILD],
    supervisor="",
    trunks=[Trunk("carrier", registers=True, registered=False, reachable=None, problem="403")],
    edge={"up": 1.0},
    mcp=[McpState("till", "", 3, 2)],
    disks=[Disk("state", "/x", 10, 100)],
    pending=1,
    registering=False,
    certificate_until=99.5,
)


def told(one):
    return json.loads(json.dumps(packed(one)))


def test_what_one_node_says_the_other_reads():
    found = read("b", 3.0, told(SAID), "draining", "https://b.example")
    assert (found.age_s, found.state, found.console) == (3.0, "draining", "https://b.example")
    assert packed(found) == packed(SAID)
    assert found.trunks == SAID.trunks
    assert found.disks == SAID.disks


def test_a_worker_that_never_ended_is_told_of_once():
    children = [CHILD | {"name": "worker-0"}, CHILD | {"name": "worker-1", "restarts": 1}]
    assert [one["name"] for one in told(NodeHealth("b", children=children))["children"]] == ["worker-1"]


def test_of_many_workers_those_that_do_not_simply_work_are_told_of_first():
    many = [WORKER | {"slot": slot} for slot in range(99)]
    many[70], many[80] = (
        WORKER | {"slot": 70, "state": "paused"},
        WORKER | {"slot": 80, "plan_lag": "plan none"},
    )
    found = told(NodeHealth("b", workers=[*many, {"slot": 99, "state": "free"}]))["workers"]
    assert [one["slot"] for one in found][:4] == [70, 80, 0, 1]
    assert len(found) < 99
    few = told(NodeHealth("b", workers=[{"slot": 9, "state": "free"}, many[3], many[70]]))["workers"]
    assert [one["slot"] for one in few] == [3, 70]


def test_the_largest_node_says_less_than_the_store_takes():
    words = "x" * 500
    large = NodeHealth(
        "b",
        workers=[{name: words if isinstance(value, str) else 1e9 for name, value in WORKER.items()}] * 999,
        children=[CHILD | {"last": words, "name": words, "state": words, "restarts": 3}] * 999,
        supervisor=words,
        trunks=[Trunk(words, registers=True, problem=words)] * 999,
        edge={f"{number}{words}": 1e9 for number in range(999)},
        mcp=[McpState(words, words, 10**9, 10**9)] * 999,
        disks=[Disk(words, words, 10**15, 10**15)] * 999,
    )
    assert len(json.dumps(packed(large))) < MAX_CHARS
    assert len(json.dumps(packed(SAID))) < 800


ODD = (
    None,
    True,
    -1,
    1e400,
    "x" * 999,
    "<b>",
    [],
    [None, 3],
    {},
    {"slot": "nine", "name": ["x"]},
    [{}],
    float("nan"),
)


@pytest.mark.parametrize("seed", range(20))
def test_whatever_stands_in_the_database_the_page_and_the_banners_are_made(seed):
    chosen = random.Random(seed)
    facts = {name: chosen.choice(ODD) for name in packed(SAID)}
    found = read("b", 1.0, facts, "live", "")
    facts = Facts(0.0, NodeHealth("a"), [found], shared=True)
    assert panels(facts) is not None
    assert banners(facts, Worries()) is not None
