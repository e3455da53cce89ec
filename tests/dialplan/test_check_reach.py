"""Unreachable routes: whatever is told must be true, checked against the plan itself."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.dialplan import load
from bridge.dialplan.check_reach import covers
from bridge.dialplan.facts import CallFacts, Condition
from bridge.errors import DialplanError

END = "do: [{hang_up: {}}]"
HOURS = """timezone: UTC
lists: {vip: ["123"]}
hours: {o: {timezone: UTC, week: {mon: ["09:00-18:00"]}}, p: {timezone: UTC, week: {tue: ["09:00-18:00"]}}}"""


def refused(tmp_path, *whens):
    routes = "".join(f"- {{name: r{number}, when: {when}, {END}}}\n" for number, when in enumerate(whens))
    file = tmp_path / "p.yaml"
    file.write_text(f"version: 1\n{HOURS}\nroutes:\n{routes}- {{name: last, {END}}}\n")
    try:
        load.load(file)
    except DialplanError as error:
        return [f"{one.line}: {one.key}: {one.message}" for one in error.problems]
    return []


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ("{to: '+49*'}", "{to: '+4930*'}"),
        ("{to: '+49*'}", "{to: '+4930123'}"),
        ("{to: '+49*'}", "{to: ['+4930*', '+4940'], from: '1'}"),
        ("{to: '/^00?49/'}", "{to: '004930'}"),
        ("{to: '/^0(4|5)/'}", "{to: '/^0(4|5)/', from: '1*'}"),
        ("{to: '*'}", "{to: '/x/'}"),
        ("{headers: {X-A: 'gold*'}}", "{headers: {x-a: Goldfish}}"),
        ("{hours: [o, p]}", "{hours: o}"),
        ("{outside: o}", "{outside: [o, p]}"),
        ("{to: ['@vip', '1*']}", "{to: '@vip', hours: o}"),
        ("{not: {from: '1*'}}", "{not: {from: '1*'}, to: '2'}"),
        ("{dates: ['2026-12-24', '2026-12-31']}", "{dates: '2026-12-24', to: '2'}"),
        ("{to: '1', outside: o}", "{outside: [p, o], to: '1', from: '2'}"),
    ],
)
def test_a_route_whose_calls_an_earlier_one_takes_is_a_mistake(tmp_path, earlier, later):
    assert refused(tmp_path, earlier, later) == ["7: routes[1]: no call comes here: r0 takes them all"]


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ("{to: '+4930*'}", "{to: '+49*'}"),
        ("{to: '+49*', from: '1'}", "{to: '+4930*'}"),
        ("{to: '+49*', from: '1'}", "{to: '+4930*', from: '2'}"),
        ("{to: '+49*'}", "{to: ['+4930*', '+43*']}"),
        ("{to: '/^0(4|5)/'}", "{to: '/^0(4|6)/'}"),
        ("{to: '/^004/'}", "{to: '00*'}"),
        ("{to: '49'}", "{to: '/49/'}"),
        ("{headers: {X-A: '*'}}", "{headers: {X-B: x}}"),
        ("{hours: o}", "{hours: [o, p]}"),
        ("{to: '@vip'}", "{to: '1'}"),
        ("{to: '1*'}", "{to: '@vip'}"),
        ("{percent: 50}", "{percent: 50}"),
        ("{capacity: {max_calls: 3}}", "{capacity: {max_calls: 3}}"),
        ("{not: {percent: 50}}", "{not: {percent: 50}}"),
        ("{hours: o}", "{outside: o}"),
        ("{outside: [o, p]}", "{outside: o}"),
        ("{hours: [o, p]}", "{to: '1'}"),
    ],
)
def test_a_route_that_some_call_may_come_to_is_none(tmp_path, earlier, later):
    assert refused(tmp_path, earlier, later) == []


def test_a_route_for_within_and_outside_of_the_same_hours_is_a_mistake(tmp_path):
    assert refused(tmp_path, "{hours: o, outside: [o, p]}") == [
        "6: routes[0].when: no call comes here: it asks for within and outside of o at once"
    ]
    assert refused(tmp_path, "{hours: [o, p], outside: o}") == []


def test_a_route_after_one_without_conditions_is_a_mistake(tmp_path):
    file = tmp_path / "p.yaml"
    file.write_text(f"version: 1\nroutes:\n- {{name: all, {END}}}\n- {{name: b, when: {{to: '1'}}, {END}}}\n")
    with pytest.raises(DialplanError, match="all takes them all"):
        load.load(file)


PATTERNS = st.sampled_from(["1*", "12*", "123", "12", "*", "/^1/", "/^12/", "/2/", "AB*", "ab"])
FIELDS = st.dictionaries(
    st.sampled_from(["to", "from", "header:x", "hours", "outside"]),
    st.lists(PATTERNS, min_size=1, max_size=3).map(tuple),
    max_size=3,
).map(
    lambda asked: {
        name: patterns if name not in {"hours", "outside"} else tuple(one[0] for one in patterns)
        for name, patterns in asked.items()
    }
)
VALUES = st.sampled_from(["", "1", "12", "123", "1234", "21", "ab", "ABC", "9"])


@settings(max_examples=500)
@given(FIELDS, FIELDS, VALUES, VALUES, VALUES, st.frozensets(st.sampled_from(list("1*/Aa"))))
def test_what_is_covered_never_fits_alone(wide, narrow, to, from_, header, open_hours):
    facts = CallFacts(to, from_, headers={"x": header} if header else {}, open_hours=open_hours)
    one, other = (
        {name: Condition(name, asked) for name, asked in all_of.items()} for all_of in (wide, narrow)
    )
    if covers(one, other) and all(condition.fits(facts) for condition in other.values()):
        assert all(condition.fits(facts) for condition in one.values())
