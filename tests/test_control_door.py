import asyncio
import contextlib
import os
import stat

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from bridge.control_door import ACCOUNT, MAX_HEAD_BYTES, serve, serve_unix


async def who(request):
    return JSONResponse(
        {"client": request.client and list(request.client), "account": request.scope["state"].get(ACCOUNT)}
    )


APP = Starlette(routes=[Route("/who", who)])


@pytest.fixture
async def port():
    async with serve(APP, "127.0.0.1", 0) as number:
        yield number


async def talk(port, data):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    writer.write_eof()
    answer = await reader.read()
    writer.close()
    return answer


@pytest.mark.parametrize(
    ("data", "answered"),
    [
        (b"", False),
        (b"GET /who", False),
        (b"x" * 2 * MAX_HEAD_BYTES + b"\r\n\r\n", True),
        (b"\xff\r\n\r\n", True),
    ],
)
async def test_who_asks_badly_gets_400_or_nothing_and_harms_nobody(port, data, answered):
    with contextlib.suppress(ConnectionError):
        assert (b" 400 " in await talk(port, data)) is answered
    assert b"200 OK" in await talk(port, b"GET /who HTTP/1.0\r\n\r\n")


async def test_a_connection_is_for_one_request(port):
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        for _ in range(2):
            answer = await client.get("/who")
            assert answer.json()["client"][0] == "127.0.0.1"
            assert answer.headers["connection"] == "close"


async def test_a_taken_port_is_an_os_error(port):
    with pytest.raises(OSError, match="address already in use"):
        async with serve(APP, "127.0.0.1", port):
            pass


async def test_the_unix_socket_says_whose_process_asks_and_is_for_our_account_only(tmp_path):
    path = tmp_path / "api.sock"
    path.touch()
    path.unlink()
    async with serve_unix(APP, path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        async with httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(uds=str(path))) as client:
            assert (await client.get("http://control/who")).json()["account"] == os.geteuid()
    assert not path.exists()


async def test_a_socket_left_behind_by_a_killed_process_is_no_obstacle(tmp_path):
    path = tmp_path / "api.sock"
    server = await asyncio.start_unix_server(lambda *_: None, str(path))
    server.close()
    assert path.exists()
    async with (
        serve_unix(APP, path),
        httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(uds=str(path))) as client,
    ):
        assert (await client.get("http://control/who")).status_code == 200


FORGED = {"x-forwarded-for": "account", "x-forwarded-proto": "https", "x-real-ip": "account"}


async def test_no_header_changes_who_asks(port, tmp_path):
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        said = (await client.get("/who", headers=FORGED)).json()
    assert (said["client"][0], said["account"]) == ("127.0.0.1", None)
    path = tmp_path / "api.sock"
    async with (
        serve_unix(APP, path),
        httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(uds=str(path))) as client,
    ):
        said = (await client.get("http://control/who", headers=FORGED)).json()
    assert said["account"] == os.geteuid()
    assert said["client"] is None or "account" not in said["client"]
