"""What a plan would do and how two differ, over the API: real files, the words of the command line and the console."""

import pytest

from bridge.control_api_plans import PlansApi
from bridge.control_planwindow import PlanWindow
from bridge.dialplan.around import Around
from tests.fakes.api import running_api
from tests.test_control_dialplan import Office

EXPLAIN, COMPARE = "/api/v1/dialplan/explain", "/api/v1/dialplan/compare"
TWO = (
    "version: 1\nroutes:\n"
    "  - name: night\n    when: {to: '100'}\n    do:\n      - say: Closed\n      - hang_up: {}\n"
    "  - name: rest\n    when: {to: '2*'}\n    do:\n      - hang_up: {}\n"
)


@pytest.fixture
async def house(tmp_path):
    """The API, and the office behind it; the files have changed since they came into force."""
    office = Office(tmp_path)
    desk = await office.desk()
    window = PlanWindow(desk, office.versions, Around(("local",)), None)
    async with running_api(tmp_path, lambda _store: PlansApi(lambda: window).routes()) as api:
        (office.plans / "plan.yaml").write_text(TWO)
        yield api, office, desk


async def test_what_would_happen_is_told_with_the_reason_of_each_route(house):
    api, _, desk = house
    status, told = await api.ask("POST", EXPLAIN, {"to": "100"}, "viewer")
    assert (status, told["which"], told["version"]) == (200, "running", desk.version)
    assert (told["route"], told["steps"][0]) == ("first", "- say: Hello first")
    _, told = await api.ask("POST", EXPLAIN, {"to": "250", "which": "disk", "from": "+49"}, "viewer")
    assert told["route"] == "rest"
    night, rest = told["verdicts"]
    assert (night["route"], night["fits"], "100" in night["why"]) == ("night", False, True)
    assert (rest["fits"], rest["line"] > night["line"]) == (True, True)
    _, told = await api.ask("POST", EXPLAIN, {"to": "999", "which": "disk"}, "viewer")
    assert (told["route"], told["steps"], len(told["verdicts"])) == (None, [], 2)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400),
        ({"to": 100}, 400),
        ({"to": "1", "number": "2"}, 400),
        ({"to": "1", "headers": "X: y"}, 400),
        ({"to": "1", "loads": [1]}, 400),
        ({"to": "1", "at": "at night"}, 422),
        ({"to": "1", "headers": ["no colon"]}, 422),
        ({"to": "1", "which": "ffff00"}, 404),
    ],
)
async def test_a_question_that_makes_no_sense_is_refused(house, body, status):
    got, told = await house[0].ask("POST", EXPLAIN, body, "viewer")
    assert (got, bool(told["error"])) == (status, True)


async def test_two_plans_are_compared_in_words_and_in_lines(house):
    api, office, desk = house
    status, told = await api.ask("GET", COMPARE, role="viewer")
    assert (status, told["old"]["version"], told["new"]["which"]) == (200, desk.version, "disk")
    assert {(one["sign"], one["what"].partition(",")[0]) for one in told["changes"]} >= {
        ("-", "route first"),
        ("+", "route night"),
    }
    (file,) = told["files"]
    assert (file["name"], "+  - name: night" in file["lines"]) == ("plan.yaml", True)
    _, same = await api.ask("GET", f"{COMPARE}?old=running&new={desk.version[:6]}", role="viewer")
    assert (same["changes"], same["files"]) == ([], [])
    assert (await api.ask("GET", f"{COMPARE}?old=ffff00", role="viewer"))[0] == 404
    (office.plans / "plan.yaml").write_text("version: 1\nroutes: 7\n")
    status, told = await api.ask("GET", COMPARE, role="viewer")
    assert (status, "plan.yaml:2" in told["problems"][0]) == (409, True)
    assert (await api.ask("POST", EXPLAIN, {"to": "1", "which": "disk"}, "viewer"))[0] == 409


async def test_before_control_is_put_together_it_is_said_so(tmp_path):
    async with running_api(tmp_path, lambda _store: PlansApi(lambda: None).routes()) as api:
        assert (await api.ask("POST", EXPLAIN, {"to": "1"}))[0] == 503
