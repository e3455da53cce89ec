"""The page of webhooks: what it shows to whom, and what its buttons do; a desk that remembers what it was asked."""

import pytest

from bridge.store.userstore import User
from bridge.store.webhookstore import Delivery, EndpointView
from tests.fakes import console as consoles

PAGE = "/console/webhooks"
BAD = "<script>alert(1)</script>"


class Desk:
    def __init__(self, health="disabled"):
        self.asked, self.health = [], health

    async def shown(self):
        counts = {"pending": 3, "delivered": 7, "parked": 2}
        return [EndpointView("crm", "hooks.example", (), True, self.health, 5.0, 9.0, None, BAD, **counts)]

    async def deliveries(self, endpoint, state, limit):
        self.asked.append(("deliveries", endpoint, state))
        return [Delivery(4, "crm", "c", 7, "call.ended", "c1", "parked", 3, 0.0, 1.0, 2.0, 500, BAD)]

    async def test(self, name):
        self.asked.append(("test", name))
        return name == "crm"

    async def enable(self, name):
        self.asked.append(("enable", name))
        return name == "crm"

    async def again(self, delivery_id):
        self.asked.append(("again", delivery_id))
        return delivery_id == 4


@pytest.fixture
async def house(tmp_path):
    async with consoles.running(tmp_path, more={"webhooks": Desk()}) as found:
        found.desk = found.console._deps.webhooks
        yield found


async def test_an_admin_sees_how_they_fare_and_what_was_parked(house):
    browser = await house.as_("chief")
    page = (await browser.get(f"{PAGE}?state=parked&endpoint=crm")).text
    words = consoles.words(page)
    for said in ("hooks.example", "crm is disabled", "call.ended", "Send a test", "Try again"):
        assert said in words
    assert BAD not in page
    assert ("deliveries", "crm", "parked") in house.desk.asked


async def test_what_the_query_makes_up_is_no_filter(house):
    await (await house.as_("chief")).get(f"{PAGE}?state=gone")
    assert house.desk.asked == [("deliveries", "", "")]


async def test_an_operator_looks_and_has_no_buttons_and_others_do_not_see_it(house):
    await house.office.users.put(User("op", frozenset({"operator"}), frozenset()))
    words = consoles.words((await (await house.as_("op")).get(PAGE)).text)
    assert "hooks.example" in words
    assert "Send a test" not in words
    answer = await (await house.as_("anna")).get(PAGE)  # who approves
    assert answer.status_code == 403
    browser = await house.as_("op")
    assert (await browser.post(f"{PAGE}/crm/test", page=PAGE)).status_code == 403
    assert ("test", "crm") not in house.desk.asked


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("crm/test", ("test", "crm")),
        ("crm/enable", ("enable", "crm")),
        ("deliveries/4/redeliver", ("again", 4)),
    ],
)
async def test_a_button_does_what_it_says_and_the_page_says_so(house, path, asked):
    browser = await house.as_("chief")
    answer = await browser.post(f"{PAGE}/{path}", page=PAGE)
    assert answer.status_code == 303
    assert asked in house.desk.asked
    assert 'role="status"' in (await browser.get(answer.headers["location"])).text


@pytest.mark.parametrize("path", ["no/test", "no/enable", "deliveries/9/redeliver", "deliveries/x/redeliver"])
async def test_what_is_not_there_is_said(house, path):
    browser = await house.as_("chief")
    answer = await browser.post(f"{PAGE}/{path}", page=PAGE)
    assert answer.status_code == 404


async def test_without_webhooks_the_page_says_how_to_have_some(tmp_path):
    class Bare(Desk):
        async def shown(self):
            return []

    async with consoles.running(tmp_path, more={"webhooks": Bare()}) as house:
        assert "webhooks.NAME" in consoles.words((await (await house.as_("chief")).get(PAGE)).text)
