"""The health page and the banners: who sees and does what; hostile words are text. Control's side is a fake."""

import asyncio

import pytest

from bridge.console.banners import Worries
from bridge.console.healthfacts import Disk, Facts, McpState, NodeHealth, Pending, StoreState
from bridge.errors import BridgeError
from bridge.store.userstore import User
from tests.fakes import console as consoles

EVIL = '<script>alert(1)</script><img src=x onerror="alert(2)">'
WORKER = {"slot": 0, "name": "worker-0", "state": "active", "calls": 1, "taken": 2, "age_s": 10.0}
WORDS = consoles.words


class Installation:
    """A Health; `done`: what was asked of it."""

    def __init__(self):
        self.done, self.refuse, self.looks = [], "", 0
        self.pending = [
            Pending("till", "pay", "changed", "h1", EVIL, ("@@ -1 +1 @@", '- "Pay."', f"+ {EVIL}"))
        ]
        self.disk = Disk("state", "/var/lib/x", 10, 10**12)

    async def facts(self):
        self.looks += 1
        return Facts(
            at=1000.0,
            here=NodeHealth("a", workers=[WORKER], mcp=[McpState("till", EVIL, 1, 0)], disks=[self.disk]),
            pending=self.pending,
            accepted=[("till", "balance")],
            store=StoreState("sqlite", 1.0, 5),
        )

    async def worries(self):
        return Worries(mistakes=1)

    def _do(self, *what):
        if self.refuse:
            raise BridgeError(self.refuse)
        self.done.append(what)

    async def worker(self, slot, order, by):
        self._do("worker", slot, order, by)

    async def node(self, name, order, by):
        self._do("node", name, order, by)

    async def accept(self, server, tool, shown, by):
        self._do("accept", server, tool, shown, by)

    async def forget(self, server, tool, by):
        self._do("forget", server, tool, by)

    async def doctor(self):
        return [{"section": "disk", "level": "fail", "text": EVIL, "do": "make room"}]


@pytest.fixture
async def house(tmp_path):
    it = Installation()
    async with consoles.running(tmp_path, more={"health": it}) as running:
        await running.office.users.put(User("vera", frozenset({"viewer"}), frozenset()))
        running.it = it
        yield running


async def test_the_page_shows_the_installation_and_every_foreign_word_as_text(house):
    admin = await house.as_("chief")
    for path in ("/health", "/health/panels", "/notices"):
        text = (await admin.get(f"/console{path}")).text
        assert "<script>" not in text.replace('<script src="/console/static', "")
        assert "<img" not in text
    text = WORDS((await admin.get("/console/health")).text)
    assert "worker-0 active" in text
    assert EVIL in text
    assert "changed since it was accepted" in text


async def test_who_may_only_look_has_no_buttons_and_gets_nothing_done(house):
    viewer = await house.as_("vera")
    text = (await viewer.get("/console/health")).text
    assert "<form" not in text.partition("</header>")[2]
    assert (await viewer.get("/console/health/doctor")).status_code == 403
    for path in ("workers/0/drain", "nodes/a/drain", "mcp/accept", "mcp/forget", "doctor"):
        answer = await viewer.post(f"/console/health/{path}", page="/console/dialplan/explain", csrf="x")
        assert answer.status_code == 403, path
    assert house.it.done == []


async def test_an_admin_drains_a_worker_and_is_told_why_not(house):
    admin = await house.as_("chief")
    answer = await admin.post("/console/health/workers/0/drain", page="/console/health")
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/health?said=drain")
    assert "takes no new calls" in WORDS((await admin.get(answer.headers["location"])).text)
    assert house.it.done == [("worker", 0, "drain", "chief")]
    house.it.refuse = "there is no slot 9"
    answer = await admin.post("/console/health/workers/9/drain", page="/console/health")
    assert (answer.status_code, "there is no slot 9" in WORDS(answer.text)) == (409, True)
    assert (await admin.post("/console/health/workers/0/kill", page="/console/health")).status_code == 404


async def test_a_definition_is_accepted_in_the_form_that_was_shown(house):
    admin = await house.as_("chief")
    await admin.post(
        "/console/health/mcp/accept", page="/console/health", server="till", tool="pay", hash="h1"
    )
    await admin.post("/console/health/mcp/forget", page="/console/health", server="till", tool="balance")
    assert house.it.done == [("accept", "till", "pay", "h1", "chief"), ("forget", "till", "balance", "chief")]


async def test_doctors_findings_are_shown_on_request(house):
    admin = await house.as_("chief")
    answer = await admin.post("/console/health/doctor", page="/console/health/doctor")
    text = WORDS(answer.text)
    assert "to mend" in text
    assert EVIL in text


async def test_banners_are_on_every_page_and_found_out_once_for_all(house):
    admin, viewer = await house.as_("chief"), await house.as_("vera")
    async with asyncio.timeout(consoles.GUARD_S):
        while "Nearly full" not in (await viewer.get("/console/notices")).text:  # noqa: ASYNC110  # a round of the watch
            await asyncio.sleep(0.02)
    before = house.it.looks
    for browser in (admin, viewer):
        for path in ("/", "/approvals", "/health"):
            text = WORDS((await browser.get(f"/console{path}")).text)
            assert "Nearly full: the disk of state" in text
            assert "The dialplan's files have mistakes (1)" in text
    assert house.it.looks <= before + 2


async def test_strangers_see_no_banner(house):
    assert "Nearly full" not in (await house.browser().get("/console/sign-in")).text
