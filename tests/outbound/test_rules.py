from dataclasses import replace

from bridge.dialplan.do_not_call import content_hash
from bridge.dialplan.outbound import Outbound
from bridge.dialplan.plan import Plan
from bridge.outbound.rules import rules_of

OUT = Outbound(("+49",), "sip:{number}@t", "+4930", ())


def plan(**changes):
    return Plan((), (), outbound=replace(OUT, **changes))


def test_no_plan_and_no_section_are_no_rules():
    assert rules_of(None) is None
    assert rules_of(Plan((), ())) is None


def test_the_list_is_read_as_it_was_when_the_plan_was_loaded(tmp_path):
    file = tmp_path / "dnc.txt"
    file.write_bytes(b"+493012345678\n")
    named = plan(do_not_call=str(file), do_not_call_hash=content_hash(file.read_bytes()))
    assert rules_of(named).do_not_call == {"+493012345678"}
    file.write_bytes(b"+493012345678\n+493087654321\n")
    assert rules_of(named).do_not_call is None
    file.unlink()
    assert rules_of(named).do_not_call is None


def test_without_a_file_nobody_is_on_the_list():
    assert rules_of(plan()).do_not_call == frozenset()
