"""Outbound calls and campaigns over the API, judged by the office as in control. No worker: nothing rings."""

import asyncio
import json
from contextlib import asynccontextmanager

import pytest

from bridge.control_api_outbound import MAX_CSV_BYTES, OutboundApi, OutboundApiDeps
from bridge.control_outbound import OutboundDeps, OutboundOffice
from bridge.control_spent import SpentWishes
from bridge.dialplan.outbound import Outbound
from bridge.dialplan.plan import Agent, Plan
from bridge.store.outboundstore import OutboundStore
from tests.fakes.api import running_api

KEY = b"k" * 32
RULES = Outbound(("+49",), "sip:{number}@t", "+4930", (), region="DE", kinds=("fixed_line",))
PLAN = Plan((), (Agent("front", "x"),), outbound=RULES)
NUMBER = "+493012345678"
CALLS, OUTBOUND, CAMPAIGNS = "/api/v1/calls", "/api/v1/outbound", "/api/v1/campaigns"
CSV = {"content-type": "text/csv"}


class Nobody:
    def peers(self):
        return []

    def tell(self, boot, message):
        return False


def routes(store):
    return OutboundApi(OutboundApiDeps(OutboundStore(store), KEY, lambda: PLAN)).routes()


@asynccontextmanager
async def office(api):
    spent = SpentWishes(api.folder / "spent", 1e6)
    desk = OutboundOffice(OutboundDeps(OutboundStore(api.store), Nobody(), KEY, 4, spent))
    desk.take_plan(PLAN)
    running = asyncio.create_task(desk.run())
    try:
        yield
    finally:
        running.cancel()
        await asyncio.wait({running})


@pytest.fixture
async def api(tmp_path):
    async with running_api(tmp_path, routes) as found, office(found):
        yield found


async def load(api, content, query="name=clinic", **options):
    options.setdefault("headers", CSV)
    return await api.ask("POST", f"{CAMPAIGNS}?{query}", content=content.encode(), **options)


async def test_a_wish_is_taken_and_shows_who_asked(api):
    body = {"number": "030 12345678", "agent": "front", "variables": {"name": "Ann"}}
    status, job = await api.ask("POST", CALLS, body)
    assert (status, job["state"], job["number"], job["run"]) == (202, "queued", NUMBER, "agent:front")
    assert (job["asked_by"], job["via"], job["variables"]) == ("a-operator", "api", {"name": "Ann"})
    status, data = await api.ask("GET", OUTBOUND)
    assert (status, [one["job_id"] for one in data["jobs"]]) == (200, [job["job_id"]])
    assert (await api.ask("GET", f"{OUTBOUND}/{job['job_id'][:6]}"))[1]["number"] == NUMBER
    assert "seal" not in json.dumps(data)
    _, by_socket = await api.ask("POST", CALLS, {"number": NUMBER}, role="")
    assert by_socket["via"] == "cli"


async def test_a_wish_that_the_rules_forbid_gets_their_reason(api):
    status, data = await api.ask("POST", CALLS, {"number": "+49900123456"})
    assert (status, data["state"]) == (422, "refused")
    assert "premium" in data["error"]
    status, data = await api.ask("POST", CALLS, {"number": NUMBER, "agent": "nobody"})
    assert (status, data["error"]) == (422, "the dialplan has no agent nobody")


async def test_a_job_is_cancelled_once(api):
    _, job = await api.ask("POST", CALLS, {"number": NUMBER})
    path = f"{OUTBOUND}/{job['job_id']}"
    assert await api.ask("DELETE", path) == (
        200,
        {"job_id": job["job_id"], "state": "queued", "cancel": True},
    )
    async with asyncio.timeout(20):
        while (await api.ask("GET", path))[1]["state"] != "cancelled":  # noqa: ASYNC110  # another task
            await asyncio.sleep(0.05)
    assert (await api.ask("DELETE", path))[0] == 409


async def test_jobs_are_found_by_state_campaign_and_number_of_them(api):
    for _ in range(3):
        await api.ask("POST", CALLS, {"number": NUMBER})
    await api.ask("POST", CALLS, {"number": "+33123456789"})
    for query, count in (("state=queued", 3), ("state=refused", 1), ("limit=2", 2), ("campaign=x", 0)):
        assert len((await api.ask("GET", f"{OUTBOUND}?{query}"))[1]["jobs"]) == count
    for query in (
        "limit=0",
        "limit=1001",
        "limit=-1",
        "limit=x",
        "limit=%D9%A1",
        "state=x",
        "limit=" + "9" * 5000,
    ):
        assert (await api.ask("GET", f"{OUTBOUND}?{query}"))[0] == 400


async def test_a_campaign_is_loaded_shown_paused_resumed_and_cancelled(api):
    bad = f"number,name\n{NUMBER},Ann\n+49900123456,Bob\n"
    status, data = await load(api, bad)
    assert (status, data["error"]) == (422, "nothing is loaded: 1 bad, 1 good lines")
    assert data["bad"] == [{"line": 3, "why": "+49900123456: +49900 is never dialled: premium rate"}]
    status, data = await load(api, bad, "name=clinic&agent=front&skip_bad=1")
    assert (status, data["calls"], data["left_out"]) == (202, 1, 1)
    assert (await load(api, bad, "name=clinic&skip_bad=1"))[0] == 409
    _, one = await api.ask("GET", f"{CAMPAIGNS}/clinic")
    (job,) = one["jobs"]
    assert (one["asked_by"], job["run"], job["variables"]) == ("a-operator", "agent:front", {"name": "Ann"})
    for word, state in (("pause", "paused"), ("resume", "running"), ("cancel", "cancelled")):
        answer = await api.ask("POST", f"{CAMPAIGNS}/clinic/{word}")
        assert answer == (200, {"name": "clinic", "state": state})
    status, data = await api.ask("POST", f"{CAMPAIGNS}/clinic/resume")
    assert (status, data["error"]) == (409, "there is no campaign 'clinic' that is paused")
    _, every = await api.ask("GET", CAMPAIGNS, role="viewer")
    assert [(one["name"], one["state"]) for one in every["campaigns"]] == [("clinic", "cancelled")]
    assert (await api.ask("GET", f"{CAMPAIGNS}/other"))[0] == 404


async def test_who_may_only_look_sees_neither_numbers_nor_variables(api):
    _, job = await api.ask("POST", CALLS, {"number": NUMBER, "variables": {"name": "Ann"}})
    await load(api, "number,name\n+493012345679,Bob\n")
    for path in (OUTBOUND, f"{OUTBOUND}/{job['job_id']}", f"{CAMPAIGNS}/clinic"):
        status, data = await api.ask("GET", path, role="viewer")
        text = json.dumps(data)
        assert (status, "***7" in text) == (200, True)
        assert not any(word in text for word in (NUMBER[:-2], "Ann", "Bob", "12345679"))


# ---- attacks: each gets its status, and nothing is kept -------------------------------------------------------

WAYS = (
    ("POST", CALLS, {"json": {"number": NUMBER}}),
    ("DELETE", f"{OUTBOUND}/abc", {}),
    ("POST", f"{CAMPAIGNS}?name=x", {"content": f"number\n{NUMBER}\n".encode(), "headers": CSV}),
    *(("POST", f"{CAMPAIGNS}/x/{word}", {}) for word in ("pause", "resume", "cancel")),
)


@pytest.mark.parametrize(
    ("role", "status"), [(None, 401), ("wrong", 401), ("viewer", 403), ("approver", 403)]
)
async def test_nobody_dials_without_the_right(api, role, status):
    for method, path, options in WAYS:
        assert (await api.ask(method, path, role=role, **options))[0] == status
    assert await kept(api) == 0


async def kept(api):
    jobs = OutboundStore(api.store)
    return len([job for job in await jobs.jobs() if job.state != "refused"]) + len(await jobs.campaigns())


BAD_BODIES = (
    {},
    {"number": 493012345678},
    {"number": [NUMBER]},
    {"number": "9" * 101},
    {"number": NUMBER, "agent": "front", "route": "x"},
    {"number": NUMBER, "agent": 1},
    {"number": NUMBER, "variables": [1]},
    {"number": NUMBER, "variables": {"A B": "x"}},
    {"number": NUMBER, "variables": {"name": {"x": 1}}},
    {"number": NUMBER, "variables": {f"v{n}": "x" for n in range(51)}},
    {"number": NUMBER, "asked_by": "boss"},
    {"number": NUMBER, "target": "sip:x@evil.example"},
    {"number": NUMBER, "caller_id": "+491234"},
)


async def test_a_wish_that_cannot_be_understood_is_refused(api):
    for body in BAD_BODIES:
        assert (await api.ask("POST", CALLS, body))[0] == 400, body
    assert await kept(api) == 0


BAD_NUMBERS = (
    f"{NUMBER}\r\nX-Injected: 1",
    f"{NUMBER}@evil.example",
    f"{NUMBER};phone-context=x",
    f"{NUMBER}?Replaces=1",
    f"sip:{NUMBER}@evil.example",
    "+49 30 12345678 \x00",
    "\ud800",
    "+4930123456789012345678",
)


async def test_a_number_with_more_in_it_than_a_number_is_refused(api):
    for number in BAD_NUMBERS:
        content = json.dumps({"number": number}).encode()
        headers = {"content-type": "application/json"}
        status, data = await api.ask("POST", CALLS, content=content, headers=headers)
        assert status in {400, 422}, (number, data)
    assert await kept(api) == 0


@pytest.mark.parametrize(
    ("query", "content", "options", "status"),
    [
        ("", f"number\n{NUMBER}\n", {}, 400),
        ("name=..%2Fx", f"number\n{NUMBER}\n", {}, 400),
        ("name=a%0d%0ab", f"number\n{NUMBER}\n", {}, 400),
        ("name=" + "x" * 65, f"number\n{NUMBER}\n", {}, 400),
        ("name=x&agent=a&route=b", f"number\n{NUMBER}\n", {}, 400),
        ("name=x", "", {}, 422),
        ("name=x", "phone\n1\n", {}, 422),
        ("name=x", f'number\n"{NUMBER}\n', {}, 422),
        ("name=x&skip_bad=1", "number\nx\n", {}, 422),
        ("name=x", '{"number": 1}', {"headers": {"content-type": "application/json"}}, 415),
        ("name=x", f"number\n{NUMBER}\n", {"headers": {"content-type": "text/plain"}}, 415),
        ("name=x", f"number\n{NUMBER}\n", {"headers": CSV | {"origin": "https://evil.example"}}, 403),
        ("name=x", "x" * (MAX_CSV_BYTES + 1), {}, 413),
    ],
)
async def test_a_campaign_that_is_none_is_refused(api, query, content, options, status):
    assert (await load(api, content, query, **options))[0] == status
    assert await kept(api) == 0


async def test_an_id_that_is_none_finds_no_job(api):
    for path, status in (("%2e%2e", 400), ("%25", 400), ("_", 400), ("g", 400), ("a" * 13, 400), ("ab", 404)):
        for method in ("GET", "DELETE"):
            assert (await api.ask(method, f"{OUTBOUND}/{path}"))[0] in {status, 404, 405}, path
