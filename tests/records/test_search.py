"""What people type into a search, and which calls are in trouble."""

from dataclasses import replace
from datetime import datetime

import pytest

from bridge.records.cdr import CallRecord
from bridge.records.search import Filter, Place, read, troubled

RECORD = CallRecord("c1", "b1", 1000.0)


def test_nothing_typed_is_every_call():
    assert read({}) == (Filter(), ())
    assert read({"number": "  ", "outcome": "", "page": "7"}) == (Filter(), ())


def test_numbers_are_found_as_people_write_them():
    assert read({"number": "+49 (30) 123/45-6"})[0].number == "+4930123" + "45-6"
    assert read({"number": "()"}) == (Filter(), ("number",))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("since", "yesterday"), ("until", "1e400"), ("since", "nan"), ("until", "-5"), ("outcome", "bad"),
        ("direction", "in"), ("ended_by", "me"), ("shortest_s", "inf"), ("longest_s", "-1"), ("words", "x" * 101),
        ("route", "a\x00b"), ("since", "99999-01-01T00:00"),
    ],
)  # fmt: skip
def test_what_cannot_be_understood_is_named_and_left_out(name, text):
    assert read({name: text, "route": "desk"} | {name: text}) == (
        Filter(route="desk") if name != "route" else Filter(),
        (name,),
    )


def test_times_are_local_as_a_form_has_them_or_unix_seconds():
    at = datetime(2026, 11, 29, 11, 5).astimezone().timestamp()
    assert read({"since": "2026-11-29T11:05"})[0].since == at
    assert read({"until": "2026-11-29T11:05:00+00:00"})[0].until == 1795950300.0
    assert read({"since": "1795950300.5"})[0].since == 1795950300.5


def test_flags_are_on_when_they_are_there():
    wanted, _ = read({"trouble": "1", "approvals": "on", "barge_ins": "0"})
    assert (wanted.trouble, wanted.approvals, wanted.barge_ins) == (True, True, False)


def test_who_may_not_see_persons_cannot_search_for_them():
    wanted = Filter(number="4711", reason="fraud", words="my card", route="desk", trouble=True)
    assert wanted.without_persons() == Filter(route="desk", trouble=True)


def test_a_place_reads_as_it_is_written():
    for place in (Place(1795950300.123456, "a~b"), Place(0.0, "c1")):
        assert Place.read(str(place)) == place
    for text in ("", "~", "x~c", "1~", "1e5~c", "nan~c", "-1~c", "1" * 400 + "~c"):
        assert Place.read(text) is None


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({}, False),
        ({"ended_by": "caller", "end_status": 200, "mos": 4.2}, False),
        ({"ended_by": "bridge", "end_status": 404}, False),
        ({"ended_by": "bridge", "end_status": 503}, True),
        ({"ended_by": "caller", "end_status": 503, "end_reason": "worker_died"}, False),
        ({"ended_by": "bridge", "end_reason": "node_lost"}, True),
        ({"ended_by": "network"}, True),
        ({"errors": 1}, True),
        ({"session_error": "lost"}, True),
        ({"mos": 2.9}, True),
    ],
)
def test_trouble_is_what_somebody_should_look_into(changes, wanted):
    assert troubled(replace(RECORD, **changes)) is wanted
