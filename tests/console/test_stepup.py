"""Which decisions need a second factor: nothing that is not understood passes for small."""

import pytest

from bridge.console.stepup import amounts, wanted
from bridge.settings_console import StepUp

OFF = StepUp()
MUCH = StepUp(amount=500)
RISKY = StepUp(risks=["irreversible"], amount=500)


def ask(rules, risk, shown, changed=None, verdict="approve"):
    return wanted(rules, risk, verdict, shown, changed)


def test_nothing_needs_it_while_nothing_is_configured():
    assert not ask(OFF, "money", {"amount": 1e9})
    assert not OFF.on


@pytest.mark.parametrize(("amount", "needed"), [(499.99, False), (500, True), (-500, True), (10**400, True)])
def test_from_the_configured_amount_on_it_is_needed(amount, needed):
    assert ask(MUCH, "money", {"amount": amount}) is needed
    assert ask(MUCH, "write", {"amount": amount}) is needed


def test_a_configured_risk_always_needs_it():
    assert ask(RISKY, "irreversible", {"name": "x"})
    assert ask(StepUp(risks=["money"]), "money", {"amount": 1})
    assert not ask(RISKY, "write", {"name": "x"})


def test_to_deny_never_needs_it():
    assert not ask(RISKY, "irreversible", {"amount": 9999}, verdict="deny")


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"note": "all of it"},
        {"sum_to_pay": "everything"},
        {"amount": True},
        {"amount": None},
        {"order": 12},
        {"quantity": 1, "refund_usd": 5000},
        {"quantity": 1, "refund_usd": "5000"},
        {"quantity": 1, "refund": "$ 5,000.00"},
        {"quantity": 1, "refund": "5.000,00 EUR"},
        {"quantity": 1, "refundEur": 600},
        {"amount": 1, "lines": [{"price": 300}, {"price": 300}]},
        {"amount": 1, "deep": {"deeper": [{"x": 700}]}},
        {"amount": 300, "fee": 300},
        {"amount": "500"},
        {"amount": float("nan")},
    ],
)
def test_what_moves_money_and_is_not_understood_to_be_small_needs_it(arguments):
    assert ask(MUCH, "money", arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        {"amount": 40, "order": 123456},
        {"amount": 40, "to_account": 99887766, "phone": "+49301234567"},
        {"amount": 40, "currency": "USD", "reason": "late by 3 days", "date": "2026-11-29"},
        {"amount": 40, "urgent": True},
    ],
)
def test_small_amounts_stay_small_beside_long_numbers_that_name_somebody(arguments):
    assert not ask(MUCH, "money", arguments)


def test_a_changed_form_counts_besides_the_one_that_was_shown():
    assert ask(MUCH, "money", {"amount": 40}, {"amount": 900})
    assert ask(MUCH, "money", {"amount": 900}, {"amount": 40})
    assert not ask(MUCH, "money", {"amount": 50}, {"amount": 40})


def test_what_is_nested_too_deep_to_be_read_is_not_small():
    deep = {"amount": 1}
    for _ in range(30):
        deep = {"x": deep}
    assert ask(MUCH, "write", deep)


def test_of_functions_that_move_no_money_only_what_is_named_an_amount_counts():
    assert amounts({"seats": 900, "amount": 2}, "write").total == 2
    assert not ask(MUCH, "write", {"seats": 900})
