import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.dialplan.outbound import NEVER, UNLESS_NAMED, Outbound, Retry


def rules(*allow, **more):
    return Outbound(allow, "sip:{digits}@trunk", "+4930", (), **more)


def test_nothing_is_allowed_that_is_not_named():
    assert rules().misfit("+493012345678") == "no prefix in `allow` fits it"
    assert rules("+49").misfit("+493012345678") == ""
    assert rules("+49").misfit("+43112345678")


def test_a_denied_prefix_wins_over_a_longer_allowed_one():
    assert rules("+4930123", deny=("+4930",)).misfit("+493012345678") == "+4930 is denied by the dialplan"


@pytest.mark.parametrize("prefix", NEVER)
def test_premium_and_satellite_prefixes_stay_closed_whatever_is_allowed(prefix):
    number = (prefix + "12345678")[:14]
    assert "never dialled" in rules("+" + prefix[1], prefix, number).misfit(number)


@pytest.mark.parametrize("prefix", UNLESS_NAMED)
def test_a_risky_country_must_be_named_itself(prefix):
    number = (prefix + "12345678")[:14]
    assert "must be named" in rules(prefix[:2]).misfit(number)
    assert rules(prefix).misfit(number) == ""


def test_the_uri_holds_the_number_with_or_without_its_plus():
    assert rules("+49").uri("+493012345678") == "sip:493012345678@trunk"
    with pytest.raises(ValueError, match="no prefix"):
        rules("+43").uri("+493012345678")


@given(st.text(max_size=40))
def test_whatever_is_dialled_is_a_plus_and_ascii_digits(text):
    if rules("+1", "+4").misfit(text) == "":
        assert text.isascii()
        assert text[0] == "+"
        assert text[1:].isdigit()
        assert 8 <= len(text) <= 16


def test_a_retry_is_found_by_its_outcome():
    again = Retry("busy", 60, 2)
    assert rules(retries=(again,)).retry("busy") is again
    assert rules(retries=(again,)).retry("no_answer") is None
