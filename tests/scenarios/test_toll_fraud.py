"""Numbers and targets that somebody would like the bridge to dial, at their own profit. None is dialled.

Each case goes in by every door: the policy itself, a campaign's CSV, the API, a variable. What is asked of the policy
is what control asks before it dials; tests/system/test_outbound.py sees at a trunk that a refusal is no INVITE.
"""

import asyncio
import csv
import io
from datetime import UTC, datetime

import pytest

from bridge.call.outgoing import order_of
from bridge.control_outbound import OutboundDeps, OutboundOffice
from bridge.control_outbound_requests import request_call
from bridge.control_spent import SpentWishes
from bridge.dialplan.outbound import Outbound
from bridge.dialplan.plan import Agent, AgentStep, Plan, SayStep
from bridge.dialplan.variables import Scene, render
from bridge.errors import BridgeError
from bridge.outbound.number import NumberError, read
from bridge.outbound.policy import Counts, Rules, refusal
from bridge.outbound.sheet import read as read_sheet
from bridge.store.outboundstore import OutboundStore
from bridge.store.store import Store

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
KEY = b"k" * 32
WIDE = Outbound(
    allow=("+1", "+49", "+44", "+43", "+41", "+33", "+39", "+34", "+61", "+8", "+9"),
    deny=("+4930666",),
    kinds=("fixed_line", "mobile", "voip", "toll_free"),
    region="DE",
    target="sip:{number}@trunk.example",
    caller_id="+493012345",
    steps=(AgentStep("front"),),
)
HOME = Outbound(
    allow=("+49",),
    deny=("+4930666",),
    kinds=WIDE.kinds,
    region="DE",
    target=WIDE.target,
    caller_id="+493012345",
    steps=WIDE.steps,
)
PREMIUM = (
    "+49 900 1234567",
    "0900 1234567",
    "0049 900 1234567",
    "+49 900 5 123456",
    "+49137 1234567",
    "+1 900 555 0123",
    "+1 976 555 0123",
    "+44 909 8790123",
    "+44 9012 345678",
    "+44 871 234 5678",
    "+43 900 123456",
    "+43 930 123456",
    "+41 900 123 456",
    "+41 906 123 456",
    "+33 899 123 456",
    "+33 897 123 456",
    "+39 899 123456",
    "+34 803 123 456",
    "+34 806 123 456",
    "+34 807 123 456",
    "+61 1900 123 456",
    "+979 1 1234 5678",
    "+808 1234 5678",
)
OTHERS_MONEY = (
    "+44 70 1234 5678",
    "+49 700 12345678",
    "+49 1805 123456",
    "+878 10 1234567890",
    "+44 7640 123456",
    "+1 242 365 1234",
    "+1 268 464 1234",
    "+1 473 403 1234",
    "+1 649 231 1234",
    "+1 767 225 1234",
    "+1 809 234 5678",
    "+1 876 210 1234",
    "+1 284 300 1234",
    "+1 664 491 1234",
)
SATELLITE = (
    "+870 773 111 632",
    "+881 6 1234 5678",
    "+881 7 1234 5678",
    "+882 16 12345678",
    "+883 5100 1234 5678",
)
ABROAD = (
    "+1 202 555 0123",
    "001 202 555 0123",
    "+44 20 7946 0958",
    "+247 12345",
    "+53 7 1234567",
    "00 252 1 234567",
)
OBFUSCATED = (
    "\uff0b\uff14\uff19\uff13\uff10\uff11\uff12\uff13\uff14\uff15\uff16\uff17\uff18",  # full width
    "\u0660\u0660\u0661\u0662\u0660\u0662\u0665\u0665\u0665\u0660\u0661\u0662\u0663",  # Arabic-Indic
    "\u06f0\u06f9\u06f0\u06f0123456",
    "+49\u200b3012345678",
    "+49\u200d3012345678",
    "\u202e876543210394+",
    "+49\u00a03012345678",
    "\ufeff+493012345678",
    "+49\u20603012345678",
    "+\u09ea\u09ef3012345678",
    "+4930\u00b2345678",
    "\uff0b493012345678",
    "+49\u20113012345678",
    "+49301234567O",
    "+49301234567l",
    "+1800FLOWERS",
    "+49 30 CALL NOW",
)
TARGETS = (
    "tel:+493012345678",
    "tel:3012345678;phone-context=+1900",
    "tel:+493012345678;isub=12345",
    "sip:+493012345678@evil.example",
    "sips:x@evil.example",
    "+493012345678@evil.example",
    "+493012345678;user=phone",
    "+493012345678;phone-context=evil.example",
    "+493012345678?Replaces=abc%3Bto-tag%3D1",
    "+493012345678?Route=%3Csip:evil.example%3E",
    "+493012345678&Header=1",
    '"+493012345678" <sip:+19005550123@evil.example>',
    "<+493012345678>",
    "+493012345678>;tag=1",
    "+493012345678%40evil",
    "%2B493012345678",
    "+4930%0d%0aX-Evil:1",
    "+493012345678\r\nRoute: <sip:evil.example>",
    "+493012345678\n",
    "\r\n+493012345678",
    "+493012345678\x00",
    "+493012345678\x1b[2J",
    "+49 30\t12345678",
)
DIGITS_AFTER = (
    "+493012345678,,,9001234567",
    "+493012345678p900",
    "+493012345678w900",
    "+493012345678;ext=900",
    "+493012345678 ext. 900",
    "+493012345678x900",
    "+493012345678#900",
    "*21*+493012345678#",
    "*72 493012345678",
    "#31#+493012345678",
    "**61*0900123#",
    "+493012345678A",
    "+493012345678*1#",
)
SHAPES = (
    "",
    " ",
    "+",
    "++493012345678",
    "+49+3012345678",
    " +493012345678",
    "+493012345678 ",
    "+-493012345678",
    "-493012345678",
    "+49",
    "110",
    "112",
    "911",
    "+49112",
    "+4930",
    "+0493012345678",
    "+4930123456789012345",
    "9" * 40,
    "+493012345678/..//",
    "+49*",
    "+49?",
    "+49[0-9]",
    "(",
    "+493012345678..",
    "None",
    "null",
    "+4930 666 12345",
    "{number}",
    "%s",
    "+49 30 1;2",
)
CASES = [*PREMIUM, *OTHERS_MONEY, *SATELLITE, *OBFUSCATED, *TARGETS, *DIGITS_AFTER, *SHAPES]


def verdict(text, rules):
    """Why control would not dial it; "" when it would."""
    try:
        number = read(text, rules.region)
    except NumberError as error:
        return str(error)
    found = refusal(number, Rules(rules), Counts(), NOON)
    return found.reason if found else ""


@pytest.mark.parametrize("text", CASES, ids=repr)
def test_the_policy_refuses_it_even_where_much_is_allowed(text):
    assert verdict(text, WIDE)


@pytest.mark.parametrize("text", [*CASES, *ABROAD], ids=repr)
def test_the_policy_refuses_it_where_only_the_own_country_is_allowed(text):
    assert verdict(text, HOME)


@pytest.mark.parametrize(
    "text", ["+49 30 12345678", "030 12345678", "0049 (0)30 / 12345678", "+4915112345678"]
)
def test_an_honest_number_is_dialled_in_whatever_way_it_is_written(text):
    assert verdict(text, HOME) == ""


def test_the_table_is_long_enough():
    assert len(set(CASES)) >= 60


@pytest.mark.parametrize("text", CASES, ids=repr)
def test_no_line_of_a_campaign_can_be_it(text):
    file = io.StringIO()
    csv.writer(file).writerows([["number", "name"], [text, "Anna"]])
    assert not read_sheet(file.getvalue().encode(), Rules(WIDE)).rows


@pytest.mark.parametrize("text", CASES, ids=repr)
def test_no_worker_dials_it_if_control_were_to_say_so(text):
    plan = Plan((), (Agent("front", "x"),), outbound=WIDE)
    try:
        order = order_of(plan, text, "", {})
    except ValueError:
        return
    # What the worker alone cannot know is the kind of a number; the prefix tables are its second net.
    assert not set(text) - set("+0123456789"), text
    assert order.rules.uri(text) == f"sip:{text}@trunk.example"
    assert verdict(text, WIDE)


class NoWorkers:
    """Workers that tell what they were told."""

    def __init__(self):
        self.told = []

    def peers(self):
        class Peer:
            status = {"calls": 0}  # noqa: RUF012

            class hello:  # noqa: N801
                boot = "b1"

        return [Peer()]

    def tell(self, boot, message):
        self.told.append(message)
        return True


async def test_asked_for_by_the_api_every_one_is_refused_and_no_worker_hears_of_it(tmp_path):
    async with Store(f"sqlite:///{tmp_path}/store.db") as store:
        jobs, workers = OutboundStore(store), NoWorkers()
        office = OutboundOffice(OutboundDeps(jobs, workers, KEY, 4, SpentWishes(tmp_path / "spent", 1e6)))
        office.take_plan(Plan((), (Agent("front", "x"),), outbound=WIDE))
        running = asyncio.create_task(office.run())
        try:
            for start in range(0, len(CASES), 40):
                asked = (ask(jobs, text) for text in CASES[start : start + 40])
                assert set(await asyncio.gather(*asked)) <= {"refused"}
            assert await ask(jobs, "+49 30 12345678") == "queued"
            async with asyncio.timeout(20):
                while not workers.told:  # noqa: ASYNC110  # a database row
                    await asyncio.sleep(0.02)
        finally:
            running.cancel()
        assert [order.number for order in workers.told] == ["+493012345678"]


async def ask(jobs, text):
    try:
        return (await request_call(jobs, KEY, "eve", "api", {"number": text}))["state"]
    except BridgeError:
        return "refused"


@pytest.mark.parametrize("text", [*TARGETS, *OBFUSCATED, *PREMIUM], ids=repr)
def test_a_variable_is_never_dialled_and_never_leaves_its_quotes(text):
    plan = Plan((), (Agent("front", 'Call "{{ vars.number }}".'),), outbound=HOME)
    order = order_of(plan, "+493012345678", "", {"number": text, "target": text, "to": text})
    assert order.rules.uri(order.number) == "sip:+493012345678@trunk.example"
    facts = order.facts()
    shown = render('"{{ vars.number }}"', Scene(facts, NOON, facts.vars))
    assert len(shown) > 2
    assert shown.count('"') == 2
    assert shown.isprintable()


def test_steps_are_named_never_given():
    plan = Plan((), (Agent("front", "x"),), outbound=HOME)
    for run in ("agent:nobody", "route:x", "sip:evil", "agent:", "say:boo"):
        with pytest.raises(ValueError, match="has no"):
            order_of(plan, "+493012345678", run, {})
    assert not any(isinstance(step, SayStep) for step in order_of(plan, "+493012345678", "", {}).steps)
