import asyncio
import sqlite3
import threading
from datetime import date
from pathlib import Path
from typing import Annotated

import pytest
from pydantic import Field

from bridge.errors import ToolArgumentsError
from bridge.toolbox.load import load
from bridge.toolbox.run import MAX_ARGUMENTS_CHARS, ToolRunner, validate
from bridge.toolbox.spec import ToolContext, spec_of, tool

HERE = Path(__file__).parents[2]


@tool("Give money back.", risk="money", timeout_s=5)
def refund(amount: Annotated[float, Field(gt=0)], context: ToolContext, day: date | None = None) -> dict:
    """A tool."""
    return {"amount": amount, "key": context.idempotency_key, "day": str(day)}


@pytest.fixture
async def runner():
    runner = ToolRunner()
    yield runner
    runner.close()


def context(folder, key="k1"):
    return ToolContext("c1", "+491", key, folder)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "not valid JSON"),
        ("[]", "JSON object"),
        ('{"amount": NaN}', "not valid JSON"),
        ('{"amount": Infinity}', "not valid JSON"),
        ('{"amount": 1e999}', "amount"),
        ('{"amount": "40"}', "amount"),
        ('{"amount": true}', "amount"),
        ('{"amount": null}', "amount"),
        ('{"amount": -1}', "amount"),
        ("{}", "amount"),
        ("", "amount"),
        ('{"amount": 4, "to": "me"}', "to"),
        ('{"amount": 4, "context": {"call_id": "x"}}', "context"),
        ('{"amount": 4, "day": "soon"}', "day"),
        ("[" * 20_000, "longer"),
        ('{"a":' * 3000, "not valid JSON"),
    ],
)
def test_arguments_that_do_not_fit_are_refused_with_their_name(text, words):
    with pytest.raises(ToolArgumentsError, match=words):
        validate(spec_of(refund), text)


def test_arguments_come_back_as_json_values():
    assert validate(spec_of(refund), '{"amount": 40, "day": "2026-11-21"}') == {
        "amount": 40.0,
        "day": "2026-11-21",
    }
    assert len("x" * MAX_ARGUMENTS_CHARS) == MAX_ARGUMENTS_CHARS


async def test_a_plain_function_gets_its_arguments_and_its_context(runner, tmp_path):
    arguments = {"amount": 40.0, "day": "2026-11-21"}
    result = await runner.run(spec_of(refund), arguments, context(tmp_path))
    assert (result.ok, result.output) == (True, {"amount": 40.0, "key": "k1", "day": "2026-11-21"})


async def run(runner, function, folder, **options):
    return await runner.run(spec_of(tool("x", **{"risk": "write", **options})(function)), {}, context(folder))


async def test_an_async_function_and_a_plain_value(runner, tmp_path):
    async def answer() -> int:
        return 42

    assert (await run(runner, answer, tmp_path)).output == {"result": 42}


async def test_what_a_tool_raises_is_no_secret_told_to_the_model(runner, tmp_path):
    def broken() -> None:
        raise RuntimeError("password=hunter2")

    result = await run(runner, broken, tmp_path)
    assert not result.ok
    assert "hunter2" not in str(result.output)


async def test_a_tool_may_refuse_in_its_own_words(runner, tmp_path):
    def refuse() -> None:
        raise ToolArgumentsError("there is no such order")

    assert (await run(runner, refuse, tmp_path)).output == {"error": "there is no such order"}


async def test_a_tool_that_takes_too_long_is_unknown_unless_it_only_reads(runner, tmp_path):
    release = threading.Event()

    def slow() -> None:
        release.wait(5)

    async def endless() -> None:
        await asyncio.Event().wait()

    assert (await run(runner, slow, tmp_path, timeout_s=0.05)).unknown
    release.set()
    assert not (await run(runner, endless, tmp_path, timeout_s=0.05, risk="read")).unknown


async def test_a_result_is_bounded_and_must_be_json(runner, tmp_path):
    def long() -> str:
        return "x" * 9000

    def strange() -> set:
        return {object()}

    def no_number() -> float:
        return float("nan")

    assert "too long" in str((await run(runner, long, tmp_path)).output)
    assert "cannot be shown" in str((await run(runner, strange, tmp_path)).output)
    assert "cannot be shown" in str((await run(runner, no_number, tmp_path)).output)


async def test_the_example_shop_refunds_once_for_one_key(runner, tmp_path):
    tools = load(HERE / "tools").tools
    for key in ("k1", "k1", "k2"):
        result = await runner.run(
            tools["refund"], {"amount": 40.0, "currency": "USD", "reason": ""}, context(tmp_path, key)
        )
        assert result.output["status"] == "refunded"
    rows = sqlite3.connect(tmp_path / "shop.db").execute("SELECT key, amount FROM refunds").fetchall()
    assert rows == [("k1", 40.0), ("k2", 40.0)]
    assert (await runner.run(tools["order_status"], {"order": "1234"}, context(tmp_path))).output[
        "state"
    ] == "left the warehouse"
    assert (await runner.run(tools["opening_hours"], {}, context(tmp_path))).output["sunday"] == "closed"
