"""Who has to wait after wrong passwords and codes. Our choice; OWASP's Authentication Cheat Sheet asks for it."""

import pytest

from bridge.console.lockout import (
    ADDRESS_TRIES,
    FACTOR_TRIES,
    FIRST_S,
    FORGET_S,
    MAX_KEPT,
    MOST_S,
    NAME_TRIES,
    Lockout,
    of_address,
    of_factor,
    of_name,
    wait_s,
)

NOW = 1000.0


def waits(kept, count, now=NOW):
    return wait_s({kept: (count, NOW)}, now)


@pytest.mark.parametrize(
    ("kept", "tries"),
    [
        (of_name("anna"), NAME_TRIES),
        (of_address("192.0.2.1"), ADDRESS_TRIES),
        (of_factor("anna"), FACTOR_TRIES),
    ],
)
def test_a_few_wrong_tries_are_no_reason_to_wait_one_more_is(kept, tries):
    assert waits(kept, tries - 1) == 0
    assert waits(kept, tries) == FIRST_S
    assert waits(kept, tries, NOW + FIRST_S) == 0


def test_each_further_try_doubles_the_wait_up_to_a_limit():
    found = [waits(of_name("anna"), NAME_TRIES + more) for more in range(1, 7)]
    assert found == [60.0, 120.0, 240.0, 480.0, MOST_S, MOST_S]
    assert waits(of_name("anna"), 10_000) == MOST_S


def test_the_longest_wait_of_all_that_a_try_is_counted_under_holds():
    failures = {of_name("anna"): (NAME_TRIES, NOW), of_address("192.0.2.1"): (ADDRESS_TRIES + 1, NOW)}
    assert wait_s(failures, NOW) == 60.0
    assert wait_s({}, NOW) == 0


def test_an_ipv6_address_counts_by_its_network():
    assert of_address("2001:db8::1") == of_address("2001:db8::ffff") != of_address("2001:db8:0:1::1")
    assert of_address("192.0.2.1") != of_address("192.0.2.2")
    assert of_address("no address") == "address no address"


def test_in_memory_an_address_waits_is_forgotten_and_takes_bounded_room():
    lockout = Lockout()
    for _ in range(ADDRESS_TRIES):
        assert lockout.wait_s("192.0.2.1", NOW) == 0
        lockout.failed("192.0.2.1", NOW)
    assert lockout.wait_s("192.0.2.1", NOW) == FIRST_S
    assert lockout.wait_s("192.0.2.2", NOW) == 0
    assert lockout.wait_s("192.0.2.1", NOW + FORGET_S + 1) == 0
    for number in range(MAX_KEPT):
        lockout.failed(f"host{number}", NOW)
    assert len(lockout._kept) == MAX_KEPT
    assert lockout.wait_s("192.0.2.1", NOW) == 0
