import pytest

from bridge.call.spoken import same_words


@pytest.mark.parametrize(
    ("said", "wanted", "same"),
    [
        ("which order is it please?", "Which order is it, please?", True),
        ("Sure. Which order is it, please? Take your time.", "Which order is it, please?", True),
        ("It costs $1,200.00, right?", "It costs 1200 dollars, right?", True),
        ("Did you pay 40 euros?", "Did you pay 400 euros?", False),
        ("Did you pay?", "Did you not pay?", False),
        ("One moment.", "Which order is it, please?", False),
    ],
)
def test_words_are_the_same_however_they_are_written_but_not_with_another_number_or_a_no(said, wanted, same):
    assert same_words(said, wanted) is same
