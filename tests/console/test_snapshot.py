"""What a page does not show yet."""

from dataclasses import replace

from bridge.console.card import Described, Earlier, card
from bridge.console.snapshot import Changes, Seen, Snapshot
from bridge.store.queuestore import Around, SpokenLine
from tests.fakes.requests import row

BASE = card(row(), Around("", (), ()), Described())


def one(request_id, version=1, state="pending", lines=()):
    return replace(BASE, request_id=request_id, version=version, state=state, lines=lines)


def test_a_page_that_shows_what_there_is_gets_the_counts_only():
    now = Snapshot((one("a"),), 1, 2)
    seen = Seen(now.digest)
    assert seen.compare(now) == Changes(counts=True)
    assert not seen.compare(now)


def test_a_page_that_shows_something_else_is_filled_anew():
    now = Snapshot((one("a"), one("b", state="denied")), 1, 0)
    assert Seen("").compare(now) == Changes(added=(one("a"),), counts=True, whole=True)


def test_then_it_gets_what_is_new_what_changed_and_what_was_said():
    first = Snapshot((one("a"), one("b"), one("c")), 3, 1)
    seen = Seen(first.digest)
    seen.compare(first)
    said = (SpokenLine("caller", "Yes."),)
    then = Snapshot((one("a", 2, "denied"), one("b", lines=said), one("c"), one("d")), 3, 1)
    changes = seen.compare(then)
    assert [card.request_id for card in changes.added] == ["d"]
    assert [card.request_id for card in changes.changed] == ["a"]
    assert [card.request_id for card in changes.spoken] == ["b"]
    assert not changes.counts
    assert not changes.whole


def test_what_was_settled_before_the_page_saw_it_is_not_shown():
    seen = Seen(Snapshot().digest)
    seen.compare(Snapshot())
    assert not seen.compare(Snapshot((one("a", state="denied"),)))


def test_what_waits_for_a_person_comes_first():
    cards = (one("a", state="executing"), one("b"), one("c", state="unknown"), one("d"))
    assert [card.request_id for card in Snapshot(cards).open_cards] == ["b", "d", "a", "c"]


def test_a_problem_with_the_store_is_told():
    seen = Seen(Snapshot().digest)
    seen.compare(Snapshot())
    assert seen.compare(Snapshot(problem="full")).counts


def test_a_decision_about_the_same_caller_changes_the_card_that_still_waits():
    seen = Seen(Snapshot((one("a"),)).digest)
    seen.compare(Snapshot((one("a"),)))
    now = replace(one("a"), earlier=(Earlier(1.0, "denied", "amount 7", (), "no"),))
    assert seen.compare(Snapshot((now,))).changed == (now,)


def test_the_page_of_one_request_is_told_of_no_other():
    both = Snapshot((one("a"), one("b")), 2, 1)
    assert both.only("a") == Snapshot((one("a"),), 2, 1)


def test_a_card_that_was_away_comes_back_into_its_place():
    """Where too much is open some are not told of for a while; a page must not show one twice."""
    seen = Seen(Snapshot((one("a"), one("b"))).digest)
    seen.compare(Snapshot((one("a"), one("b"))))
    seen.compare(Snapshot((one("b"), one("c"))))
    seen.compare(Snapshot((one("b"),)))
    changes = seen.compare(Snapshot((one("a"), one("b"), one("c", 2))))
    assert (changes.added, [card.request_id for card in changes.changed]) == ((), ["a", "c"])
