import json
import time
from http import HTTPStatus

import pytest

from bridge.control_pages import Facts, health, metrics, pages, readiness, request_gauge
from bridge.dialplan.plan import Plan
from bridge.errors import StoreError
from bridge.link.messages import Hello
from bridge.link.server import LinkServer, Peer
from bridge.store.gatestore import OPEN_STATES
from tests.fakes.events import Script
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
        ([0, 2], PLAN, []),  # worker 1 was replaced by one in the surge slot
        ([0, 1, 2], PLAN, []),
        ([2], PLAN, ["1 of 2 workers are not connected"]),
    ],
)
def test_healthy_means_all_workers_and_a_plan(link, indexes, plan, problems):
    link._peers = {index: peer(index, {}) for index in indexes}
    page = health(link, 2, plan)
    assert page.status == (HTTPStatus.SERVICE_UNAVAILABLE if problems else HTTPStatus.OK)
    assert json.loads(page.text)["problems"] == problems


def test_without_a_plan_there_are_no_routes(link):
    text = metrics(Facts(started_at=0.0), link, None).text
    assert "sipbridge_plan_routes 0.0\n" in text
    assert "sipbridge_plan_in_force 0.0\n" in text


@pytest.mark.parametrize(
    ("statuses", "plan", "answer"),
    [
        ([{}], PLAN, (200, "ready\n")),
        ([{"draining": True}, {}], PLAN, (200, "ready\n")),
        ([{"draining": True}], PLAN, (503, "every worker is draining\n")),
        ([], PLAN, (503, "no worker is connected\n")),
        ([{}], None, (503, "no plan is in force\n")),
    ],
)
def test_a_node_is_ready_when_a_call_would_be_taken_now(link, statuses, plan, answer):
    link._peers = {index: peer(index, status) for index, status in enumerate(statuses)}
    page = readiness(link, plan)
    assert (page.status, page.text) == answer


def test_workers_that_drain_are_counted(link):
    link._peers = {0: peer(0, {"draining": True}), 1: peer(1, {"draining": False}), 2: peer(2, {})}
    text = metrics(Facts(0.0), link, PLAN).text
    assert "sipbridge_workers_connected 3.0\n" in text
    assert "sipbridge_workers_draining 1.0\n" in text


def test_the_running_calls_of_connected_workers_are_counted_by_direction_and_state(link):
    facts = Facts(0.0)
    here, gone = Script("c1", boot="b0"), Script("c2", boot="elsewhere")
    for script in (here, gone):
        script.tell("call.started", direction="outbound").tell("call.answered")
        facts.counts.stored(script.events)
    link._peers = {0: peer(0, {})}
    text = metrics(facts, link, PLAN).text
    assert 'sipbridge_calls_active{direction="outbound",state="talking"} 1.0\n' in text
    assert 'sipbridge_calls_active{direction="inbound",state="talking"} 0.0\n' in text


def test_a_call_that_runs_beyond_its_limit_is_overdue(link):
    facts = Facts(0.0, max_call_s=3600.0)
    for call_id, ago_s in (("old", 3700), ("ending", 3630), ("new", 10)):
        script = Script(call_id, boot="b0", mono=time.monotonic() - ago_s).tell("call.started")
        facts.counts.stored(script.tell("call.answered").events)
    link._peers = {0: peer(0, {})}
    assert "sipbridge_calls_overdue 1.0\n" in metrics(facts, link, PLAN).text


def test_open_requests_of_the_gate_are_a_gauge_with_every_state():
    gauge = request_gauge({"pending": 2})
    assert {labels["state"]: value for labels, value in gauge.samples}["pending"] == 2
    assert {labels["state"] for labels, _ in gauge.samples} == set(OPEN_STATES)


def test_a_status_that_lacks_or_mistypes_a_figure_counts_as_zero(link):
    link._peers = {0: peer(0, {}), 1: peer(1, {"calls": "many", "link": 5}), 2: peer(2, {"calls": 2})}
    text = metrics(Facts(started_at=0.0), link, PLAN).text
    for index, calls in enumerate((0, 0, 2)):
        assert f'sipbridge_worker_calls{{worker="{index}"}} {calls}.0\n' in text


def test_while_the_store_takes_nothing_the_bridge_is_not_well(link):
    link._store_refused(StoreError("disk full"))
    page = health(link, 0, PLAN)
    assert page.status == HTTPStatus.SERVICE_UNAVAILABLE
    assert "the store has taken no events for 0 s" in page.text
    assert "sipbridge_store_failing 1.0\n" in metrics(Facts(0.0), link, PLAN).text
    link._store_took()
    assert health(link, 0, PLAN).status == HTTPStatus.OK
    assert "sipbridge_store_failing 0.0\n" in metrics(Facts(0.0), link, PLAN).text


def test_the_media_clock_of_every_worker_is_in_the_metrics(link):
    link._peers = {0: peer(0, {"clock_late_ticks": 3, "clock_max_late_ms": 12.5, "clock_restarts": 2})}
    text = metrics(Facts(0.0), link, PLAN).text
    for line in (
        'clock_late_ticks{worker="0"} 3.0',
        'clock_max_late_ms{worker="0"} 12.5',
        'clock_restarts{worker="0"} 2.0',
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
        'sipbridge_trunk_reachable{trunk="carrier",worker="0"} 0.0',
        'sipbridge_trunk_registered{trunk="pbx",worker="0"} 1.0',
    ]


def test_every_page_is_there(link):
    found = pages(Facts(started_at=0.0), link, 0, lambda: PLAN)
    assert {path: page("").status for path, page in found.items()} == {
        "/livez": 200,
        "/readyz": 503,
        "/healthz": 200,
        "/metrics": 200,
    }


def test_metrics_come_in_the_format_that_the_client_asks_for(link):
    page = pages(Facts(started_at=0.0), link, 0, lambda: PLAN)["/metrics"]
    plain, open_ = page("*/*"), page("application/openmetrics-text;version=1.0.0,text/plain;q=0.5")
    assert plain.content_type.startswith("text/plain; version=0.0.4")
    assert open_.content_type.startswith("application/openmetrics-text; version=1.0.0")
    assert open_.text.endswith("# EOF\n")
    assert not plain.text.endswith("# EOF\n")


def test_health_names_no_call(link):
    link._peers = {0: peer(0, {"calls": 1, "held": {"call-id": "vip"}})}
    assert "call-id" not in health(link, 1, PLAN).text
    assert '"calls": 1' in health(link, 1, PLAN).text
