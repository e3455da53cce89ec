import pytest

from bridge.outbound.wish import WishError, variables_of, wish_of


def test_a_wish_says_who_asked_for_what():
    wish = wish_of({"number": "+4930", "agent": "front", "variables": {"name": "Ann"}}, "anna", "api", 5.0)
    assert (wish.number, wish.run, wish.variables) == ("+4930", "agent:front", {"name": "Ann"})
    assert (wish.asked_by, wish.via, wish.asked_at) == ("anna", "api", 5.0)
    assert wish_of({"number": "1", "route": "night"}, "a", "api", 0).run == "route:night"


@pytest.mark.parametrize(
    "body",
    [
        {}, {"number": ""}, {"number": 4930}, {"number": ["+49"]}, {"number": "9" * 101}, {"number": "1", "to": "x"},
        {"number": "1", "agent": "a", "route": "b"}, {"number": "1", "agent": 5}, {"number": "1", "variables": [1]},
        {"number": "1", "variables": {"a b": "x"}}, {"number": "1", "variables": {"a": {}}},
        {"number": "1", "variables": {f"v{n}": "" for n in range(51)}},
    ],
)  # fmt: skip
def test_what_cannot_be_understood_is_refused(body):
    with pytest.raises(WishError):
        wish_of(body, "anna", "api", 0)


def test_variables_are_cleaned_and_cut():
    found = variables_of({"a": 'x"{{y}}\r\n\x00\u202ez', "b": 5, "c": "x" * 600})
    assert found["a"] == "x'((y)) z"
    assert (found["b"], len(found["c"])) == ("5", 500)
