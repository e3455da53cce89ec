"""What a page does not show yet."""

from bridge.console.pieces import Diff, Seen, key_of


def test_a_page_that_shows_what_there_is_is_told_nothing():
    seen = Seen("v1")
    assert not seen.compare({"a": 1}, "v1")
    assert not seen.compare({"a": 1}, "v2")


def test_a_page_of_another_state_is_filled_anew():
    assert Seen("v0").compare({"a": 1, "b": 2}, "v1") == Diff(added=(1, 2), whole=True)


def test_afterwards_it_is_told_what_came_what_changed_and_what_went():
    seen = Seen("v1")
    seen.compare({"a": 1, "b": 2}, "v1")
    assert seen.compare({"b": 3, "c": 4}, "v2") == Diff((4,), (3,), ("a",))
    assert not seen.compare({"b": 3, "c": 4}, "v3")


def test_a_name_from_outside_is_an_id_of_letters_and_digits():
    assert key_of('"><script>').isalnum()
    assert key_of("\ud800") != key_of("a")
