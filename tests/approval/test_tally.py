"""What counts, in which scope."""

from dataclasses import replace

from bridge.approval.tally import CALLER_S, Past, counts

NOW = 1_000_000_000.0
MIDNIGHT = NOW - 3600
ONE = Past("refund", "c1", "+491", "succeeded", {"amount": 10.5, "order": "1", "urgent": True}, NOW - 60)
NEW = replace(ONE, state="requested", arguments={"amount": 1.0}, at=NOW)


def test_without_a_past_everything_is_zero():
    empty = {"requests": 0, "approved": 0, "sums": {}}
    assert counts([], NEW, MIDNIGHT) == {"call": empty, "caller": empty, "day": empty}


def test_each_scope_counts_its_own():
    past = [
        ONE,
        replace(ONE, call_id="c0", at=MIDNIGHT - 1),
        replace(ONE, call_id="c2", caller="+492"),
        replace(ONE, tool="credit"),
        replace(ONE, call_id="c0", at=NOW - CALLER_S - 1),
    ]
    found = counts(past, NEW, MIDNIGHT)
    assert {scope: one["requests"] for scope, one in found.items()} == {"call": 1, "caller": 2, "day": 2}
    assert found["caller"]["sums"] == {"amount": 21.0}


def test_what_may_still_be_done_is_in_the_sums_and_what_was_not_done_is_not():
    states = ["confirming", "pending", "approved", "executing", "succeeded", "unknown"]
    states += ["denied", "expired", "cancelled", "failed"]
    found = counts([replace(ONE, state=state) for state in states], NEW, MIDNIGHT)["call"]
    assert found == {"requests": 10, "approved": 5, "sums": {"amount": 6 * 10.5}}


def test_a_caller_without_number_has_no_history():
    nobody = replace(ONE, caller="")
    assert "caller" not in counts([nobody], replace(NEW, caller=""), MIDNIGHT)
