"""Small parts of the call; whole calls are in tests/scenarios/test_call_in_memory.py."""

from dataclasses import replace
from types import SimpleNamespace

from bridge.call.callfacts import call_facts
from bridge.dialplan.plan import Plan
from bridge.sip.headers import parse_invite
from tests.fakes.line import FakeLine


async def test_the_dialplan_sees_numbers_names_hosts_and_headers_in_lower_case():
    facts = call_facts(FakeLine(to="100", caller="200", headers={"X-Customer": "7"}).leg, Plan((), ()))
    assert (facts.to_number, facts.from_number, facts.from_name) == ("100", "200", "Ann")
    assert (facts.to_host, facts.from_host) == ("bridge", "phone")
    assert facts.value("header:x-customer") == "7"


def test_the_called_number_is_the_request_uris_a_diversion_leaves_to_as_it_was():
    message = (
        "INVITE sip:150@bridge SIP/2.0\nFrom: <sip:200@phone>;tag=1\nTo: <sip:100@carrier>\nCall-ID: x\n\n"
    )
    leg = SimpleNamespace(invite=parse_invite(message))
    facts = call_facts(leg, Plan((), ()))
    assert (facts.to_number, facts.to_host) == ("150", "bridge")


def test_a_call_from_the_console_is_no_trunk_s_wherever_it_comes_from():
    message = "INVITE sip:150@bridge SIP/2.0\nFrom: <sip:200@phone>;tag=1\nTo: <sip:150@bridge>\nCall-ID: x\n"
    for marked, trunk in (("", "pbx"), ("X-Console-Call: proof\n", "")):
        invite = replace(parse_invite(f"{message}{marked}\n"), trunk="pbx")
        assert call_facts(SimpleNamespace(invite=invite), Plan((), ())).trunk == trunk
