"""From, P-Asserted-Identity and Privacy by a trunk's rules."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.sip.identity import ANONYMOUS, identity
from bridge.trunk import CallerId, Trunk


def of(asked="", headers=None, **rules):
    known = {"number": "+4930123", "host": "acme.example"}
    return identity(Trunk("t", caller_id=CallerId(**known | rules)), asked, headers or {})


@pytest.mark.parametrize(
    ("asked", "from_uri"),
    [
        ("", "<sip:+4930123@acme.example>"),
        ("<sip:+49305@x>", "<sip:+49305@acme.example>"),
        ('"Bob" <sip:+49305@x>', '"Bob" <sip:+49305@acme.example>'),
        ("<sip:+1900@x>", "<sip:+4930123@acme.example>"),
        ('"Bank" <sip:+1900@x>', "<sip:+4930123@acme.example>"),
    ],
)
def test_a_number_is_shown_only_when_it_is_allowed(asked, from_uri):
    assert of(asked, allowed=("+49305",)).from_uri == from_uri


def test_anonymity_is_asked_for_by_the_call_or_by_the_rules():
    by_call = of("<sip:anonymous@anonymous.invalid>", asserted=True)
    assert (by_call.from_uri, by_call.headers["Privacy"]) == (ANONYMOUS, "id")
    assert by_call.headers["P-Asserted-Identity"] == "<sip:+4930123@acme.example>"
    assert of(anonymous=True).headers == {"Privacy": "id"}


def test_headers_go_along_but_for_those_that_say_who_calls():
    evil = dict.fromkeys(
        ["FROM", "P-Asserted-Identity", "p-preferred-identity", "Privacy", "Remote-Party-Id"], "x"
    )
    assert of(headers=evil | {"X-Context": "7"}).headers == {"X-Context": "7"}


def test_without_a_number_from_is_the_accounts_own():
    assert of(number="").from_uri == ""


@given(st.text(max_size=80))
def test_whatever_a_call_asks_to_show_it_never_leaves_the_allowed(asked):
    shown = of(asked, allowed=("+4930*",)).from_uri
    assert shown == ANONYMOUS or "<sip:+4930" in shown
    assert "\r" not in shown
    assert "\n" not in shown
