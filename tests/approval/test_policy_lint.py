"""What a policy says of tools and arguments that do not exist."""

import pytest

from bridge.approval.policy import load
from bridge.approval.policy_lint import misfits

TOOLS = {
    "refund": {"properties": {"amount": {}, "order": {}}},
    "credit": {"properties": {"amount": {}}},
    "hours": {},
}


@pytest.fixture
def found(tmp_path):
    def found(rule):
        path = tmp_path / "p.yaml"
        path.write_text(f"version: 1\ndefault_ask: {{group: g}}\nrules:\n- {rule}\n")
        return [str(problem).removeprefix(f"{path}:") for problem in misfits(load(path), TOOLS)]

    return found


@pytest.mark.parametrize(
    "rule",
    [
        "{name: r, deny: n}",
        "{name: r, tools: [refund, 'crm.*'], deny: n}",
        "{name: r, tools: [refund, credit], when: has(args.order) && args.amount > 5, deny: n}",
        "{name: r, tools: [refund], confirm: {question: 'Pay {amount} for {order} now?'}}",
        "{name: r, tools: ['crm.*'], when: args.id == 3, deny: n}",
    ],
)
def test_what_fits_is_not_mentioned(found, rule):
    assert found(rule) == []


@pytest.mark.parametrize(
    ("rule", "problem"),
    [
        (
            "{name: r, tools: [refnud], deny: n}",
            "4:3: rule r: there is no tool refnud (did you mean refund?)",
        ),
        (
            "{name: r, tools: [refund], when: has(args.amuont), deny: n}",
            "4:3: rule r: none of its tools has an argument amuont (did you mean amount?)",
        ),
        (
            "{name: r, tools: [refund, credit], confirm: {question: 'Pay for {order} now?'}}",
            "4:3: rule r: tool credit has no argument order to read back (allowed: amount)",
        ),
    ],
)
def test_what_no_tool_has_is_named_with_its_line(found, rule, problem):
    assert found(rule) == [problem]
