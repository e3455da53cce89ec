"""A policy held against the tools there are: names and arguments that no tool has.

A rule for a tool that does not exist never fits, and `has(args.amuont)` is false for ever, so that a later rule
decides: mistakes that only show with the tools at hand. Pure; called by the CLI, and by whoever loads policy and tools
together.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from bridge.approval import readback
from bridge.approval.policy import Policy, Rule
from bridge.approval.request import Actor
from bridge.errors import Problem
from bridge.fieldhelp import nearest


def misfits(policy: Policy, tools: Mapping[str, Mapping[str, Any]]) -> tuple[Problem, ...]:
    """What does not fit, in file order. `tools`: the JSON Schema of each tool's arguments, by name."""
    known = {name: tuple(schema.get("properties", {})) for name, schema in tools.items()}
    return tuple(
        Problem(policy.file, rule.line, rule.column, f"rule {rule.spec.name}", message, hint)
        for rule in policy.rules
        for message, hint in _of(rule, known)
    )


def too_few(policy: Policy, people: Iterable[Actor]) -> tuple[Problem, ...]:
    """Rules that ask more people than there are: what they are about would always time out."""
    able = [one for one in people if "approver" in one.roles]
    asked = [(rule.line, rule.column, f"rule {rule.spec.name}", rule.spec.ask) for rule in policy.rules]
    found = []
    for line, column, key, ask in [(1, 1, "default_ask", policy.default_ask), *asked]:
        if ask is None:
            continue
        groups = {ask.group, ask.escalate_to or ask.group}
        count = sum(1 for one in able if groups & one.groups)
        if count < ask.approvers:
            message = f"{ask.approvers} of {' or '.join(sorted(groups))} must approve, but only {count} may"
            hint = f"sipbridge users add NAME --role approver --group {ask.group}"
            found.append(Problem(policy.file, line, column, key, message, hint))
    return tuple(found)


def _of(rule: Rule, known: Mapping[str, tuple[str, ...]]) -> Iterator[tuple[str, str]]:
    for tool in rule.spec.tools:
        if "*" not in tool and tool not in known:
            yield f"there is no tool {tool}", nearest(tool, known)
    taken = {name: arguments for name, arguments in known.items() if rule.tools.fullmatch(name)}
    every = {argument for arguments in taken.values() for argument in arguments}
    for argument in sorted(rule.condition.arguments if rule.condition and taken else ()):
        if argument not in every:
            yield f"none of its tools has an argument {argument}", nearest(argument, every)
    for place in readback.places(rule.spec.confirm.question) if rule.spec.confirm else ():
        for name, arguments in taken.items():
            if place not in arguments:
                yield f"tool {name} has no argument {place} to read back", nearest(place, arguments)
