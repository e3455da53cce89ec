from pathlib import Path

import pytest

from bridge.approval.policy import Facts, load
from bridge.errors import PolicyError

HEAD = (
    "version: 1\npeople:\n  anna: {groups: [boss], numbers: ['+491']}\ndefault_ask: {group: boss}\nrules:\n"
)


def policy(folder, rules):
    path = folder / "policy.yaml"
    path.write_text(HEAD + rules)
    return load(path)


def facts(**changes):
    return Facts(
        **{
            "tool": "refund",
            "arguments": {"amount": 40},
            "risk": "money",
            "caller": {"number": "+492"},
            **changes,
        }
    )


def test_the_first_rule_that_fits_decides(tmp_path):
    rules = policy(
        tmp_path,
        "- {name: a, tools: ['order_*'], allow: true}\n"
        "- {name: b, risk: [money], deny: never}\n"
        "- {name: c, allow: true}\n",
    )
    assert (rules.rule(facts()).effect, rules.rule(facts()).words) == ("deny", "never")
    assert rules.rule(facts(tool="order_status", risk="read")).rule == "a"
    assert rules.rule(facts(risk="read")).rule == "c"
    assert [verdict.fits for verdict in rules.explain(facts())] == [False, True]


def test_what_no_rule_fits_is_asked_about(tmp_path):
    ruling = policy(tmp_path, "- {name: a, tools: [x], allow: true}\n").rule(facts())
    assert (ruling.effect, ruling.ask.group) == ("ask", "boss")


@pytest.mark.parametrize(
    ("condition", "arguments"),
    [
        ("args.missing <= 5", {}),
        ("args.amount <= 50", {"amount": "40"}),
        ("args.amount <= 50", {"amount": None}),
        ("args.amount <= 50", {"amount": True}),
        ("args.amount", {"amount": 1}),
        ("args.list[3] == 1", {"list": []}),
        ("1 / args.amount > 0", {"amount": 0}),
        ("counts.call.requests < 3", {}),
        ("'yes'", {}),
    ],
)
def test_a_condition_that_fails_or_is_no_plain_truth_asks_and_never_allows(tmp_path, condition, arguments):
    rules = policy(tmp_path, f'- {{name: a, when: "{condition}", allow: true}}\n- {{name: b, allow: true}}\n')
    ruling = rules.rule(facts(arguments=arguments))
    assert (ruling.effect, ruling.rule, ruling.ask.group) == ("ask", "a", "boss")


def test_a_condition_looks_at_the_arguments(tmp_path):
    rules = policy(
        tmp_path, "- {name: small, when: \"args.amount <= 50 && caller.number != ''\", allow: true}\n"
    )
    assert rules.rule(facts()).effect == "allow"
    assert rules.rule(facts(arguments={"amount": 50.5})).effect == "ask"


def test_the_question_carries_the_arguments_and_nothing_that_could_change_it(tmp_path):
    rules = policy(
        tmp_path, "- {name: a, confirm: {question: 'Refund {amount} for {why}?'}, ask: {group: boss}}\n"
    )
    ruling = rules.rule(facts(arguments={"amount": 40.0, "why": 'x"? Press one {amount}'}))
    assert ruling.effect == "confirm"
    assert ruling.confirm.question == "Refund 40 for x Press one amount?"
    assert ruling.ask.group == "boss"


def test_people_are_approvers_in_their_groups(tmp_path):
    anna = policy(tmp_path, "- {name: a, allow: true}\n").people["anna"]
    assert (anna.name, anna.roles, anna.groups, anna.numbers) == ("anna", {"approver"}, {"boss"}, {"+491"})


def test_the_version_changes_with_the_content(tmp_path):
    one = policy(tmp_path, "- {name: a, allow: true}\n").version
    assert one == policy(tmp_path, "- {name: a,   allow: true}  # same\n").version
    assert one != policy(tmp_path, "- {name: b, allow: true}\n").version


@pytest.mark.parametrize(
    ("rules", "line", "words"),
    [
        ("- {name: a, allow: true, deny: no}\n", 6, "exclude each other"),
        ("- {name: a}\n", 6, "says nothing"),
        ("- {name: a, confirm: {question: x}, allow: true}\n", 6, "alone or with ask"),
        ("- {name: a, allow: true}\n- {name: a, allow: true}\n", 7, "two rules"),
        ("- name: a\n  when: 'args.amount <'\n  allow: true\n", 7, "no CEL expression"),
        ("- name: a\n  when: argument.amount < 5\n  allow: true\n", 7, "unknown name argument"),
        ("- {name: a, alow: true}\n", 6, "alow"),
        ("- {name: a, allow: false}\n", 6, "allow"),
        ("- {name: a, ask: {group: boss, approvers: 0}}\n", 6, "approvers"),
    ],
)
def test_a_mistake_is_told_with_its_line(tmp_path, rules, line, words):
    with pytest.raises(PolicyError) as refused:
        policy(tmp_path, rules)
    assert words in str(refused.value)
    assert line in {problem.line for problem in refused.value.problems}


def test_the_policy_that_is_delivered_loads_and_asks_about_refunds():
    rules = load(Path(__file__).parents[2] / "tools" / "policy.yaml")
    assert rules.rule(facts()).effect == "confirm"
    assert rules.rule(facts(arguments={"amount": 501})).effect == "deny"
    assert rules.rule(facts(tool="hours", risk="read", arguments={})).effect == "allow"
    assert rules.rule(facts(tool="delete_all", risk="irreversible", arguments={})).effect == "ask"
