from http import HTTPStatus

import pytest

from bridge.control_pages import EVENT_TYPES, Facts, health, metrics, pages
from bridge.dialplan.plan import Plan
from bridge.errors import StoreError
from bridge.link.messages import Hello
from bridge.link.server import LinkServer, Peer
from tests.fakes.link import MemoryStore

PLAN = Plan((), ())


def peer(index, status):
    return Peer(None, Hello(index, f"b{index}", 1, 5060, "v", 0), status)


@pytest.fixture
def link(tmp_path):
    return LinkServer(tmp_path / "s", MemoryStore())


@pytest.mark.parametrize(
    ("indexes", "plan", "problems"),
    [
        ([0, 1], PLAN, []),
        ([1], PLAN, ["worker 0 is not connected"]),
        ([0, 1], None, ["no plan is in force"]),
    ],
)
def test_healthy_means_all_workers_and_a_plan(link, indexes, plan, problems):
    link._peers = {index: peer(index, {}) for index in indexes}
    page = health(link, 2, plan)
    assert page.status == (HTTPStatus.SERVICE_UNAVAILABLE if problems else HTTPStatus.OK)
    assert all(problem in page.text for problem in problems)


def test_there_is_one_series_for_each_known_event_type_and_no_other(link):
    facts = Facts(started_at=0.0)
    facts.events.update({"dtmf": 3, "strange\n": 9})
    text = metrics(facts, link, None).text
    assert 'sipbridge_events_total{type="dtmf"} 3\n' in text
    assert "strange" not in text
    assert text.count("sipbridge_events_total{") == len(EVENT_TYPES)
    assert "sipbridge_plan_routes 0\n" in text


def test_a_status_that_lacks_or_mistypes_a_figure_counts_as_zero(link):
    link._peers = {0: peer(0, {}), 1: peer(1, {"calls": "many", "link": 5}), 2: peer(2, {"calls": 2})}
    text = metrics(Facts(started_at=0.0), link, PLAN).text
    for index, calls in enumerate((0, 0, 2)):
        assert f'sipbridge_worker_calls{{worker="{index}"}} {calls}\n' in text


def test_while_the_store_takes_nothing_the_bridge_is_not_well(link):
    link._store_refused(StoreError("disk full"))
    page = health(link, 0, PLAN)
    assert page.status == HTTPStatus.SERVICE_UNAVAILABLE
    assert "the store has taken no events for 0 s" in page.text
    assert "sipbridge_store_failing 1\n" in metrics(Facts(0.0), link, PLAN).text
    link._store_took()
    assert health(link, 0, PLAN).status == HTTPStatus.OK
    assert "sipbridge_store_failing 0\n" in metrics(Facts(0.0), link, PLAN).text


def test_the_media_clock_of_every_worker_is_in_the_metrics(link):
    link._peers = {0: peer(0, {"clock_late_ticks": 3, "clock_max_late_ms": 12.5, "clock_restarts": 2})}
    text = metrics(Facts(0.0), link, PLAN).text
    for line in (
        'clock_late_ticks{worker="0"} 3',
        'clock_max_late_ms{worker="0"} 12.5',
        'clock_restarts{worker="0"} 2',
    ):
        assert f"sipbridge_worker_{line}\n" in text


def test_a_trunk_is_in_the_metrics_of_the_workers_that_know_how_it_is(link):
    known = {
        "pbx": {"registered": True, "reachable": None},
        "carrier": {"registered": None, "reachable": False},
    }
    link._peers = {
        0: peer(0, {"trunks": known}),
        1: peer(1, {"trunks": {"pbx": {"registered": None, "reachable": None}}}),
        2: peer(2, {"trunks": ["nonsense"]}),
        3: peer(3, {"trunks": {"pbx": 7}}),
    }
    lines = [
        line
        for line in metrics(Facts(0.0), link, PLAN).text.splitlines()
        if line.startswith("sipbridge_trunk")
    ]
    assert sorted(lines) == [
        'sipbridge_trunk_reachable{worker="0",trunk="carrier"} 0',
        'sipbridge_trunk_registered{worker="0",trunk="pbx"} 1',
    ]


def test_both_pages_are_there(link):
    found = pages(Facts(started_at=0.0), link, 0, lambda: PLAN)
    assert {path: page().status for path, page in found.items()} == {"/healthz": 200, "/metrics": 200}


def test_health_names_no_call(link):
    link._peers = {0: peer(0, {"calls": 1, "held": {"call-id": "vip"}})}
    assert "call-id" not in health(link, 1, PLAN).text
    assert '"calls": 1' in health(link, 1, PLAN).text
