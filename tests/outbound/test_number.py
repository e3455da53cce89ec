import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.dialplan.outbound import E164
from bridge.outbound.number import NumberError, read


@pytest.mark.parametrize(
    ("text", "region", "e164", "kind"),
    [
        ("+49 30 12345678", None, "+493012345678", "fixed_line"),
        ("030 / 123-456.78", "DE", "+493012345678", "fixed_line"),
        ("0049 (0)30 12345678", "DE", "+493012345678", "fixed_line"),
        ("011 49 30 12345678", "US", "+493012345678", "fixed_line"),
        ("(202) 555-0123", "US", "+12025550123", "fixed_line"),
        ("+49 1511 2345678", None, "+4915112345678", "mobile"),
        ("+1 900 555 0123", None, "+19005550123", "premium_rate"),
        ("+49 1805 123456", None, "+491805123456", "shared_cost"),
        ("+49900123456", None, "+49900123456", "invalid"),
    ],
)
def test_a_number_has_one_form_and_a_kind(text, region, e164, kind):
    found = read(text, region)
    assert (found.e164, found.kind) == (e164, kind)


def test_where_a_number_is_tells_its_time_zones():
    assert read("+49 30 12345678").zones == ("Europe/Berlin",)
    assert "Etc/Unknown" not in read("+8816123456789").zones


def test_without_a_region_a_number_needs_its_plus():
    with pytest.raises(NumberError, match=r"needs outbound\.region"):
        read("030 12345678")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("+49\uff1030", "plain ASCII"),
        ("+4930\n", "control characters"),
        ("tel:+4930", "an address"),
        ("+4930;ext=1", "parameters"),
        ("+4930%0d", "percent escapes"),
        ("*21*+4930#", r"\* or #"),
        ("+4930,,1", "pauses"),
        ("+1800FLOWERS", "letters"),
        (" +4930", "blanks around it"),
        ("<+4930>", "brackets"),
        ("", "no number"),
        ("9" * 33, "longer than 32"),
        ("112", "too short"),
    ],
)
def test_what_is_refused_is_named(text, why):
    with pytest.raises(NumberError, match=why):
        read(text, "DE")


@given(st.text(max_size=40), st.sampled_from([None, "DE", "US"]))
def test_any_text_is_a_whole_number_or_refused(text, region):
    try:
        found = read(text, region)
    except NumberError:
        return
    assert E164.match(found.e164)
