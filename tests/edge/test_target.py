import pytest

from bridge.edge.target import Target, from_json, to_json
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
