"""The capacity arithmetic, against figures that can be worked out by hand or stand in tables."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.capacity import Demand, Measured, Node, erlang_b, lines_for, need, tokens_per_call
from bridge.errors import BridgeError

FIGURES = Measured("pcmu", 80, 0.8, 0.1, 0.05, 0.25, 9.0, 100.0, 20.0, "a test")


@pytest.mark.parametrize(
    ("load", "lines", "blocking"),
    [(1, 1, 0.5), (2, 2, 0.4), (10, 10, 0.2146), (20, 30, 0.0085), (60, 80, 0.0026), (1000, 1029, 0.0101)],
)
def test_erlang_b_is_that_of_the_tables(load, lines, blocking):
    """Agner Erlang's loss formula; the larger ones by ITU-T's tables."""
    assert erlang_b(load, lines) == pytest.approx(blocking, abs=0.0006)


@given(st.floats(1, 4_000), st.floats(10, 300), st.floats(0.0005, 0.2))
def test_the_lines_are_the_fewest_that_are_enough(per_hour, mean_s, blocking):
    lines = lines_for(per_hour, mean_s, blocking)
    load = per_hour * mean_s / 3600
    assert erlang_b(load, lines) <= blocking
    assert lines == 0 or erlang_b(load, lines - 1) > blocking


@pytest.mark.parametrize(
    ("per_hour", "mean_s", "blocking"), [(0, 10, 0.01), (10, 0, 0.01), (10, 10, 0), (10, 10, 1)]
)
def test_a_load_that_is_none_is_refused(per_hour, mean_s, blocking):
    with pytest.raises(BridgeError, match="above 0"):
        lines_for(per_hour, mean_s, blocking)


def test_a_load_beyond_all_measure_is_refused():
    with pytest.raises(BridgeError, match="split the load"):
        lines_for(1e9, 3600, 0.0001)


def test_what_100_calls_need_can_be_worked_out_by_hand():
    found = need(FIGURES, Demand(100, mean_s=200, hours=1, said=0.5), Node(cores=4, gb=8, full=0.75))
    assert found.workers == 25
    assert found.cores == pytest.approx(0.9)
    assert found.edge_cores == pytest.approx(0.3)
    assert found.calls_per_node == 250  # 4 cores * 0.75 / 1.2 %
    assert (found.nodes, found.bound_by) == (1, "cores")
    assert found.new_calls_per_s == 0.5
    assert found.rtp_mbit == pytest.approx(100 * 218 * 50 * 8 / 1e6)
    assert found.recordings_gb == pytest.approx(100 * 32000 * 3600 / 1e9)
    assert found.events_per_s == pytest.approx(100 * (7 / 10 + 12 / 200))
    assert found.packets_per_s == 10_000


def test_a_node_with_little_memory_is_bound_by_it():
    found = need(FIGURES, Demand(100), Node(cores=64, gb=0.5))
    assert found.bound_by == "memory"
    assert found.calls_per_node == math.floor((512 - 100) / 9)
    assert found.nodes == 3


@pytest.mark.parametrize("node", [Node(cores=0), Node(full=0), Node(full=1.5), Node(gb=0.1)])
def test_a_node_without_room_is_refused(node):
    with pytest.raises(BridgeError):
        need(FIGURES, Demand(1), node)


@given(st.integers(1, 50_000), st.integers(1, 50_000))
def test_more_calls_never_need_less(few, more):
    few, more = sorted((few, more))
    one, other = need(FIGURES, Demand(few), Node()), need(FIGURES, Demand(more), Node())
    for name in (
        "workers",
        "cores",
        "nodes",
        "gb",
        "rtp_mbit",
        "model_up_mbit",
        "recordings_gb",
        "events_per_s",
    ):
        assert getattr(one, name) <= getattr(other, name)


def test_what_was_said_is_read_again_at_each_turn():
    one_turn = tokens_per_call(Demand(1, mean_s=10, turn_s=10, heard=0.5, said=0.5))
    assert one_turn == {"audio_in": 50, "audio_cached": 0, "audio_out": 100}
    three = tokens_per_call(Demand(1, mean_s=30, turn_s=10, heard=0.5, said=0.5))
    assert three == {"audio_in": 150 + 150 * 3, "audio_cached": 150 * 3, "audio_out": 300}


def run(**changes):
    used = {
        "worker": {"cores": 0.6, "mb": 800.0}, "control": {"cores": 0.1, "mb": 90.0},
        "supervisor": {"cores": 0.0, "mb": 8.0}, "rtpengine": {"cores": 0.2, "mb": 30.0},
    }  # fmt: skip
    good = {"calls": 80, "right": True, "used": used}
    bad = {"calls": 96, "right": False, "used": used}
    rates = [{"rate": 20, "calls": 100, "ended_well": 100}, {"rate": 40, "calls": 200, "ended_well": 199}]
    return {"facts": {"format": "pcmu"}, "levels": [good, bad], "rates": rates} | changes


def test_the_largest_level_that_was_right_counts():
    figures = Measured.read(run(), "load.json")
    assert (figures.calls, figures.rate) == (80, 20)
    assert figures.worker_cpu == pytest.approx(0.75)
    assert figures.control_cpu == pytest.approx(0.125)
    assert figures.rtpengine_cpu == pytest.approx(0.25)
    assert figures.kamailio_cpu == 0
    assert figures.worker_mb == pytest.approx(10)
    assert figures.control_mb == pytest.approx(98)


@pytest.mark.parametrize(
    "data", [{}, {"levels": []}, run(levels=[{"calls": 4, "right": False}]), run(facts={})]
)
def test_a_file_without_a_right_level_says_what_to_do(data):
    with pytest.raises(BridgeError, match=r"make load.*run it again"):
        Measured.read(data, "load.json")
