"""Demands: our choice: order, unique ids, bounds."""

import json

import pytest

from bridge.errors import LocalSessionError
from bridge.realtime.outbox import MAX_UNACKNOWLEDGED, MAX_WAITING, Outbox


def test_events_leave_in_order_with_ids_of_their_own():
    box = Outbox()
    first = box.put({"type": "a"})
    box.put_as("own", {"type": "b"})
    assert [json.loads(text) for text in box.take()] == [
        {"event_id": first, "type": "a"},
        {"event_id": "own", "type": "b"},
    ]
    assert box.take() == []
    assert box.next_id() != first


def test_items_count_as_unacknowledged_until_the_server_has_them():
    box = Outbox()
    one, two = box.next_item_id(), box.next_item_id()
    assert box.unacknowledged == {one, two}
    box.acknowledged(one)
    box.acknowledged("somebody else's")
    assert box.unacknowledged == {two}


def test_unacknowledged_items_are_bounded_oldest_first():
    box = Outbox()
    first = box.next_item_id()
    for _ in range(MAX_UNACKNOWLEDGED):
        box.next_item_id()
    assert len(box.unacknowledged) == MAX_UNACKNOWLEDGED
    assert first not in box.unacknowledged


def test_a_shell_that_does_not_send_is_told():
    box = Outbox()
    for _ in range(MAX_WAITING):
        box.put({"type": "a"})
    with pytest.raises(LocalSessionError):
        box.put({"type": "a"})
