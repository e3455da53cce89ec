"""What a challenge is answered for: tests/sip/test_agent_fraud.py has it with real messages."""

from bridge.sip.placed import PlacedCalls


def test_a_call_we_placed_is_known_until_many_more_were_placed():
    placed = PlacedCalls(2)
    placed.add("a")
    placed.add("b")
    assert "a" in placed
    placed.add("c")
    assert ["a" in placed, "b" in placed, "c" in placed] == [False, True, True]


def test_one_under_whose_call_id_somebody_calls_is_none_of_ours_any_more():
    placed = PlacedCalls()
    placed.add("a")
    placed.came_in("b")
    assert "a" in placed
    placed.came_in("a")
    assert "a" not in placed
