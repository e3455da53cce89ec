import pytest

from bridge.edge.target import Target, from_json, read, to_json
from bridge.errors import LinkError


def test_targets_go_through_a_row_of_the_store_and_come_back_the_same():
    targets = (
        Target("sip:10.0.0.7:15060", "wide", "draining", 4, "b", 3, "boot"),
        Target("sip:127.0.0.1:15061"),
    )
    assert from_json(to_json(targets)) == targets


@pytest.mark.parametrize("text", ["", "{}x", '[{"uri": 1, "other": 2}]', "[3]"])
def test_what_is_no_list_of_targets_is_refused(text):
    with pytest.raises(LinkError, match="targets"):
        from_json(text)


def test_what_another_node_tells_is_a_target_or_nothing():
    told = {
        "uri": "sip:10.0.0.2:15060",
        "pool": "wide",
        "state": "draining",
        "node": "b",
        "slot": 3,
        "new": 1,
    }
    assert read(told) == Target("sip:10.0.0.2:15060", pool="wide", state="draining", node="b", slot=3)
    assert read({"uri": "sip:[fd00::2]:15060"}) is not None
    for wrong in ({}, {"uri": 7}, {"uri": "sip:evil.example:5060"}, {"uri": "sip:10.0.0.2:1;x=y"}):
        assert read(wrong) is None
    for name, value in (("pool", "x"), ("state", "x"), ("slot", "1"), ("max_calls", True), ("node", 1)):
        assert read({**told, name: value}) is None
