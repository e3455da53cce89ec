import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.sip.events import Dtmf, DtmfMethod
from bridge.sip.keys import ECHO_S, MAX_WAITING, Keys

RFC, INFO = DtmfMethod.RFC4733, DtmfMethod.INFO


def counted(*reports):
    """(digit, method, at) -> the digits that count."""
    keys = Keys()
    return "".join(digit for digit, method, at in reports if keys.is_new(Dtmf(digit, method), at))


@pytest.mark.parametrize(("first", "second"), [(RFC, INFO), (INFO, RFC)])
def test_one_key_by_two_methods_is_one_digit(first, second):
    assert counted(("5", first, 1.0), ("5", second, 1.0 + ECHO_S)) == "5"


def test_after_half_a_second_it_is_another_key():
    assert counted(("5", RFC, 1.0), ("5", INFO, 1.01 + ECHO_S)) == "55"


def test_the_same_key_twice_by_one_method_is_two_digits():
    assert counted(("5", RFC, 1.0), ("5", RFC, 1.1)) == "55"


@pytest.mark.parametrize("order", [(RFC, INFO, RFC, INFO), (RFC, RFC, INFO, INFO), (INFO, RFC, RFC, INFO)])
def test_the_same_key_twice_by_two_methods_is_two_digits(order):
    assert counted(*(("1", method, number / 10) for number, method in enumerate(order))) == "11"


def test_other_keys_between_do_not_matter():
    assert counted(("1", RFC, 0.0), ("2", RFC, 0.1), ("1", INFO, 0.2), ("2", INFO, 0.3)) == "12"


def test_a_flood_of_keys_is_bounded():
    keys = Keys()
    assert all(keys.is_new(Dtmf("1", RFC), 0.0) for _ in range(MAX_WAITING + 1))
    assert [keys.is_new(Dtmf("1", INFO), 0.0) for _ in range(MAX_WAITING + 1)] == [False] * MAX_WAITING + [
        True
    ]


@given(st.lists(st.tuples(st.sampled_from("012"), st.sampled_from([RFC, INFO])), max_size=30))
def test_a_phone_that_uses_one_method_for_each_digit_loses_none(pairs):
    chosen = {}
    reports = [
        (digit, chosen.setdefault(digit, method), number / 20) for number, (digit, method) in enumerate(pairs)
    ]
    assert counted(*reports) == "".join(digit for digit, _ in pairs)
