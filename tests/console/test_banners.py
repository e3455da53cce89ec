"""What needs a person: one line each, the worst first, few of them, and each leads somewhere."""

from dataclasses import replace

import pytest

from bridge.console.banners import MOST, Worries, banners
from bridge.console.healthfacts import GB, Chain, Disk, Facts, NodeHealth, Pending, StoreState, Trunk

DAY = 86_400.0
CHILD = {"name": "worker-1", "failures": 3}
PENDING = Pending("till", "pay", "changed", "h", "Pay.", ())
FULL = Disk("state", "/x", GB, 100 * GB)
CARRIER = Trunk("carrier", registers=True, registered=False)
HERE = NodeHealth("a")


def here(**facts):
    """Of this node alone."""
    return Facts(0.0, replace(HERE, **facts))


CASES = {
    "store": (Facts(0.0, store=StoreState("sqlite", failing_s=10.0)), Worries()),
    "audit": (Facts(0.0), Worries(audit=Chain(problem="entry 3 was edited"))),
    "dialplan": (Facts(0.0), Worries(mistakes=2, refused="reload")),
    "refused": (Facts(0.0), Worries(refused="rollback")),
    "node": (Facts(0.0, shared=True, nodes=[{"name": "b", "state": "lost"}]), Worries()),
    "crashing": (here(children=[CHILD]), Worries()),
    "trunk": (here(trunks=[CARRIER]), Worries()),
    "disk": (here(disks=[FULL]), Worries()),
    "certificate": (here(certificate_until=5 * DAY), Worries()),
    "unknown": (Facts(0.0, store=StoreState("sqlite", unknown=1)), Worries()),
    "tools": (Facts(0.0, pending=[PENDING]), Worries()),
}


@pytest.mark.parametrize("name", CASES)
def test_each_trouble_has_its_line_and_a_page_to_go_to(name):
    (found,) = banners(*CASES[name])
    assert (found.name, found.path[0]) == (name, "/")
    assert "{" not in found.words


ELSEWHERE = {
    "disk": (NodeHealth("b", disks=[FULL]), "state (node b)"),
    "trunk": (NodeHealth("b", trunks=[CARRIER]), "carrier (node b)"),
    "crashing": (NodeHealth("b", children=[CHILD]), "worker-1 (node b)"),
    "certificate": (NodeHealth("b", certificate_until=5 * DAY), "5 d"),
    "tools_elsewhere": (NodeHealth("b", pending=2), "node b"),
}


@pytest.mark.parametrize("name", ELSEWHERE)
def test_the_trouble_of_another_node_has_its_line_too_and_says_where_while_the_node_is_heard_of(name):
    other, words = ELSEWHERE[name]
    (found,) = banners(Facts(0.0, HERE, [other]), Worries())
    assert found.name == name
    assert words in found.words
    for silent in (replace(other, state="lost"), replace(other, age_s=61.0)):
        assert banners(Facts(0.0, HERE, [silent]), Worries()) == ()


def test_a_trunk_is_missed_by_the_node_that_registers_it_and_by_no_other():
    idle = NodeHealth("b", trunks=[CARRIER], registering=False)
    assert banners(Facts(0.0, HERE, [idle]), Worries()) == ()
    waits = replace(HERE, trunks=[CARRIER], registering=False)
    (found,) = banners(Facts(0.0, waits, [replace(idle, registering=True)]), Worries())
    assert "trunk carrier (node b)." in found.words


def test_nothing_is_said_when_all_is_well():
    quiet = Facts(
        0.0,
        NodeHealth(
            "a",
            children=[CHILD | {"failures": 1}],
            trunks=[Trunk("a", registers=True, registered=True), Trunk("b", registers=False)],
            disks=[Disk("state", "/x", 90 * GB, 100 * GB)],
            certificate_until=90 * DAY,
        ),
        store=StoreState("sqlite", 1.0, 1, failing_s=1.0),
    )
    assert banners(quiet, Worries()) == ()


def test_who_does_not_register_or_has_just_begun_misses_no_registration():
    assert banners(here(trunks=[CARRIER], registering=False), Worries()) == ()


def test_an_expired_certificate_is_worse_than_one_that_will_expire():
    (soon,) = banners(here(certificate_until=DAY), Worries())
    (over,) = banners(replace(here(certificate_until=DAY), at=2 * DAY), Worries())
    assert (soon.tone, over.tone) == ("warn", "bad")


def test_a_page_has_few_banners_and_the_worst_first():
    facts = Facts(
        0.0,
        shared=True,
        nodes=[{"name": f"n{number}", "state": "lost"} for number in range(9)],
        here=NodeHealth(
            "a", children=[CHILD], trunks=[CARRIER], disks=[Disk("state", "/x", 0, GB)], certificate_until=DAY
        ),
        store=StoreState("sqlite", failing_s=10.0, unknown=3),
        pending=[PENDING],
    )
    found = banners(facts, Worries(mistakes=1, audit=Chain(problem="x")))
    assert len(found) == MOST
    assert all(one.tone == "bad" for one in found)
    assert next(one for one in found if one.name == "node").words.startswith("Lost: node n0, n1, n2 (+6)")
