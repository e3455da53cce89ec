"""Who has to wait after wrong passwords. Our choice; OWASP's Authentication Cheat Sheet asks for such a thing."""

from bridge.console.lockout import ADDRESS_TRIES, FIRST_S, FORGET_S, MAX_KEPT, MOST_S, NAME_TRIES, Lockout

HERE, THERE = "192.0.2.1", "192.0.2.2"


def after(tries, name="anna", address=HERE, now=100.0):
    lockout = Lockout()
    for _ in range(tries):
        lockout.failed(name, address, now)
    return lockout


def test_a_few_wrong_tries_are_no_reason_to_wait():
    assert after(NAME_TRIES - 1).wait_s("anna", HERE, 100.0) == 0


def test_a_name_is_locked_whatever_address_the_tries_come_from():
    lockout = after(NAME_TRIES)
    assert lockout.wait_s("anna", THERE, 100.0) == FIRST_S
    assert lockout.wait_s("bert", THERE, 100.0) == 0
    assert lockout.wait_s("anna", THERE, 100.0 + FIRST_S) == 0


def test_each_further_try_doubles_the_wait_up_to_a_limit():
    lockout = after(NAME_TRIES)
    for expected in (60.0, 120.0, 240.0, 480.0, MOST_S, MOST_S):
        lockout.failed("anna", HERE, 100.0)
        assert lockout.wait_s("anna", THERE, 100.0) == expected
    assert after(10_000).wait_s("anna", THERE, 100.0) == MOST_S


def test_an_address_that_tries_many_names_is_locked_for_all_of_them():
    lockout = Lockout()
    for number in range(ADDRESS_TRIES):
        lockout.failed(f"user{number}", HERE, 100.0)
    assert lockout.wait_s("somebody else", HERE, 100.0) == FIRST_S
    assert lockout.wait_s("somebody else", THERE, 100.0) == 0


def test_an_ipv6_address_counts_by_its_network():
    lockout = Lockout()
    for number in range(ADDRESS_TRIES):
        lockout.failed(f"user{number}", f"2001:db8::{number:x}", 100.0)
    assert lockout.wait_s("x", "2001:db8::ffff", 100.0) == FIRST_S
    assert lockout.wait_s("x", "2001:db8:0:1::1", 100.0) == 0


def test_the_right_password_forgets_the_name_but_not_the_address():
    """Whoever guesses other people's passwords may have an account of their own in between."""
    lockout = Lockout()
    for number in range(ADDRESS_TRIES):
        lockout.failed(f"user{number}", HERE, 100.0)
        lockout.failed("mine", HERE, 100.0)
        lockout.succeeded("mine", HERE)
    assert lockout.wait_s("mine", THERE, 100.0) == 0
    assert lockout.wait_s("user0", HERE, 100.0) == FIRST_S


def test_an_address_where_everybody_knows_their_password_is_never_locked():
    lockout = Lockout()
    for number in range(10 * ADDRESS_TRIES):
        lockout.failed(f"user{number}", HERE, 100.0)
        lockout.succeeded(f"user{number}", HERE)
    assert lockout.wait_s("user0", HERE, 100.0) == 0


def test_old_failures_are_forgotten():
    lockout = after(NAME_TRIES)
    lockout.failed("anna", HERE, 100.0 + FORGET_S + 1)
    assert lockout.wait_s("anna", HERE, 100.0 + FORGET_S + 1) == 0


def test_what_is_kept_is_bounded_and_the_oldest_goes_first():
    lockout = Lockout()
    for number in range(MAX_KEPT + 10):
        for _ in range(NAME_TRIES if number in {0, MAX_KEPT + 9} else 1):
            lockout.failed(f"user{number}", f"host{number}", 100.0)
    assert len(lockout._names) == len(lockout._addresses) == MAX_KEPT
    assert lockout.wait_s("user0", "", 100.0) == 0
    assert lockout.wait_s(f"user{MAX_KEPT + 9}", "", 100.0) == FIRST_S


def test_who_was_never_counted_can_succeed():
    Lockout().succeeded("anna", HERE)
