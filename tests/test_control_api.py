"""Who asks, what they may do, and that nobody asks too much; over real sockets and a real store."""

import asyncio
import os
import pwd
import time
from contextlib import asynccontextmanager
from http import HTTPStatus

import httpx
import pytest
from starlette.requests import Request

from bridge.control_api import MAX_BODY_BYTES, ApiError, Door, application, get, owner, post
from bridge.control_api_docs import Doc
from bridge.control_api_rate import Buckets
from bridge.control_door import ACCOUNT, serve, serve_unix
from bridge.control_health import Page
from bridge.errors import StoreError
from bridge.store.store import Store
from bridge.store.userstore import User, UserStore

PAGES = {"/healthz": lambda _accept: Page(HTTPStatus.OK, "application/json", '{"a": "ä"}')}
ME = pwd.getpwuid(os.geteuid()).pw_name


ERRORS = {"api": ApiError(422, "no", why=1), "bridge": StoreError("full"), "bug": KeyError("x")}


async def echo(call):
    if "raise" in call.body:
        raise {"api": ApiError(422, "no", why=1), "bridge": StoreError("full"), "bug": KeyError("x")}[
            call.body["raise"]
        ]
    return {"user": call.user.name, "how": call.how, "path": dict(call.path), "body": dict(call.body)}


SAID = Doc("Says what it was asked.")
ROUTES = [get("/api/v1/look/{what}", "look", echo, SAID), post("/api/v1/do", "dialplan", echo, SAID)]


class Server:
    """Both doors, and clients of them."""

    def __init__(self, folder, users, port):
        self.folder, self.users = folder, users
        self.port = port

    async def token(self, *roles, name="ann", expires_at=None):
        await self.users.put(User(name, frozenset(roles), frozenset()))
        return await self.users.give_token(name, "test", expires_at)

    async def tcp(self, method, path, token="", **options):
        headers = {**({"authorization": f"Bearer {token}"} if token else {}), **options.pop("headers", {})}
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.port}") as client:
            return await client.request(method, path, headers=headers, **options)

    async def unix(self, method, path, **options):
        transport = httpx.AsyncHTTPTransport(uds=str(self.folder / "api.sock"))
        async with httpx.AsyncClient(transport=transport, base_url="http://control") as client:
            return await client.request(method, path, **options)


@asynccontextmanager
async def running(folder, rate=None):
    async with Store(f"sqlite:///{folder}/x.db") as store:
        users = UserStore(store)
        app = application(PAGES, ROUTES, Door(users, owner(folder)), ["Bridge.example"], rate)
        async with serve(app, "127.0.0.1", 0) as port, serve_unix(app, folder / "api.sock"):
            yield Server(folder, users, port)


@pytest.fixture
async def server(tmp_path):
    async with running(tmp_path) as found:
        yield found


async def test_pages_are_served_as_ever_to_a_client_nobody_here_wrote(server):
    answer = await server.tcp("GET", "/healthz?verbose=1")
    assert (answer.status_code, answer.json()) == (200, {"a": "ä"})
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    assert (await server.tcp("HEAD", "/healthz")).content == b""
    for path in ("/etc/passwd", "/healthz/", "/"):
        missing = await server.tcp("GET", path)
        assert (missing.status_code, missing.text) == (404, "there is /healthz\n")
    wrong = await server.tcp("POST", "/healthz")
    assert (wrong.status_code, wrong.text) == (405, "only GET\n")


async def test_over_tcp_a_token_says_who_asks(server):
    token = await server.token("viewer")
    answer = await server.tcp("GET", "/api/v1/look/x", token)
    assert answer.json() == {"user": "ann", "how": "API", "path": {"what": "x"}, "body": {}}


@pytest.mark.parametrize("value", ["", "Bearer", "Bearer sbt_1_x", "Basic YTpi", "Bearer sbt__"])
async def test_without_a_good_token_there_is_nothing_over_tcp(server, value):
    answer = await server.tcp("GET", "/api/v1/look/x", headers={"authorization": value})
    assert answer.status_code == 401
    assert "token" in answer.json()["error"]


@pytest.mark.parametrize("name", ["x-forwarded-for", "x-real-ip", "forwarded"])
@pytest.mark.parametrize("value", ["account", ACCOUNT, "for=account"])
async def test_no_header_makes_a_stranger_of_the_tcp_door_an_account_of_the_machine(server, name, value):
    answer = await server.tcp("POST", "/api/v1/do", headers={name: value}, json={})
    assert answer.status_code == 401
    answer = await server.unix("POST", "/api/v1/do", headers={name: value}, json={})
    assert (answer.json()["user"], answer.json()["how"]) == (ME, "CLI")


async def test_an_expired_token_and_a_disabled_user_are_nobody(server):
    expired = await server.token("admin", expires_at=time.time() - 1)
    assert (await server.tcp("GET", "/api/v1/look/x", expired)).status_code == 401
    token = await server.token("admin", name="bob")
    await server.users.put(User("bob", frozenset({"admin"}), frozenset(), disabled=True))
    assert (await server.tcp("GET", "/api/v1/look/x", token)).status_code == 401


@pytest.mark.parametrize(
    ("role", "status"), [("viewer", 403), ("approver", 403), ("operator", 200), ("admin", 200)]
)
async def test_changing_takes_an_operator_or_an_admin(server, role, status):
    token = await server.token(role)
    answer = await server.tcp("POST", "/api/v1/do", token, json={"x": 1})
    assert answer.status_code == status
    if status == 403:
        assert (
            answer.json()["error"] == f"ann ({role}) may not: this takes admin or operator (sipbridge users)"
        )


async def test_over_the_unix_socket_the_owner_of_the_state_folder_may_everything(server):
    answer = await server.unix("POST", "/api/v1/do", json={})
    assert (answer.json()["user"], answer.json()["how"]) == (ME, "CLI")


async def test_a_token_wins_over_the_account(server):
    token = await server.token("viewer")
    answer = await server.unix("POST", "/api/v1/do", headers={"authorization": f"Bearer {token}"})
    assert answer.status_code == 403
    assert answer.json()["error"].startswith("ann (viewer) may not")


async def test_another_account_of_the_machine_must_be_a_user(tmp_path):
    nobody = pwd.getpwnam("nobody")
    request = Request({"type": "http", "headers": [], "state": {ACCOUNT: nobody.pw_uid}})
    async with Store(f"sqlite:///{tmp_path}/x.db") as store:
        users = UserStore(store)
        door = Door(users, 12345)
        with pytest.raises(ApiError, match="nobody is no user of the bridge"):
            await door.who(request)
        await users.put(User("nobody", frozenset({"operator"}), frozenset()))
        assert (await door.who(request)).roles == {"operator"}
        assert (await Door(users, nobody.pw_uid).who(request)).roles == {"operator", "admin"}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"sec-fetch-site": "same-origin"}, 200),
        ({"origin": "http://127.0.0.1:{port}"}, 200),
        ({"host": "evil.example"}, 403),
        ({"host": "evil.example:{port}", "origin": "http://evil.example:{port}"}, 403),
        ({"host": "LocalHost:{port}"}, 200),
        ({"host": "bridge.example"}, 200),
        ({"host": "[::1]:{port}"}, 200),
        ({"content-type": "text/plain"}, 415),
        ({"content-type": "application/x-www-form-urlencoded"}, 415),
    ],
)
async def test_what_a_page_of_another_site_can_send_is_refused(server, headers, status):
    token = await server.token("admin")
    headers = {name: value.format(port=server.port) for name, value in headers.items()}
    body = {"content-type": "application/json", **headers}
    answer = await server.tcp("POST", "/api/v1/do", token, headers=body, content=b"{}")
    assert answer.status_code == status
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    ("content", "status", "word"),
    [
        (b"", 200, ""),
        (b"{", 400, "not JSON"),
        (b"[1]", 400, "JSON object"),
        (b"[" * 60_000, 400, "not JSON"),
        (b"\xff", 400, "not JSON"),
        (b'{"x": "' + b"a" * MAX_BODY_BYTES + b'"}', 413, "longer than"),
    ],
)
async def test_a_body_is_a_json_object_of_bounded_size(server, content, status, word):
    answer = await server.unix(
        "POST", "/api/v1/do", content=content, headers={"content-type": "application/json"}
    )
    assert answer.status_code == status
    assert word in answer.json().get("error", "")


async def test_a_body_without_end_is_cut_off(server):
    async def endless():
        while True:
            yield b"x" * 10_000

    async with asyncio.timeout(10):
        try:
            answer = await server.unix("POST", "/api/v1/do", content=endless())
        except httpx.TransportError:
            return
        assert answer.status_code == 413


@pytest.mark.parametrize(
    ("what", "status", "body"),
    [
        ("api", 422, {"error": "no", "why": 1}),
        ("bridge", 503, {"error": "full"}),
        ("bug", 500, {"error": "internal error of control"}),
    ],
)
async def test_what_a_handler_raises_is_json(server, what, status, body):
    answer = await server.unix("POST", "/api/v1/do", json={"raise": what})
    assert (answer.status_code, answer.json()) == (status, body)


async def test_what_is_not_there_is_json_below_api(server):
    answer = await server.tcp("GET", "/api/v1/nothing")
    assert (answer.status_code, answer.json()) == (404, {"error": "there is no such thing here"})
    answer = await server.tcp("GET", "/api/v1/do")
    assert (answer.status_code, answer.json()) == (405, {"error": "not with this method"})


async def test_a_refusal_carries_what_its_status_needs(server):
    """RFC 9110: 401 says how to prove who one is, 405 what is allowed."""
    assert (await server.tcp("GET", "/api/v1/look/x")).headers["www-authenticate"] == "Bearer"
    assert "POST" in (await server.tcp("GET", "/api/v1/do")).headers["allow"]


async def test_a_token_that_asks_too_often_is_told_to_wait_and_no_other_one(tmp_path):
    async with running(tmp_path, Buckets(per_s=0.001, burst=2)) as server:
        ann, bob = await server.token("viewer"), await server.token("viewer", name="bob")
        answers = [await server.tcp("GET", "/api/v1/look/x", ann) for _ in range(3)]
        assert [one.status_code for one in answers] == [200, 200, 429]
        assert answers[-1].headers["retry-after"] == "1"
        assert (await server.tcp("GET", "/api/v1/look/x", bob)).status_code == 200
        assert (await server.unix("GET", "/api/v1/look/x")).status_code == 200
        assert (await server.unix("GET", "/api/v1/look/x")).status_code == 200
        assert (await server.unix("GET", "/api/v1/look/x")).status_code == 200  # this machine's own commands
