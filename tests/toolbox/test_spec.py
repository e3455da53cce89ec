from typing import Annotated

import pytest
from pydantic import Field

from bridge.errors import ToolError
from bridge.toolbox.spec import ToolContext, spec_of, tool


@tool("Give money back.", risk="money")
def refund(amount: Annotated[float, Field(gt=0)], context: ToolContext, reason: str = "none") -> None:
    """A tool."""


def test_the_schema_comes_from_the_types_without_the_context():
    spec = spec_of(refund)
    definition = spec.definition()
    assert definition["name"] == "refund"
    assert set(definition["parameters"]["properties"]) == {"amount", "reason"}
    assert definition["parameters"]["required"] == ["amount"]
    assert definition["parameters"]["additionalProperties"] is False
    assert (spec.options.idempotent, spec.blocking) == (False, True)
    assert spec.where.rpartition(":")[0] == __file__


def test_what_only_reads_is_idempotent():
    assert spec_of(tool("Look.", risk="read")(lambda: 1)).options.idempotent


def test_the_hash_changes_with_what_an_approver_was_shown():
    def named(words, hint, risk="money"):
        def pay(amount):
            """A tool."""

        pay.__annotations__ = {"amount": hint}
        return spec_of(tool(words, risk=risk)(pay)).definition_hash

    hashes = {named("a", int), named("b", int), named("a", float), named("a", int, "read")}
    assert len(hashes) == 4
    assert named("a", int) in hashes


def test_a_parameter_without_a_type_is_refused():
    def bare(amount):
        """A tool."""

    def many(*amounts: int):
        """A tool."""

    def strange(amount: object.__class__.__subclasshook__):
        """A tool."""

    def unknown(amount: "NotThere"):  # noqa: F821  # the point
        """A tool."""

    for function in (bare, many, strange, unknown):
        with pytest.raises(ToolError):
            spec_of(tool("x", risk="read")(function))


def test_an_argument_to_redact_that_the_tool_does_not_have_is_a_mistake():
    with pytest.raises(ToolError, match="redact names pin"):
        spec_of(tool("Look.", risk="read", redact=("pin",))(lambda: 1))
