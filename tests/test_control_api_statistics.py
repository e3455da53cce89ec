"""The figures of each rule over the API, over a real gate: those of the console's page, and names only for who may."""

import httpx
import pytest

from bridge.console.figures import Figures
from bridge.control_api import Door, application, owner
from bridge.control_api_statistics import PATH, StatisticsApi
from bridge.control_door import serve
from bridge.store.paststore import PastStore
from bridge.store.userstore import User
from tests.fakes import office as offices


@pytest.fixture
async def desk(tmp_path):
    """Asks as a user; one request was approved by anna, one waits."""
    async with offices.running(tmp_path) as office:
        await office.users.put(User("looks", frozenset({"viewer"}), frozenset()))
        opened = await office.call("pay")
        await office.decide(opened["request_id"])
        await office.settled(opened["request_id"])
        await office.call("pay", function_call_id="f2", call_id="c2")
        api = StatisticsApi(Figures(PastStore(office.store)))
        app = application({}, api.routes(), Door(office.users, owner(tmp_path)))
        async with serve(app, "127.0.0.1", 0) as port:

            async def ask(query="", by="anna"):
                headers = {"authorization": f"Bearer {await office.users.give_token(by, 'test', None)}"}
                async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=headers) as client:
                    answer = await client.get(PATH + query)
                return answer.status_code, answer.json()

            yield ask


async def test_what_people_made_of_each_rule_is_counted(desk):
    for query, days in (("", 7), ("?days=1", 1), ("?days=30", 30)):
        status, told = await desk(query)
        assert (status, told["days"], told["complete"]) == (200, days, True)
        (rule,) = told["rules"]
        assert (rule["tool"], rule["asked"], rule["approved"], rule["waiting"]) == ("pay", 2, 1, 1)
        assert rule["median_s"] is not None
        assert rule["deciders"] == [{"name": "anna", "decisions": 1}]


async def test_who_may_only_look_gets_no_names(desk):
    _, told = await desk(by="looks")
    assert told["rules"][0]["approved"] == 1
    assert "anna" not in repr(told)


@pytest.mark.parametrize("days", ["0", "2", "x", "-1", "07"])
async def test_other_days_are_not_counted(desk, days):
    assert (await desk(f"?days={days}"))[0] == 400
