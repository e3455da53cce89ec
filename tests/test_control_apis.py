"""What the whole HTTP door has in common, on a control as it runs: every route, every role, exactly as rights.py says.

OWASP ASVS 4 (access control), 13 (API): no route without an entry in the table, no action without role, session, secret
of a form, or token. schemathesis: whatever is asked, the answer is one of the described ones and no 5xx.
"""

import asyncio
import re

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as bounded
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from starlette.routing import Route

from bridge.approval.request import MAY, ROLES
from bridge.console.web import csrf_of
from tests.fakes import rights, wholecontrol
from tests.fakes.wholecontrol import NOBODY

PLACES = {"id": "ffff0000", "name": "nobody", "version": "000000000000", "secret": "x" * 43, "number": "1"}
AT_ONCE = 8
EXAMPLES = 5
STREAMS = {"/api/v1/events", "/console/events", "/console/calls/events", "/console/calls/{id}/events"}


@pytest.fixture
async def whole(tmp_path):
    async with wholecontrol.running(tmp_path) as found:
        yield found


def routes(whole):
    """(method, path) of everything on the door."""
    for route in whole.control.app.routes:
        assert isinstance(route, Route), route
        for method in sorted(set(route.methods) - {"HEAD"}):
            yield method, route.path


def filled(path):
    return re.sub(r"{(\w+)(?::\w+)?}", lambda place: PLACES.get(place[1], "x"), path)


def may(right, role):
    return role in MAY[right]


async def each(work, *all_of):
    """`work` for each of these, a few at a time; what came of them."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(item):
        async with gate:
            return await work(*item)

    return await asyncio.gather(*(one(item) for item in all_of))


def flat(lists):
    return [one for some in lists for one in some]


async def status(client, method, path, **options):
    """Of the answer; a stream is not read to its end."""
    async with client.stream(method, filled(path), **options) as answer:
        if path not in STREAMS or answer.status_code != 200:
            await answer.aread()
        return answer.status_code


async def test_every_route_has_its_right_in_the_table_and_the_table_has_no_other(whole):
    there = set(routes(whole))
    known = rights.API.keys() | rights.CONSOLE.keys() | rights.OPEN
    assert there - known == set(), "a new route: say in tests/fakes/rights.py who may"
    assert known - rights.SOMETIMES - there == set(), "no such route any more"


async def test_each_role_may_in_the_api_exactly_what_the_table_says(whole):
    async def ask(role, method, path, right):
        client = clients[role]
        got = await status(client, method, path)
        allowed = role is not None and may(right, role) and (method, path) not in rights.NOT_BY_TOKEN
        wanted = "401" if role is None else "not 403" if allowed else "403"
        right_answer = got == 401 if role is None else (got not in {401, 403}) if allowed else got == 403
        return [] if right_answer else [f"{method} {path} as {role!r}: {got}, wanted {wanted}"]

    clients = {role: whole.client(role) for role in (None, NOBODY, *ROLES)}
    asked = [(role, *route, right) for route, right in rights.API.items() for role in clients]
    try:
        wrong = await each(ask, *asked)
    finally:
        for client in clients.values():
            await client.aclose()
    assert flat(wrong) == []


def browser(whole, role):
    """A browser in which somebody of that role has signed in; None: nobody."""
    cookies = {"sipbridge": whole.sessions[role]} if role is not None else {}
    return httpx.AsyncClient(base_url=whole.base, cookies=cookies, timeout=20)


def own(whole):
    return {"origin": whole.base, "sec-fetch-site": "same-origin"}


async def test_each_role_may_in_the_console_exactly_what_the_table_says(whole):
    async def ask(role, method, path, right):
        fields = {"csrf": csrf_of(whole.sessions[role or NOBODY])}
        body = {"data": fields, "headers": own(whole)} if method == "POST" else {}
        got = await status(browsers[role], method, path, **body)
        allowed = role is not None and may(right, role)
        fits = (got in {303, 403}) if role is None else (got != 403) if allowed else got == 403
        return [] if fits else [f"{method} {path} as {role!r}: {got}, allowed: {allowed}"]

    browsers = {role: browser(whole, role) for role in (None, NOBODY, *ROLES)}
    table = {route: right for route, right in rights.CONSOLE.items() if route in set(routes(whole))}
    asked = [(role, *route, right) for route, right in table.items() for role in browsers]
    asked.sort(key=lambda one: one[2] == "/console/sign-out")  # then the session is over
    last = [one for one in asked if one[2] == "/console/sign-out"]
    try:
        wrong = await each(ask, *asked[: -len(last)])
        wrong += await each(ask, *last)
    finally:
        for one in browsers.values():
            await one.aclose()
    assert flat(wrong) == []


@pytest.mark.parametrize(
    ("what", "fields", "headers"),
    [
        ("no secret", {"reason": "x"}, {}),
        ("another session's", {"csrf": csrf_of("somebody else")}, {}),
        ("the cookie itself", {"csrf": "COOKIE"}, {}),
        (
            "another site's page",
            {"csrf": "RIGHT"},
            {"origin": "https://evil.example", "sec-fetch-site": "cross-site"},
        ),
    ],
)
async def test_no_form_of_the_console_counts_without_its_secret(whole, what, fields, headers):
    """As an admin who is also everything else: nothing but the secret keeps it from being done."""
    secret = whole.sessions["admin"]
    fields = {
        name: {"COOKIE": secret, "RIGHT": csrf_of(secret)}.get(value, value) for name, value in fields.items()
    }

    async def ask(method, path):
        got = await status(client, method, path, data=fields, headers={**own(whole), **headers})
        return [] if got == 403 else [f"{method} {path}, {what}: {got}"]

    posts = [route for route in routes(whole) if route[0] == "POST" and route[1].startswith("/console")]
    async with browser(whole, "admin") as client:
        wrong = await each(ask, *posts)
    assert flat(wrong) == []


async def test_a_browser_of_another_site_gets_nothing_from_the_api(whole):
    async def ask(method, path):
        got = await status(
            client, method, path, headers={"origin": "https://evil.example", "sec-fetch-site": "cross-site"}
        )
        return [] if got == 403 else [f"{method} {path}: {got}"]

    async with whole.client("admin") as client:
        wrong = await each(ask, *rights.API)
        preflight = await client.options("/api/v1/calls", headers={"origin": "https://evil.example"})
    assert flat(wrong) == []
    assert "access-control-allow-origin" not in preflight.headers


# ---- schemathesis -----------------------------------------------------------------------------------------------

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
QUIET = bounded(
    max_examples=EXAMPLES,
    derandomize=True,
    database=None,
    deadline=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)


async def test_whatever_is_asked_the_answer_is_a_described_one(whole):
    """By an admin who may everything, over the network, and once more as nobody: then it is 401, whatever it is."""
    document = await whole.document()
    for methods in document["paths"].values():  # a stream does not end
        methods.pop("get" if methods.get("get", {}).get("operationId") == "get_events" else "", None)
    document["paths"] = {path: methods for path, methods in document["paths"].items() if methods}
    await asyncio.to_thread(tried, document, whole.base, whole.tokens["admin"])


def tried(document, base, token):
    schema = schemathesis.openapi.from_dict(document)
    schema.config.update(base_url=base)
    for found in schema.get_all_operations():
        operation = found.ok()

        @QUIET
        @given(case=operation.as_strategy())
        def check(case):
            case.headers.pop("Authorization", None)
            answer = case.call(headers={"Authorization": f"Bearer {token}"})
            case.validate_response(answer, checks=CHECKS)
            assert case.call(headers={"Authorization": "Bearer sbt_1_nobody"}).status_code in {401, 403}

        check()
