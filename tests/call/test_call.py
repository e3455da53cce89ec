"""Small parts of the call; whole calls are in tests/scenarios/test_call_in_memory.py."""

from bridge.call.call import call_facts
from tests.fakes.line import FakeLine


async def test_the_dialplan_sees_numbers_names_hosts_and_headers_in_lower_case():
    facts = call_facts(FakeLine(to="100", caller="200", headers={"X-Customer": "7"}).leg)
    assert (facts.to_number, facts.from_number, facts.from_name) == ("100", "200", "Ann")
    assert (facts.to_host, facts.from_host) == ("bridge", "phone")
    assert facts.value("header:x-customer") == "7"
