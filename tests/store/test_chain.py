import pytest

from bridge.store.chain import GENESIS, broken, entry_hash


def chain(length=4):
    entries, before = [], GENESIS
    for seq in range(1, length + 1):
        entry = {"seq": seq, "type": "approved", "facts": {"n": seq}, "prev_hash": before}
        before = entry["hash"] = entry_hash(entry)
        entries.append(entry)
    return entries


def test_a_chain_that_nobody_touched_holds():
    assert broken(chain()) == []
    assert broken([]) == []


@pytest.mark.parametrize("field", ["type", "facts", "seq"])
def test_an_edited_entry_is_named(field):
    entries = chain()
    entries[1] = {**entries[1], field: 9}
    assert any("2" in words or "9" in words for words in broken(entries))


def test_a_removed_entry_and_another_order_are_seen():
    entries = chain()
    assert broken(entries[:1] + entries[2:]) == [
        "entry 2 is missing",
        "entry 3 does not follow the one before it",
    ]
    assert broken([entries[0], entries[2], entries[1], entries[3]])


def test_an_edit_with_a_new_hash_breaks_the_next_entry():
    entries = chain()
    entries[1] = {**entries[1], "facts": {"n": 99}}
    entries[1]["hash"] = entry_hash(entries[1])
    assert broken(entries) == ["entry 3 does not follow the one before it"]
