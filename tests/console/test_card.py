"""What an approver sees: what matters is marked, and a form gives back the types it got."""

import pytest

from bridge.approval.request import Confirm
from bridge.console.card import Described, arguments_of, card, changed
from bridge.store.gaterows import StoredRequest
from bridge.store.queuestore import Around, SpokenLine
from tests.fakes.requests import REFUND, row


def test_a_card_has_what_is_asked_of_whom_by_when_and_why():
    around = Around("Alice", (SpokenLine("caller", "Yes."),), (row(state="denied", reason="no receipt"),))
    made = card(row(), around, Described("Give the caller money back."))
    assert (made.tool, made.risk, made.rule, made.why) == ("refund", "money", "refunds", "amount <= 500")
    assert (made.caller.number, made.caller.verified_by, made.display) == ("+491", "pin", "Alice")
    assert (made.due_at, made.escalate_at, made.execute_s) == (100.0, 40.0, 45.0)
    assert (made.approvers, made.approved_by, made.groups) == (2, (), ("boss",))
    assert made.pending
    assert not made.settled
    assert not made.over
    assert made.short_id == "ab12cd34"
    assert (made.earlier[0].state, made.earlier[0].reason) == ("denied", "no receipt")
    assert "amount 40 USD" in made.earlier[0].arguments


def test_once_it_is_escalated_both_groups_are_asked():
    assert card(row(escalated=True), Around("", (), ()), Described()).groups == ("boss", "chiefs")


def test_amounts_and_targets_are_marked_and_an_amount_has_its_currency():
    found = {one.name: (one.kind, one.text) for one in arguments_of(REFUND)}
    assert found["amount"] == ("amount", "40 USD")
    assert found["order"] == ("target", "1234")
    assert found["urgent"] == ("", "yes")
    assert arguments_of({"total_price": 12.5, "phone_number": "+49"})[1].kind == "target"
    assert arguments_of({"total_price": 12.5})[0].text == "12.5"
    assert arguments_of({"account": 77})[0].kind == "target"
    assert arguments_of({"amount": 1, "currency": "<b>"})[0].text == "1"


def test_what_the_model_says_why_stands_apart():
    made = card(row(), Around("", (), ()), Described())
    assert [one.name for one in made.said] == ["reason"]
    assert "reason" not in [one.name for one in made.shown]
    assert "reason" in [one.name for one in made.arguments]


def test_the_question_the_caller_answered_is_there():
    confirm = Confirm("You want 40 dollars?")
    kept = row().gate
    kept["ruling"]["confirm"] = {"question": confirm.question, "by": ["key"], "key": "1", "answer_s": 60.0}
    made = card(row(ruling=kept["ruling"]), Around("", (), ()), Described())
    assert made.question == "You want 40 dollars?"


def test_a_form_that_changes_nothing_gives_the_very_same_arguments():
    arguments = {**REFUND, "lines": [1, {"a": None}], "note": "ä\n", "nothing": None, "big": 1e300, "n": 3}
    shown = arguments_of(arguments)
    assert changed(shown, {f"argument.{one.name}": one.raw for one in shown}) == arguments
    assert changed(shown, {}) == arguments


def test_a_changed_field_keeps_its_type():
    shown = arguments_of({"amount": 40, "to": "12", "urgent": True, "lines": [1]})
    form = {
        "argument.amount": "12.5",
        "argument.to": "13",
        "argument.urgent": "false",
        "argument.lines": "[2]",
    }
    assert changed(shown, form) == {"amount": 12.5, "to": "13", "urgent": False, "lines": [2]}


@pytest.mark.parametrize(
    ("arguments", "given", "says"),
    [
        ({"amount": 40}, "forty", "x|number"),
        ({"amount": 40}, '"40"', "x|number"),
        ({"amount": 40}, "true", "x|number"),
        ({"amount": 40}, "NaN", "x|number"),
        ({"amount": 40}, "1e999", "x|number"),
        ({"amount": [1]}, "[", "x|json"),
        ({"amount": [1]}, "[Infinity]", "x|json"),
        ({"amount": [1]}, "[" * 60_000, "x|json"),
    ],
)
def test_a_field_that_does_not_fit_is_named(arguments, given, says):
    shown = arguments_of({"x": arguments["amount"]})
    with pytest.raises(ValueError, match=says.replace("|", r"\|")):
        changed(shown, {"argument.x": given})


def test_a_gate_that_cannot_be_read_is_said_to_be():
    broken = StoredRequest("a", "c", "f", "t", "", "pending", 1, {"state": "pending"}, 1.0, 1.0)
    with pytest.raises(KeyError):
        card(broken, Around("", (), ()), Described())


def kinds(arguments):
    return {
        one.name: (one.kind, one.text) for one in card(row(arguments), Around("", (), ()), Described()).shown
    }


def test_names_of_two_words_and_amounts_in_text_are_marked_too():
    found = kinds(
        {"refundAmount": 40, "toAccount": "DE12", "price": "1,200.50", "IBAN": "x", "total": "a lot"}
    )
    assert [found[name][0] for name in ("refundAmount", "toAccount", "price", "IBAN", "total")] == [
        "amount", "target", "amount", "target", "",
    ]  # fmt: skip


def test_an_amount_inside_of_something_is_marked_with_its_currency():
    found = kinds(
        {"payment": {"amount": 40, "currency": "USD", "to": {"iban": "DE12"}}, "note": [1], "empty": {}}
    )
    assert found["payment.amount"] == ("amount", "40 USD")
    assert found["payment.to.iban"] == ("target", "DE12")
    assert found["empty"] == ("", "{}")


def test_what_has_too_many_parts_is_shown_as_it_is():
    found = kinds({"rows": {str(number): number for number in range(100)}})
    assert list(found) == ["rows"]


@pytest.mark.parametrize("value", [float("inf"), float("nan"), -1e400])
def test_a_number_that_is_none_hides_no_request(value):
    """A database does not refuse it; one card that cannot be made must not empty the page."""
    assert kinds({"amount": value})["amount"][0] == "amount"
