"""Codes of RFC 6238: those of its appendix B, once each, about now."""

import base64

import pytest

from bridge.console.totp import grouped, new_secret, step_of, uri

RFC = base64.b32encode(b"12345678901234567890").decode()


@pytest.mark.parametrize(
    ("now", "code"),
    [
        (59, "287082"),
        (1111111109, "081804"),
        (1234567890, "005924"),
        (2000000000, "279037"),
        (20000000000, "353130"),
    ],
)
def test_the_codes_are_those_of_the_rfc(now, code):
    assert step_of(RFC, code, now, 0) == now // 30


def test_a_clock_may_be_one_step_off_and_no_more():
    assert step_of(RFC, "287082", 59 + 30, 0) == 1
    assert step_of(RFC, "287082", 59 - 30, 0) == 1
    assert step_of(RFC, "287082", 59 + 61, 0) is None


def test_a_code_that_was_used_or_is_older_than_one_that_was_is_wrong():
    assert step_of(RFC, "287082", 59, 1) is None
    assert step_of(RFC, "287082", 59, 2) is None


@pytest.mark.parametrize(
    "code", ["", "28708", "2870820", "287083", "\u0662\u0668\u0667\u0660\u0668\u0662", "\ud800"]
)
def test_anything_else_is_wrong(code):
    assert step_of(RFC, code, 59, 0) is None


def test_a_secret_has_160_random_bits_and_is_shown_in_groups():
    secret = new_secret()
    assert len(base64.b32decode(secret)) == 20
    assert secret != new_secret()
    assert grouped("ABCDEFGHIJ") == "ABCD EFGH IJ"


def test_what_an_app_reads_names_bridge_and_user():
    found = uri(RFC, "anna", "bridge.example")
    assert found.startswith(f"otpauth://totp/sipbridge%20bridge.example:anna?secret={RFC}")
    assert "issuer=sipbridge%20bridge.example" in found
