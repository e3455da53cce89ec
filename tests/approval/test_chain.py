import pytest

from bridge.approval.chain import (
    GENESIS,
    broken,
    contradicted,
    cut_off,
    entry_hash,
    head_text,
    payload_hash,
    payloads_changed,
    unapproved,
)


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


def test_a_part_of_a_chain_holds_if_it_follows_what_was_before():
    entries = chain()
    assert broken(entries[2:], begins=(3, entries[1]["hash"])) == []
    assert broken(entries[2:], begins=(3, entries[0]["hash"])) == [
        "entry 3 does not follow the one before it"
    ]


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


class Key:
    """Signs by turning the text round."""

    @staticmethod
    def verify(key, text, signature):
        return key == "k" and signature == text[::-1]


def made(length=4):
    entries, before = [], GENESIS
    for seq in range(1, length + 1):
        entry = {
            "seq": seq,
            "request_id": "r",
            "type": "approved",
            "facts": {"state": "pending"},
            "key_id": "k",
        }
        entry["prev_hash"] = before
        before = entry["hash"] = entry_hash(entry)
        entries.append({**entry, "signature": before[::-1]})
    return entries


def test_an_entry_that_is_not_signed_by_our_key_is_named():
    entries = made()
    assert broken(entries, Key.verify) == []
    entries[1] = {**entries[1], "signature": None}
    entries[2] = {**entries[2], "signature": "x"}
    assert broken(entries, Key.verify) == ["entry 2 is not signed", "entry 3 is not signed by our key"]


def head(entry, seq=None):
    seq = entry["seq"] if seq is None else seq
    return {"seq": seq, "hash": entry["hash"], "at": 1.0, "key_id": "k",
            "signature": head_text(seq, entry["hash"], 1.0)[::-1]}  # fmt: skip


def test_entries_cut_off_at_the_end_are_named_by_the_heads_that_were_kept():
    entries = made()
    heads = [head(entries[1]), head(entries[3])]
    assert cut_off(entries, heads, Key.verify) == []
    assert cut_off(entries[:2], heads, Key.verify) == ["entries 3 to 4 were cut off at the end"]
    assert cut_off(entries[:3], heads, Key.verify) == ["entry 4 was cut off at the end"]
    assert cut_off([], heads, Key.verify) == [
        "entries 1 to 2 were cut off at the end",
        "entries 3 to 4 were cut off at the end",
    ]


def test_a_chain_that_was_made_anew_does_not_fit_the_heads():
    entries, others = made(), made()
    others[1] = {**others[1], "hash": "0" * 64}
    assert cut_off(others, [head(entries[1])], Key.verify) == [
        "entry 2 is not the one that was there when its head was kept"
    ]
    forged = {**head(entries[1]), "signature": "x"}
    assert "not signed" in cut_off(entries, [forged], Key.verify)[0]


def test_a_payload_that_was_changed_or_taken_away_is_named_and_an_erased_one_is_not():
    digest = payload_hash("salt", {"number": "+491"})
    entries = [
        {"seq": 7, "payload_hash": digest, "type": "requested", "call_id": "c1"},
        {"seq": 8, "payload_hash": None, "type": "denied", "call_id": "c1"},
    ]
    erased = [*entries, {"seq": 9, "payload_hash": None, "type": "erased", "call_id": "c1"}]
    assert payloads_changed(entries, {digest: ("salt", {"number": "+491"})}) == []
    assert payloads_changed(erased, {digest: ("salt", None)}) == []
    assert payloads_changed(entries, {digest: ("salt", None)}) == [
        "the payload of entry 7 was erased, but nobody is on record for it"
    ]
    assert payloads_changed(entries, {digest: ("salt", {"number": "+492"})}) == [
        "the payload of entry 7 was edited"
    ]
    assert "removed" in payloads_changed(entries, {})[0]


ASKED = {"effect": "ask", "approvers": 2}


@pytest.mark.parametrize(
    ("steps", "wrong"),
    [
        ([("requested", {"effect": "allow", "approvers": 0}, ""), ("executing", {}, "")], 0),
        ([("requested", {"effect": "deny", "approvers": 0}, ""), ("executing", {}, "")], 1),
        (
            [
                ("requested", ASKED, ""),
                ("approved", {}, "anna"),
                ("approved", {}, "bert"),
                ("executing", {}, ""),
            ],
            0,
        ),
        ([("requested", ASKED, ""), ("approved", {}, "anna"), ("executing", {}, "")], 1),
        (
            [
                ("requested", ASKED, ""),
                ("approved", {}, "anna"),
                ("approved", {}, "anna"),
                ("executing", {}, ""),
            ],
            1,
        ),
        (
            [
                ("requested", ASKED, ""),
                ("approved", {}, "anna"),
                ("approved", {"edited": True}, "bert"),
                ("executing", {}, ""),
            ],
            1,
        ),
        ([("requested", {"effect": "confirm", "approvers": 0}, ""), ("executing", {}, "")], 1),
        (
            [
                ("requested", {"effect": "confirm", "approvers": 0}, ""),
                ("confirmed", {}, "caller"),
                ("executing", {}, ""),
                ("executing", {}, ""),
            ],
            1,
        ),
        (
            [
                ("requested", {"effect": "allow"}, ""),
                ("executing", {}, ""),
                ("retried", {}, ""),
                ("executing", {}, ""),
            ],
            0,
        ),
        ([("executing", {}, "")], 1),
    ],
)
def test_an_execution_that_nothing_allows_or_a_second_one_is_named(steps, wrong):
    entries = [
        {"seq": seq, "request_id": "r", "type": kind, "facts": facts, "actor": actor}
        for seq, (kind, facts, actor) in enumerate(steps, 1)
    ]
    assert len(unapproved(entries)) == wrong


def test_a_request_whose_state_the_chain_does_not_know_is_named():
    entries = made()
    assert contradicted(entries, {"r": "pending"}) == []
    assert contradicted(entries, {"r": "succeeded"}) == [
        "request r is succeeded, but the chain leaves it pending"
    ]
    assert "unheard of" in contradicted(entries, {"other": "pending"})[0]
