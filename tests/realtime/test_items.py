"""Demands: reference 1.8 (truncation) and issue 2, point 6."""

from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.realtime.items import MAX_ITEMS, Cut, ItemLedger


def ledger() -> ItemLedger:
    return ItemLedger(48, 2)


def test_an_item_is_cut_where_it_was_heard():
    items = ledger()
    items.received("a", 0, bytes(48 * 1000))
    assert items.received_ms("a") == 1000
    assert items.cut("a", 431.9) == Cut(0, 431)


def test_a_cut_never_goes_beyond_what_was_received():
    items = ledger()
    items.received("a", 1, bytes(48 * 1000 + 40))
    assert items.cut("a", 5000) == Cut(1, 1000)


def test_an_item_nobody_heard_is_cut_to_nothing_and_then_gone():
    items = ledger()
    items.received("a", 0, bytes(4800))
    assert items.cut("a", -3) == Cut(0, 0)
    assert not items.delete("a")


def test_an_item_is_dropped_once_and_never_after_it_was_cut():
    items = ledger()
    assert items.drop("never heard of")
    assert not items.drop("never heard of")
    items.received("a", 0, bytes(4800))
    items.cut("a", 50)
    assert not items.drop("a")
    assert items.delete("a")


def test_an_item_heard_to_its_end_stays_whole():
    items = ledger()
    items.received("a", 0, bytes(4800))
    items.complete("a")
    assert items.cut("a", 100) is None
    assert items.cut("a", 99) == Cut(0, 99)


def test_an_item_without_audio_yet_is_cut_to_nothing_when_complete():
    items = ledger()
    items.complete("a")
    assert items.cut("a", 0) == Cut(0, 0)


def test_an_item_is_cut_once_and_an_unknown_one_never():
    items = ledger()
    items.received("a", 0, bytes(4800))
    assert items.cut("a", 50)
    assert items.cut("a", 20) is None
    assert items.cut("b", 20) is None
    assert items.received_ms("b") == 0


def test_a_cut_item_may_still_be_deleted_once():
    items = ledger()
    items.received("a", 0, bytes(4800))
    items.cut("a", 50)
    assert items.delete("a")
    assert not items.delete("a")
    assert items.cut("a", 10) is None


def test_a_split_sample_waits_for_its_other_half():
    items = ledger()
    assert items.received("a", 0, b"\x01\x02\x03") == b"\x01\x02"
    assert items.received("a", 0, b"\x04") == b"\x03\x04"


def test_only_the_last_items_are_kept():
    items = ledger()
    for index in range(MAX_ITEMS + 1):
        items.received(f"i{index}", 0, bytes(96))
    assert items.received_ms("i0") == 0
    assert items.received_ms("i1") == 2


@settings(deadline=None)
@given(st.lists(st.binary(max_size=50)), st.integers(-100, 200))
def test_samples_come_out_as_they_went_in_and_cuts_stay_inside(deltas, heard_ms):
    items = ItemLedger(8, 2)
    whole = b"".join(items.received("a", 0, delta) for delta in deltas)
    sent = b"".join(deltas)
    assert whole == sent[: len(sent) // 2 * 2]
    cut = items.cut("a", heard_ms)
    assert cut is None if not deltas else 0 <= cut.audio_end_ms <= len(sent) // 8
