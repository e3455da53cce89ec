"""Numbers in one form, whatever form they came in; what is no number, or an internal one, as it is."""

import subprocess
import sys
import time

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.dialplan.e164 import countries, is_number, normalised, normalised_pattern

BERLIN = "+49301234567"


@pytest.mark.parametrize(
    "text",
    [
        BERLIN,
        "030 1234567",
        "030/1234567",
        "(030) 123-4567",
        "0049301234567",
        "00 49 (0)30 1234567",
        "+49 (0)30 1234567",
        "49301234567",
        "tel:+49-30-1234567",
        "TEL:030-1234567",
        "tel:1234567;phone-context=+4930",
        "sip:+49301234567@pbx.example",
        "%2B49301234567",
        "+49301234567;npdi;rn=+4989",
        "+49301234567;ext=12",
        "+49 30 1234567 ext. 12",
        "\uff10\uff13\uff10\uff11\uff12\uff13\uff14\uff15\uff16\uff17",
        "030\u20131234567",
    ],
)
def test_every_form_of_a_number_is_the_same_number(text):
    assert normalised(text, "DE") == BERLIN


@pytest.mark.parametrize(
    "text",
    ["", "100", "110", "2001", "301234567", "anonymous", "Anna 12", "+100", "0", "00", "a" * 300, "1" * 30],
)
def test_internal_numbers_and_names_stay(text):
    assert normalised(text, "DE") == text


def test_without_a_country_nothing_is_changed():
    assert normalised("030 1234567", "") == "030 1234567"
    assert normalised_pattern("0049*", "") == "0049*"


def test_an_internal_number_loses_what_a_uri_hangs_on_it():
    assert normalised("100;phone-context=pbx.example", "DE") == "100"
    assert normalised("tel:100", "DE") == "100"


@pytest.mark.parametrize(
    ("text", "country", "number"),
    [
        ("2125551234", "US", "+12125551234"),
        ("1 212 555 1234", "US", "+12125551234"),
        ("01149301234567", "US", BERLIN),
        ("911", "US", "911"),
        ("5551234", "US", "5551234"),
        ("06 1234 5678", "IT", "+390612345678"),
        ("118", "IT", "118"),
        ("020 7946 0018", "GB", "+442079460018"),
        ("+99912345678", "GB", "+99912345678"),
    ],
)
def test_each_country_dials_in_its_own_way(text, country, number):
    assert normalised(text, country) == number


@pytest.mark.parametrize(
    ("pattern", "country", "expected"),
    [
        ("030 1234567", "DE", BERLIN),
        ("030*", "DE", "+4930*"),
        ("0049*", "DE", "+49*"),
        ("+49 30*", "DE", "+4930*"),
        ("1*", "DE", "1*"),
        ("*", "DE", "*"),
        ("sales*", "DE", "sales*"),
        ("011 49*", "US", "+49*"),
        ("1212*", "US", "+1212*"),
        ("212*", "US", "212*"),
    ],
)
def test_a_pattern_is_brought_into_the_form_calls_come_in(pattern, country, expected):
    assert normalised_pattern(pattern, country) == expected


@given(st.sampled_from(["DE", "AT", "CH", "GB", "FR", "US", "IT", "ES", "NL", "PL"]))
def test_the_national_and_the_international_form_of_a_number_meet(country):
    example = phonenumbers.example_number(country)
    forms = (phonenumbers.PhoneNumberFormat.NATIONAL, phonenumbers.PhoneNumberFormat.INTERNATIONAL)
    e164 = phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164)
    for form in forms:
        assert normalised(phonenumbers.format_number(example, form), country) == e164


@given(st.text(max_size=60), st.sampled_from(["DE", "US", "IT"]))
def test_whatever_comes_it_ends_in_a_number_or_stays(text, country):
    found = normalised(text, country)
    assert found == text or found.lstrip("+").isdigit() or not is_number(found)
    assert normalised(found, country) == found


def test_a_number_takes_less_than_a_tenth_of_a_millisecond():
    numbers = [f"030{number:07d}" for number in range(3000)]
    normalised("0301", "DE")
    before = time.process_time()
    for number in numbers:
        normalised(number, "DE")
    assert (time.process_time() - before) / len(numbers) < 100e-6


def test_the_library_is_loaded_only_when_a_plan_names_its_country():
    code = (
        "import sys; from bridge.dialplan.e164 import normalised; normalised('030 1', '');"
        "assert 'phonenumbers' not in sys.modules; normalised('030 1234567', 'DE');"
        "assert 'phonenumbers' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=50)


def test_countries_are_known_by_their_code():
    assert {"DE", "US", "GB"} <= countries()
    assert "de" not in countries()
