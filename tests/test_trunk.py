"""What a trunk says of itself."""

import re

import pytest

from bridge.errors import SipError
from bridge.trunk import CallerId, Credential, Digest, Registration, Trunk, identities, line_token


@pytest.mark.parametrize(
    ("target", "number", "uri"),
    [
        ("sip:{number}@{host}", "+49301", "sip:+49301@carrier.example:5060"),
        ("sip:0{number}@{host};user=phone", "1", "sip:01@carrier.example:5060;user=phone"),
        ("tel:{number}", "+49301", "tel:+49301"),
        ("sip:{number}@fixed.example", "1*2", "sip:1*2@fixed.example"),
        ("sip:{number}@{host}", "12#", "sip:12%23@carrier.example:5060"),
    ],
)
def test_the_target_template_makes_the_uri_of_a_number(target, number, uri):
    assert Trunk("t", host="carrier.example:5060", target=target).uri(number) == uri


@pytest.mark.parametrize(
    "number",
    ["", "1@evil.example", "1;phone-context=x", "1?Route=x", "1 2", "1\r\nRoute: x", "٣", "1" * 70, "{host}"],
)
def test_what_is_no_number_is_not_put_into_a_uri(number):
    with pytest.raises(SipError, match="is no number"):
        Trunk("t", host="h").uri(number)


def test_no_call_goes_to_a_trunk_without_host():
    with pytest.raises(SipError, match="has no host"):
        Trunk("t").uri("1")


@pytest.mark.parametrize(
    ("number", "allowed"),
    [("+4930123", True), ("+49301234", False), ("+4940", True), ("+49401", True), ("", False)],
)
def test_a_shown_number_must_be_one_of_ours(number, allowed):
    assert CallerId(allowed=("+4930123", "+4940*")).allows(number) is allowed


def test_trunks_that_differ_in_nothing_pjsip_sees_have_one_identity():
    login = Digest("u", "", "X")
    some = (
        Trunk("a", host="a", digest=login),
        Trunk("b", host="b", digest=login, verstat=True),
        Trunk("c", host="c"),
    )
    assert identities(some) == 1
    assert identities((*some, Trunk("d", register=Registration("r", "u")))) == 2


def test_a_tel_target_goes_by_the_host_and_a_proxy_comes_first():
    assert Trunk("a", host="h", target="tel:{number}").route == "h"
    assert Trunk("a", host="h", target="tel:{number}", proxy="p").route == "p"
    assert Trunk("a", host="h").plain


def test_a_password_is_not_shown_by_repr():
    assert "s3cret" not in repr(Credential("u", "r", "s3cret"))


def test_the_line_of_a_registration_is_the_same_in_every_worker_and_another_for_another_password_or_user():
    login, secret = Registration("pbx.example", "1001", 60), Credential("1001", "r", "s3cret")
    token = line_token(login, secret)
    assert re.fullmatch("[0-9a-f]{32}", token)
    assert token == line_token(Registration("pbx.example", "1001", 600), Credential("1001", "r", "s3cret"))
    assert token != line_token(login, Credential("1001", "r", "other"))
    assert token != line_token(Registration("pbx.example", "1002", 60), secret)
    assert token != line_token(Registration("pbx2.example", "1001", 60), secret)


def test_without_a_password_there_is_no_line_that_workers_share():
    assert line_token(Registration("pbx.example", "1001"), None) == ""
