"""The policy file: what it refuses, with file and line, and what it rules."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.approval.policy import Facts, load
from bridge.errors import PolicyError

ROOT = Path(__file__).parents[2]
HEAD = "version: 1\n# rules\ndefault_ask: {group: boss}\nrules:\n"
RULES = """\
- name: reads
  risk: [read]
  allow: true
- name: blocked
  tools: [refund]
  when: caller.number == "+666"
  deny: Not for this caller.
- name: small refunds
  tools: [refund]
  when: args.amount + counts.caller.sums.amount <= 50.0
  confirm: {question: "Refund {amount} dollars for order {order}. Say yes or press 1 if you want that."}
- name: refunds
  tools: [refund, credit.*]
  when: args.amount <= 500
  confirm: {question: "Refund {amount} dollars? Say yes or press 2 if you want that.", key: "2", by: [key]}
  ask: {group: team, approvers: 2, decide_s: 90, escalate_to: boss, escalate_s: 30, on_hangup: keep}
- name: transfers
  tools: ["transfer"]
  when: args.minutes < 5
  ask: {group: team}
"""


@pytest.fixture
def load_text(tmp_path):
    def load_text(rules, head=HEAD):
        (tmp_path / "p.yaml").write_text(head + rules)
        return load(tmp_path / "p.yaml")

    return load_text


@pytest.fixture
def policy(load_text):
    return load_text(RULES)


def refund(amount=40.0, spent=0.0, number="+491", **more):
    sums = {"requests": 1, "approved": 1, "sums": {"amount": spent}}
    return Facts(
        "refund",
        {"amount": amount, "order": "12", **more},
        "money",
        {"number": number},
        counts={"caller": sums},
    )


def test_the_first_rule_that_fits_decides(policy):
    assert policy.rule(Facts("hours", {}, "read")).effect == "allow"
    denied = policy.rule(refund(number="+666"))
    assert (denied.effect, denied.rule, denied.words) == ("deny", "blocked", "Not for this caller.")
    small = policy.rule(refund())
    assert (small.effect, small.rule, small.ask) == ("confirm", "small refunds", None)
    assert small.confirm.question.startswith("Refund 40 dollars for order 12.")
    large = policy.rule(refund(spent=30.0))
    assert (large.effect, large.rule, large.confirm.key, large.confirm.by) == (
        "confirm",
        "refunds",
        "2",
        ("key",),
    )
    assert (large.ask.group, large.ask.approvers, large.ask.decide_s, large.ask.on_hangup) == (
        "team",
        2,
        90,
        "keep",
    )
    assert (large.ask.escalate_to, large.ask.escalate_s) == ("boss", 30)


def test_what_no_rule_fits_is_asked_about(policy):
    for facts in (refund(501.0), Facts("unknown", {}, "write"), Facts("refunds", {}, "write")):
        ruling = policy.rule(facts)
        assert (ruling.effect, ruling.rule, ruling.why, ruling.ask.group) == (
            "ask",
            "",
            "no rule fits",
            "boss",
        )


@pytest.mark.parametrize("amount", ["40", None, True, [40.0], {"a": 1}, "", "forty"])
def test_an_argument_of_the_wrong_kind_is_asked_about(policy, amount):
    ruling = policy.rule(refund(amount))
    assert (ruling.effect, ruling.rule) == ("ask", "small refunds")
    assert "cannot tell" in ruling.why


@pytest.mark.parametrize("amount", [float("nan"), float("inf"), 2**60, 2**70, object(), {1: 2}, "\ud800"])
def test_arguments_without_exact_json_form_are_asked_about_before_any_rule(policy, amount):
    facts = replace(refund(amount), risk="read")
    ruling = policy.rule(facts)
    assert (ruling.effect, ruling.rule, ruling.ask.group) == ("ask", "", "boss")
    assert "cannot be judged" in ruling.why
    assert policy.explain(facts) == ()


def test_facts_that_are_not_there_are_asked_about(policy):
    no_counts = replace(refund(), counts={})
    assert "caller is missing" in policy.rule(no_counts).why
    no_amount = replace(refund(), arguments={"order": "12"})
    assert policy.rule(no_amount).effect == "ask"
    broken_counts = replace(refund(), counts={"caller": {"sums": {"amount": "many"}}})
    assert "cannot be judged" in policy.rule(broken_counts).why


def test_a_rule_that_cannot_tell_asks_the_stricter_of_its_own_people_and_the_default(policy):
    ruling = policy.rule(Facts("credit.make", {"amount": "9"}, "money"))
    assert (ruling.rule, ruling.effect, ruling.confirm) == ("refunds", "ask", None)
    assert (ruling.ask.group, ruling.ask.approvers) == ("team", 2)
    ruling = policy.rule(Facts("transfer", {}, "write"))
    assert (ruling.rule, ruling.ask.group) == ("transfers", "boss")


def test_a_question_that_cannot_be_read_back_is_not_asked(policy):
    facts = replace(refund(), arguments={"amount": 40.0, "order": "x" * 500})
    ruling = policy.rule(facts)
    assert (ruling.effect, ruling.confirm) == ("ask", None)
    assert "order is empty or too long" in ruling.why


def test_sums_fit_the_type_of_the_argument(policy, load_text):
    assert policy.rule(replace(refund(), counts={"caller": {"sums": {"amount": 10}}})).effect == "confirm"
    assert policy.rule(replace(refund(), counts={"caller": {"requests": 0}})).rule == "small refunds"
    whole = load_text("- {name: r, when: args.n + counts.day.sums.n <= 10, allow: true}\n")
    day = {"day": {"sums": {"n": 7.0}}}
    assert whole.rule(Facts("t", {"n": 3}, "write", counts=day)).effect == "allow"
    assert whole.rule(Facts("t", {"n": 4}, "write", counts=day)).rule == ""
    assert whole.rule(Facts("t", {"n": 3}, "write", counts={"day": {"sums": {"n": 7.5}}})).effect == "ask"


def test_a_caller_of_whom_nothing_is_known_is_not_verified(load_text):
    policy = load_text("- {name: r, when: caller.verified, allow: true}\n")
    assert policy.rule(Facts("t", {}, "write")).rule == ""
    assert policy.rule(Facts("t", {}, "write", {"verified": True})).effect == "allow"
    assert policy.rule(Facts("t", {}, "write", {"verified": "yes"})).effect == "ask"


def test_explain_says_of_each_rule_why_or_why_not(policy):
    verdicts = policy.explain(refund(spent=30.0))
    assert [(one.rule, one.fits) for one in verdicts] == [
        ("reads", False), ("blocked", False), ("small refunds", False), ("refunds", True)
    ]  # fmt: skip
    assert verdicts[0].why == "risk money is not read"
    assert verdicts[1].why == 'caller.number == "+666" is false'
    assert verdicts[3].why == "args.amount <= 500 is true"
    assert verdicts[3].line == 16
    first, *_, last = policy.explain(Facts("transfer", {}, "write"))
    assert first.why == "risk write is not read"
    assert (last.fits, last.error, last.why) == (True, True, "the condition fails: minutes is missing")
    assert [one.fits for one in policy.explain(Facts("unknown", {}, "money"))] == [False] * 5


def test_the_version_follows_the_content_and_nothing_else(load_text, policy):
    assert load_text("# a remark\n" + RULES).version == policy.version
    assert load_text(RULES.replace("<= 500", "<= 501")).version != policy.version
    assert load_text(RULES, HEAD.replace("boss}\n", "boss, decide_s: 9}\n")).version != policy.version
    assert len(policy.version) == 16


def test_a_thousand_rules_can_be_loaded(load_text):
    many = "".join(
        f"- {{name: r{n}, tools: [t{n}], when: args.amount > {n}, deny: No.}}\n" for n in range(1000)
    )
    policy = load_text(many)
    assert policy.rule(Facts("t999", {"amount": 1000}, "money")).rule == "r999"


@pytest.mark.parametrize(
    ("rule", "mistake"),
    [
        ("{name: r}", "5:3: rules[0]: the rule does not say what to do (one of allow, deny, ask, confirm)"),
        ("{name: r, allow: true, deny: no}", "allow and deny exclude each other"),
        ("{name: r, allow: true, ask: {group: g}}", "allow and ask exclude each other"),
        ("{name: r, deny: x, confirm: {question: q}}", "deny and confirm exclude each other"),
        ("{name: r, allow: false}", "rules[0].allow"),
        ("{name: r, alow: true}", "5:13: rules[0].alow: unknown key (did you mean allow?)"),
        ("{name: r, allow: true, when: amount > 5}", "5:32: rules[0].when: unknown name amount"),
        ("{name: r, allow: true, when: args.a >}", "rules[0].when: not a CEL expression: at character 9"),
        ("{name: r, allow: true, when: true}", "text is needed (YAML reads true as something else"),
        ("{name: r, allow: true, risk: [harmless]}", "harmless is not allowed here"),
        ("{name: r, allow: true, tools: []}", "needs at least 1 entry"),
        ("{name: r, allow: true, tools: ['a b']}", "rules[0].tools[0]: must match"),
        ("{name: r, ask: {group: g, approvers: 0}}", "must be at least 1"),
        ("{name: r, ask: {group: g, approvers: '2'}}", "a whole number is needed"),
        ("{name: r, ask: {group: g, decide_s: .inf}}", "rules[0].ask.decide_s"),
        ("{name: r, ask: {group: g, escalate_to: h}}", "belong together"),
        ("{name: r, ask: {group: g, escalate_to: h, escalate_s: 120}}", "escalate_s is not before decide_s"),
        ("{name: r, confirm: {question: 'Pay {amount:.2f}?'}}", "a brace that is no {argument}"),
        ("{name: r, confirm: {question: 'Press 1 or say yes.'}}", "the question ends in words that mean yes"),
        ("{name: r, confirm: {question: Say so to go ahead}}", "the question ends in words that mean yes"),
        ("{name: r, confirm: {question: q, key: 1}}", "text is needed"),
        ("{name: r, confirm: {question: q, by: []}}", "needs at least 1 entry"),
        ("{name: r, confirm: {question: q, by: [mail]}}", "mail is not allowed here"),
    ],
)
def test_a_mistake_is_named_with_its_place(load_text, rule, mistake):
    with pytest.raises(PolicyError) as raised:
        load_text(f"- {rule}\n")
    assert mistake in str(raised.value)
    assert all(problem.line >= 5 for problem in raised.value.problems)


def test_every_mistake_of_the_rules_is_told_at_once(load_text):
    rules = "- {name: a, when: x > 1, allow: true}\n- {name: a, when: y > 1, allow: true}\n"
    with pytest.raises(PolicyError) as raised:
        load_text(rules)
    found = [(problem.line, problem.key) for problem in raised.value.problems]
    assert found == [(5, "rules[0].when"), (6, "rules[1].name"), (6, "rules[1].when")]


def test_a_policy_needs_somebody_to_ask(load_text):
    with pytest.raises(PolicyError, match="default_ask: this key is needed"):
        load_text("", head="version: 1\n")


def test_a_file_that_is_not_there_is_a_mistake_too(tmp_path):
    with pytest.raises(PolicyError, match="cannot be read"):
        load(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("rules", "warning"),
    [
        ("- {name: a, allow: true}", "it allows money and irreversible tools without asking"),
        ("- {name: a, risk: [money], allow: true}", "it allows money and irreversible tools"),
        (
            "- {name: a, tools: [x*], deny: n}\n- {name: b, tools: [xy], deny: n}",
            "rule a (line 5) takes all of it",
        ),
        ("- {name: a, risk: [read, write], deny: n}\n- {name: b, risk: [read], deny: n}", "never reached"),
    ],
)
def test_what_is_odd_is_a_warning(load_text, rules, warning):
    assert warning in str(load_text(rules + "\n").warnings[0])


@pytest.mark.parametrize(
    "rules",
    [
        "- {name: a, risk: [read], allow: true}",
        "- {name: a, when: caller.verified, allow: true}",
        "- {name: a, tools: [x], deny: n}\n- {name: b, deny: n}",
        "- {name: a, risk: [read], deny: n}\n- {name: b, deny: n}",
        "- {name: a, when: hour > 3, deny: n}\n- {name: b, deny: n}",
        "- {name: a, ask: {group: boss, approvers: 2, escalate_to: team, escalate_s: 5}}",
    ],
)
def test_what_is_sound_has_no_warning(load_text, rules):
    assert load_text(rules + "\n").warnings == ()


def test_the_shipped_policy_is_sound_and_lets_no_money_go_without_a_person():
    policy = load(ROOT / "tools" / "policy.yaml")
    assert policy.warnings == ()
    assert policy.rule(Facts("opening_hours", {}, "read")).effect == "allow"
    asked = policy.rule(Facts("refund", {"amount": 40.0, "currency": "USD", "reason": ""}, "money"))
    assert (asked.effect, asked.ask.group) == ("confirm", "supervisors")
    assert "40 dollars" in asked.confirm.question
    assert (
        policy.rule(Facts("refund", {"amount": 4000.0, "currency": "USD"}, "money")).rule == "large refunds"
    )
    assert policy.rule(Facts("refund", {"amount": 40.0, "currency": "KWD"}, "money")).effect == "deny"
    assert policy.rule(Facts("refund", {"amount": 40.0}, "money")).effect == "ask"
    assert policy.rule(Facts("something", {}, "irreversible")).effect == "ask"


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=4),
    st.lists(st.integers(), max_size=2),
)


@pytest.mark.parametrize("name", ["refund", "credit.a", "transfer", "other"])
@given(arguments=st.dictionaries(st.sampled_from(["amount", "order", "minutes", "x"]), VALUES), spent=VALUES)
def test_whatever_a_model_writes_nothing_but_a_read_is_allowed(name, arguments, spent):
    policy = STANDARD
    facts = Facts(name, arguments, "money", {"number": "+1"}, counts={"caller": {"sums": {"amount": spent}}})
    ruling = policy.rule(facts)
    assert ruling.effect in {"ask", "deny", "confirm"}
    if ruling.effect == "confirm":
        assert type(arguments["amount"]) in {int, float}


def _standard():
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "p.yaml"
        path.write_text(HEAD + RULES)
        return load(path)


STANDARD = _standard()
