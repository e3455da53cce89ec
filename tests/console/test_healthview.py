"""The health page's tables: what is shown, and what of it stands out."""

from bridge.console import healthview
from bridge.console.healthfacts import GB, Disk, Facts, McpState, NodeHealth, Provider, StoreState, Trunk
from bridge.console.healthview import Act, panels

WORKER = {
    "slot": 0, "name": "worker-0", "state": "active", "calls": 2, "taken": 57, "age_s": 7300.0,
    "cpu_percent": 3.5, "memory_mb": 41.0, "late_ms": 1.2, "why": "",
}  # fmt: skip
CHILD = {
    "name": "kamailio", "state": "running", "ready": True, "since_s": 100.0, "restarts": 0, "failures": 0, "last": "",
}  # fmt: skip
NODE = {
    "name": "a", "state": "live", "seen_s": 1.0, "workers": 2, "calls": 1, "plan": "p", "version": "1", "problems": [],
}  # fmt: skip


def mine(**facts):
    return NodeHealth("a", **facts)


def panel(name, here=None, others=(), **facts):
    found = Facts(1000.0, here or mine(), others, **facts)
    return next(one for one in panels(found) if one.name == name)


def texts(row):
    return [cell.text for cell in row.cells]


def test_a_worker_is_shown_with_what_it_uses_and_can_be_drained_or_taken_back():
    (row,) = panel("workers", mine(workers=[WORKER, {"slot": 1, "state": "free"}])).rows
    assert texts(row)[:6] == ["worker-0", "active", "2", "57", "2 h", "3.5 %"]
    assert row.acts == (Act("drain", "/workers/0/drain"),)
    (row,) = panel("workers", mine(workers=[WORKER | {"state": "drained"}])).rows
    assert row.acts == (Act("undrain", "/workers/0/undrain"),)


def test_processes_that_restart_stand_out_and_those_that_keep_crashing_more():
    found = panel("processes", mine(children=[CHILD, CHILD | {"name": "worker-0"}]))
    assert [texts(row)[0] for row in found.rows] == ["kamailio"], "workers have a table of their own"
    assert found.tone == ""
    once, often = {"restarts": 1, "failures": 1}, {"restarts": 4, "failures": 4, "state": "waiting"}
    assert panel("processes", mine(children=[CHILD | once])).tone == "warn"
    assert panel("processes", mine(children=[CHILD | often])).tone == "bad"


def test_a_node_alone_is_no_table_and_a_lost_one_stands_out():
    assert all(one.name != "nodes" for one in panels(Facts(at=0.0, nodes=[NODE])))
    found = panel("nodes", shared=True, nodes=[NODE, NODE | {"name": "b", "state": "lost"}])
    assert (texts(found.rows[0])[0], found.tone) == ("a (this one)", "bad")
    assert found.rows[1].acts == ()


def test_a_trunk_says_whether_it_is_registered_if_it_should_be():
    found = panel(
        "trunks", mine(trunks=[Trunk("a", registers=True, registered=False), Trunk("b", registers=False)])
    )
    assert [texts(row)[1] for row in found.rows] == ["no", "not asked for"]
    assert found.tone == "bad"


def test_with_other_nodes_each_row_says_whose_it_is_and_only_this_one_s_workers_can_be_drained_here():
    other = NodeHealth("b", 4.0, workers=[WORKER], console="https://b.example")
    found = panel("workers", mine(workers=[WORKER]), [other], shared=True)
    assert found.columns[:3] == ("worker", "name", "state")
    assert [texts(row)[:3] for row in found.rows] == [
        ["worker-0", "a (this one)", "active"],
        ["worker-0", "b", "active"],
    ]
    assert [bool(row.acts) for row in found.rows] == [True, False]
    assert found.rows[1].cells[1].href == "https://b.example"


def test_of_a_lost_node_only_that_it_is_lost_stands_out_and_what_is_old_says_how_old():
    full = [Disk("state", "/x", 0, GB)]
    lost, old = NodeHealth("b", 130.0, "lost", disks=full), NodeHealth("c", 45.0, disks=full)
    found = panel("disks", others=[lost, old])
    assert [texts(row)[1] for row in found.rows] == ["b: lost; as it was 2 min ago", "c, 45 s ago"]
    assert [[cell.tone for cell in row.cells] for row in found.rows] == [
        ["quiet", "bad", "quiet", "quiet"],
        ["", "warn", "bad", ""],
    ]


def test_a_trunk_that_another_node_registers_is_no_trouble_here():
    trunk = Trunk("carrier", registers=True, registered=False)
    found = panel("trunks", others=[NodeHealth("b", trunks=[trunk], registering=False)])
    assert (texts(found.rows[0])[2], found.tone) == ("another node does it", "")


def test_a_node_that_does_not_know_its_processes_says_why_by_name():
    other = NodeHealth("b", supervisor="no supervisor answers")
    assert panel("workers", others=[other]).note == "b: no supervisor answers"


def test_a_provider_whose_last_session_failed_stands_out_until_one_works():
    broken = Provider("x", "api.example.com", 10, 2, connected_at=900.0, failed_at=990.0, error="close_1006")
    found = panel("providers", providers=[broken])
    assert (texts(found.rows[0])[4:], found.tone) == (["100 s ago", "10 s ago", "close_1006"], "bad")
    mended = Provider("x", "api.example.com", 10, 2, connected_at=995.0, failed_at=990.0, error="close_1006")
    assert panel("providers", providers=[mended]).tone == ""


def test_a_disk_is_tight_by_share_or_by_what_is_left():
    assert Disk("state", "/x", 2 * GB, 100 * GB).tight
    assert Disk("state", "/x", GB // 2, 5 * GB).tight
    assert not Disk("state", "/x", 30 * GB, 1000 * GB).tight
    assert not Disk("state", "/x", 3 * GB, 10 * GB).tight


def test_the_store_tells_of_its_size_and_of_what_waits():
    found = panel("store", store=StoreState("sqlite", 1.25, 3 * 1024**2, backlog_bytes=0, unknown=2))
    assert [texts(row) for row in found.rows] == [
        ["kind", "sqlite"], ["answers in", "1.2 ms"], ["size", "3.0 MB"], ["events waiting on disk", "0 B"],
        ["outcomes nobody knows", "2"],
    ]  # fmt: skip
    assert panel("store", store=StoreState("sqlite", error="locked")).tone == "bad"


def test_an_mcp_server_that_is_away_says_why():
    found = panel("mcp", mine(mcp=[McpState("till", "", 3, 2), McpState("shop", "connection refused", 0, 0)]))
    assert [texts(row)[1] for row in found.rows] == ["connected", "connection refused"]


def test_sizes_and_times_are_for_people():
    assert [healthview.size(one) for one in (None, 12, 2048, 5 * 1024**3)] == [
        "\N{EN DASH}",
        "12 B",
        "2.0 kB",
        "5.0 GB",
    ]
    assert [healthview.span(one) for one in (-1, 59, 130, 7300, 200_000)] == [
        "0 s",
        "59 s",
        "2 min",
        "2 h",
        "2 d",
    ]
