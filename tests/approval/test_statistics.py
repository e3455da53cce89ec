from bridge.approval.statistics import ENOUGH, Entry, figures


def entries(request_id, asked_at, *more, state="pending", rule="refunds", tool="refund"):
    """`more`: (seconds after, type, actor, facts)."""
    facts = {"rule": rule, "tool": tool, "state": state}
    first = Entry(asked_at, request_id, "requested", "model", facts)
    return [
        first,
        *(Entry(asked_at + after, request_id, kind, who, facts) for after, kind, who, facts in more),
    ]


def approved(after, who="anna", state="approved", **facts):
    return after, "approved", who, {"state": state, **facts}


def denied(after, who="anna"):
    return after, "denied", who, {"state": "denied"}


def test_what_people_made_of_a_rule():
    found = figures(
        [
            *entries("a", 0.0, approved(2.0)),
            *entries("b", 10.0, approved(20.0, "bert", edited=True)),
            *entries("c", 20.0, denied(5.0)),
            *entries("d", 30.0, (60.0, "expired", "system", {"state": "expired"})),
            *entries("e", 40.0, (9.0, "cancelled", "system", {"state": "cancelled"})),
            *entries("f", 50.0),
        ]
    )
    (one,) = found
    assert (one.rule, one.tool, one.asked) == ("refunds", "refund", 6)
    assert (one.approved, one.denied, one.expired, one.cancelled) == (2, 1, 1, 1)
    assert (one.edited, one.waiting) == (1, 1)
    assert (one.median_s, one.p90_s, one.quick) == (5.0, 20.0, 0.5)
    assert one.deciders == (("anna", 2), ("bert", 1))


def test_two_people_are_one_decision_and_the_time_is_until_the_second():
    (one,) = figures(entries("a", 0.0, approved(4.0, state="pending"), approved(30.0, "bert")))
    assert (one.approved, one.median_s, one.quick) == (1, 30.0, 0.0)
    assert one.deciders == (("anna", 1), ("bert", 1))


def test_what_no_person_was_asked_does_not_count():
    allowed = entries("a", 0.0, state="approved")
    refused = entries("b", 0.0, state="denied")
    caller = entries("c", 0.0, (5.0, "not_confirmed", "caller", {"state": "cancelled"}), state="confirming")
    late = [Entry(1.0, "before the window", "approved", "anna", {"state": "approved"})]
    assert figures([*allowed, *refused, *caller, *late]) == ()


def test_the_clock_begins_when_the_caller_has_said_yes():
    words = (20.0, "confirmed", "caller", {"state": "pending"})
    (one,) = figures(entries("a", 0.0, words, approved(22.0), state="confirming"))
    assert (one.median_s, one.quick) == (2.0, 1.0)


def test_what_became_of_it_after_the_approval_is_no_second_decision():
    after = (70.0, "expired", "system", {"state": "expired"})
    (one,) = figures(entries("a", 0.0, approved(4.0), after))
    assert (one.approved, one.expired) == (1, 0)


def hint(*outcomes):
    listed = [entries(f"r{number}", 100.0 * number, outcome) for number, outcome in enumerate(outcomes)]
    (one,) = figures([entry for found in listed for entry in found])
    return one.hint


def test_a_rule_that_wears_people_out_is_told_of():
    late = (60.0, "expired", "system", {"state": "expired"})
    assert hint(*[approved(9.0)] * ENOUGH) == "always"
    assert hint(*[approved(9.0)] * ENOUGH, denied(9.0)) == ""
    assert hint(*[approved(1.0)] * ENOUGH, denied(9.0)) == "quick"
    assert hint(*[approved(9.0)] * 7, *[late] * 3) == "late"
    assert hint(*[approved(1.0)] * 3) == "", "three approvals say nothing"


def test_the_rule_that_asks_most_comes_first():
    found = figures([*entries("a", 0.0), *entries("b", 1.0, rule="big"), *entries("c", 2.0, rule="big")])
    assert [one.rule for one in found] == ["big", "refunds"]


def test_a_clock_that_goes_back_makes_no_negative_time():
    (one,) = figures(entries("a", 10.0, approved(-1.0)))
    assert one.median_s == 0.0
