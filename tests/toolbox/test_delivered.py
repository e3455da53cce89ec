"""The tools that are delivered, run as the gate runs them, against their real SQLite file and a real webhook."""

import base64
import json
import sqlite3
from datetime import date, timedelta
from pathlib import Path

import pytest

from bridge.toolbox.load import load
from bridge.toolbox.run import ToolRunner, validate
from bridge.toolbox.spec import ToolContext
from tests.test_webhook import receiving

TOOLS = load(Path(__file__).parents[2] / "tools").tools
TODAY = date.today()  # noqa: DTZ011  # the tools go by the machine's own calendar
WORKDAY = next(
    day.isoformat() for day in (TODAY + timedelta(days=n) for n in range(2, 9)) if day.weekday() < 5
)
WEEKEND = next(
    day.isoformat() for day in (TODAY + timedelta(days=n) for n in range(2, 9)) if day.weekday() >= 5
)


@pytest.fixture
def run(tmp_path):
    async def run(tool, /, key="k1", caller="+491", **arguments):
        spec = TOOLS[tool]
        values = validate(spec, json.dumps(arguments))
        return await ToolRunner().run(spec, values, ToolContext("c1", caller, key, tmp_path))

    run.folder = tmp_path
    return run


def rows(run, query):
    with sqlite3.connect(run.folder / "shop.db") as shop:
        return shop.execute(query).fetchall()


async def test_an_appointment_is_booked_found_and_cancelled(run):
    assert "14:00" in (await run("free_appointments", day=WORKDAY)).output["free"]
    booked = (await run("book_appointment", day=WORKDAY, time="14:00", name="Anna")).output
    assert booked["status"] == "booked"
    assert "14:00" not in (await run("free_appointments", day=WORKDAY)).output["free"]
    assert (await run("find_appointment", code=booked["code"])).output == {"day": WORKDAY, "time": "14:00"}
    assert (await run("cancel_appointment", code=booked["code"])).output["status"] == "cancelled"
    assert "no appointment" in (await run("find_appointment", code=booked["code"])).output["status"]
    assert "14:00" in (await run("free_appointments", day=WORKDAY)).output["free"]


async def test_a_second_try_of_the_same_booking_is_the_same_booking(run):
    first = await run("book_appointment", key="k1", day=WORKDAY, time="09:00", name="Anna")
    again = await run("book_appointment", key="k1", day=WORKDAY, time="09:00", name="Anna")
    assert first.output == again.output
    assert len(rows(run, "SELECT * FROM appointments")) == 1
    other = await run("book_appointment", key="k2", day=WORKDAY, time="09:00", name="Bert")
    assert (other.ok, other.unknown) == (False, False)
    assert "taken" in other.output["error"]


@pytest.mark.parametrize(
    ("day", "time"),
    [
        (WEEKEND, "09:00"),
        ("2020-01-01", "09:00"),
        ("2026-13-40", "09:00"),
        ("2099-01-01", "09:00"),
        (WORKDAY, "03:00"),
    ],
    # the names of the tests must be the same on both sides of midnight: several processes collect them
    ids=["weekend", "past", "no date", "too far", "at night"],
)
async def test_what_cannot_be_booked_is_said_and_not_booked(run, day, time):
    result = await run("book_appointment", day=day, time=time, name="Anna")
    assert (result.ok, result.unknown) == (False, False)
    assert not (run.folder / "shop.db").exists() or rows(run, "SELECT * FROM appointments") == []


async def test_a_code_that_nobody_has_cancels_nothing(run):
    assert not (await run("cancel_appointment", code="000000")).ok


async def test_a_message_is_written_down_once(run):
    for _ in range(2):
        assert (await run("take_message", name="Anna", text="Call me.")).ok
    assert rows(run, "SELECT name, callback, text FROM messages") == [("Anna", "+491", "Call me.")]


async def test_a_text_goes_to_the_callers_number_by_a_signed_webhook_under_the_requests_key(run, monkeypatch):
    async with receiving() as (receiver, url):
        monkeypatch.setenv("MESSAGES_WEBHOOK_URL", url)
        monkeypatch.setenv("MESSAGES_WEBHOOK_SECRET", base64.b64encode(b"s" * 24).decode())
        assert (await run("send_text", key="r1:b", text="Your code is 5.")).ok
    ((headers, body),) = receiver.got
    assert headers["webhook-id"] == "r1:b"
    assert json.loads(body)["data"] == {
        "kind": "sms",
        "to": "+491",
        "text": "Your code is 5.",
        "call_id": "c1",
    }


@pytest.mark.parametrize(("status", "unknown"), [(400, False), (500, True)])
async def test_a_mail_whose_fate_nobody_knows_is_unknown(run, monkeypatch, status, unknown):
    async with receiving(status) as (_, url):
        monkeypatch.setenv("MESSAGES_WEBHOOK_URL", url)
        monkeypatch.setenv("MESSAGES_WEBHOOK_SECRET", base64.b64encode(b"s" * 24).decode())
        result = await run("send_email", to="a@b.example", subject="Hi", text="x")
    assert (result.ok, result.unknown) == (False, unknown)


async def test_without_a_webhook_nothing_is_sent_and_that_is_said(run, monkeypatch):
    monkeypatch.delenv("MESSAGES_WEBHOOK_URL", raising=False)
    assert "not set up" in (await run("send_text", text="x")).output["error"]
    assert "not known" in (await run("send_text", caller="", text="x")).output["error"]


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("hang_up", {}),
        ("transfer", {"to": "sales"}),
        ("warm_transfer", {"to": "sales", "summary": "A refund."}),
        ("collect_digits", {"digits": 4}),
    ],
)
async def test_where_there_is_no_call_its_tools_say_so(run, name, arguments):
    assert (await run(name, **arguments)).output == {"error": "there is no call"}


async def test_a_caller_is_verified_by_the_right_pin_and_not_by_trying(run):
    assert (await run("verify_caller", customer="100001", pin="0000")).output == {"verified": False}
    assert (await run("verify_caller", customer="999999", pin="0000")).output == {"verified": False}
    assert (await run("verify_caller", customer="100001", pin="4711")).output == {"verified": True}
    for _ in range(3):
        await run("verify_caller", customer="100002", pin="0000")
    assert "too many" in (await run("verify_caller", customer="100002", pin="0815")).output["error"]
