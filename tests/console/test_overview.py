"""The overview: figures of the day, the last calls and decisions, for who may see them."""

import time

from bridge.console.overview import Pace
from bridge.store.userstore import User
from tests.fakes import console as consoles
from tests.store.test_historystore import answered, call, keep

WORDS = consoles.words


async def test_the_day_and_the_last_calls_are_shown_with_numbers_only_for_who_may_see_them(tmp_path):
    pace = lambda: Pace(time.time(), 0.21, 0.4, 0.75, 1.5)  # noqa: E731
    async with consoles.running(tmp_path, more={"pace": pace}) as house:
        await house.office.users.put(User("vera", frozenset({"viewer"}), frozenset()))
        # a minute ahead: it is a call of today even when midnight comes before the second look
        script = call("c1", time.time() + 60, **{"from": "+4930123456", "to": "+4930999"})
        await keep(house.office.store, answered(script))
        for name, sees in (("chief", True), ("vera", False)):
            text = WORDS((await (await house.as_(name)).get("/console/")).text)
            assert "1 calls today" in text
            assert "0 with trouble today" in text
            assert "0.21 s answer" in text
            assert "95 % within 1.50 s" in text
            assert ("+4930123456" in text) is sees
            assert ("***56" in text) is not sees


async def test_the_last_decisions_lead_to_their_requests(tmp_path):
    async with consoles.running(tmp_path) as house:
        await house.office.call()
        text = (await (await house.as_("chief")).get("/console/overview")).text
        assert "pay" in text
        assert "/console/approvals/" in text
