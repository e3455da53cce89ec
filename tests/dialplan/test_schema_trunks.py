"""Trunks in dialplan files: what is compiled, what is refused and how, what is odd."""

import re

import pytest

from bridge.dialplan.load import inspect, load
from bridge.dialplan.plan import Plan
from bridge.errors import DialplanError
from bridge.trunk import CallerId, Digest, Registration, Trunk

ROUTES = "routes:\n  - name: all\n    do: [{hang_up: {}}]\n"


def write(tmp_path, trunks):
    path = tmp_path / "plan.yaml"
    path.write_text(f"version: 1\ntrunks:\n{trunks}\n{ROUTES}")
    return path


def test_everything_that_is_left_out_is_filled_in(tmp_path):
    plan = load(write(tmp_path, "  a: {addresses: 198.51.100.7}"))
    assert plan.trunks == (Trunk("a", addresses=("198.51.100.7/32",)),)


def test_a_registered_trunk_calls_its_registrar_as_its_user(tmp_path):
    text = '  pbx: {register: {registrar: "pbx.example:5070", user: "1001", password_env: PBX, realm: r}}'
    (trunk,) = load(write(tmp_path, text)).trunks
    assert trunk == Trunk(
        "pbx",
        host="pbx.example:5070",
        register=Registration("pbx.example:5070", "1001", 600),
        digest=Digest("1001", "r", "PBX"),
        caller_id=CallerId("1001", host="pbx.example:5070"),
    )


def test_a_carrier_with_everything(tmp_path):
    text = """\
  carrier:
    addresses: [198.51.100.0/24, "2001:db8::/32"]
    host: sip.carrier.example
    auth: {user: acme, realm: carrier.example, password_env: CARRIER}
    proxy: edge.example:5060
    caller_id: {number: "+4930123", display: Acme, allowed: ["+4930123*"], asserted: true, anonymous: true}
    codecs: [PCMA]
    session_timer: {mode: required, expires_s: 600}
    prack: optional
    dtmf: info
    options_every_s: 30
    verstat: true
    target: "sip:{number}@{host};user=phone"
"""
    plan = load(write(tmp_path, text))
    (trunk,) = plan.trunks
    assert trunk.addresses == ("198.51.100.0/24", "2001:db8::/32")
    assert trunk.digest == Digest("acme", "carrier.example", "CARRIER")
    assert (trunk.session_timer, trunk.session_expires_s, trunk.prack) == ("required", 600, "optional")
    assert trunk.uri("+491") == "sip:+491@sip.carrier.example;user=phone"
    assert Plan.from_json(plan.to_json()) == plan
    assert plan.trunk("carrier") == trunk
    assert plan.trunk("") is None


def test_a_trunk_is_part_of_the_plans_version(tmp_path):
    one = load(write(tmp_path, "  a: {host: a.example, caller_id: {number: '1'}}")).version
    assert load(write(tmp_path, "  a: {host: b.example, caller_id: {number: '1'}}")).version != one


@pytest.mark.parametrize(
    ("trunk", "said"),
    [
        ("{}", "no call comes from it and none goes to it"),
        ("{addresses: 198.51.100.7/24}", "no address or network.*198.51.100.0/24"),
        ("{addresses: carrier.example}", "no address or network"),
        ("{addresses: [10.0.0.0/8, 10.0.0.0/8]}", "10.0.0.0/8 is trunk a too"),
        ("{host: 'a b'}", "host"),
        ("{host: h, sesion_timer: off}", "sesion_timer.*session_timer"),
        ("{host: h, session_timer: sometimes}", "session_timer"),
        ("{host: h, session_timer: {mode: required, expires_s: 10}}", "expires_s"),
        ("{host: h, codecs: [OPUS]}", "codecs"),
        ("{host: h, codecs: [PCMU, PCMU]}", "the same codec twice"),
        ("{host: h, codecs: [G722]}", "G722 alone"),
        ("{host: h, dtmf: inband}", "dtmf"),
        ("{addresses: 10.0.0.1, options_every_s: 30}", "nobody to ask"),
        ("{host: h, target: 'sip:{host}'}", "has {number} once"),
        ("{host: h, target: 'sip:{number}@{port}'}", "has {number} once"),
        ("{host: h, target: 'http://{number}'}", "target"),
        ("{host: h, auth: {user: u}}", "password_env"),
        ("{host: h, auth: {user: u, password_env: s3-cret!}}", "password_env"),
        ("{host: h, auth: {user: u, password: x}}", "password"),
        ("{register: {registrar: r}}", "user"),
        ("{register: {registrar: r, user: u, expires_s: 1}}", "expires_s"),
        (
            "{register: {registrar: r, user: u, password_env: A}, auth: {user: u, password_env: B}}",
            "there is a password in register already",
        ),
        ("{host: h, caller_id: {number: '1@evil'}}", "number"),
        ("{host: h, caller_id: {display: 'a\"b'}}", "display"),
    ],
)
def test_a_mistake_has_its_place_and_says_what_to_do(tmp_path, trunk, said):
    with pytest.raises(DialplanError) as caught:
        load(write(tmp_path, f"  a: {trunk}"))
    assert all(problem.line == 3 for problem in caught.value.problems)
    assert re.search(said, "\n".join(map(str, caught.value.problems)))


def test_the_same_network_in_two_trunks_is_a_mistake(tmp_path):
    with pytest.raises(DialplanError, match=r"10\.0\.0\.1/32 is trunk a too"):
        load(write(tmp_path, "  a: {addresses: 10.0.0.1}\n  b: {addresses: [10.0.0.2, 10.0.0.1]}"))


def test_beside_a_broken_trunk_the_others_are_checked(tmp_path):
    with pytest.raises(DialplanError) as caught:
        load(write(tmp_path, "  a: {host: [1]}\n  b: {}\n  c: 7"))
    assert [problem.line for problem in caught.value.problems] == [3, 4, 5]


def test_the_same_name_in_two_files_is_a_mistake(tmp_path):
    write(tmp_path, "  a: {addresses: 10.0.0.1}")
    (tmp_path / "second.yaml").write_text("version: 1\ntrunks:\n  a: {addresses: 10.0.0.2}\n")
    with pytest.raises(DialplanError, match="this trunk is also in"):
        load(tmp_path)


def test_more_logins_than_a_worker_has_room_for_are_a_mistake(tmp_path):
    many = "\n".join(f"  t{n}: {{host: h, proxy: 'p{n}', caller_id: {{number: '1'}}}}" for n in range(8))
    with pytest.raises(DialplanError, match="8 different identities in all trunks, a worker has 7"):
        load(write(tmp_path, many))


def test_a_password_that_is_not_set_is_odd(tmp_path, monkeypatch):
    path = write(
        tmp_path,
        "  a: {host: h, auth: {user: u, realm: r, password_env: TRUNK_TEST}, caller_id: {number: '1'}}",
    )
    monkeypatch.delenv("TRUNK_TEST", raising=False)
    (warning,) = inspect(path).warnings
    assert "TRUNK_TEST is not set" in str(warning)
    monkeypatch.setenv("TRUNK_TEST", "x")
    assert not inspect(path).warnings


@pytest.mark.parametrize("key", ["host: h, auth: {", "register: {registrar: h, "])
def test_a_login_to_any_realm_is_odd(tmp_path, monkeypatch, key):
    monkeypatch.setenv("TRUNK_TEST", "x")
    path = write(tmp_path, f"  a: {{{key}user: u, password_env: TRUNK_TEST}}, caller_id: {{number: '1'}}}}")
    (warning,) = inspect(path).warnings
    assert "any realm gets our digest" in str(warning)


def test_calls_without_a_number_of_ours_are_odd(tmp_path):
    (warning,) = inspect(write(tmp_path, "  a: {host: h}")).warnings
    assert "show no number of ours" in str(warning)
