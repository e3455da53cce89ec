import asyncio
import contextlib
from http import HTTPStatus

import httpx
import pytest

from bridge.control_health import Metric, Page, render, serve

PAGES = {"/healthz": lambda: Page(HTTPStatus.OK, "application/json", '{"a": "ä"}')}


@pytest.fixture
async def port():
    async with serve("127.0.0.1", 0, PAGES) as number:
        yield number


async def talk(port, data):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    writer.write_eof()
    answer = await reader.read()
    writer.close()
    return answer


async def test_pages_are_served_to_a_client_nobody_here_wrote(port):
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        answer = await client.get("/healthz?verbose=1")
        assert (answer.status_code, answer.json()) == (200, {"a": "ä"})
        assert answer.headers["content-type"] == "application/json; charset=utf-8"
        assert (await client.head("/healthz")).content == b""
        missing = await client.get("/etc/passwd")
        assert (missing.status_code, missing.text) == (404, "there is /healthz\n")
        assert (await client.post("/healthz")).status_code == 405


@pytest.mark.parametrize("data", [b"", b"GET /healthz", b"x" * 20_000 + b"\r\n\r\n"])
async def test_who_asks_badly_gets_no_answer_and_harms_nobody(port, data):
    with contextlib.suppress(ConnectionError):
        assert await talk(port, data) == b""
    assert b"200 OK" in await talk(port, b"GET /healthz HTTP/1.0\r\n\r\n")
    assert b"405" in await talk(port, b"\xff\xfe\r\n\r\n")


def test_metrics_follow_the_text_format():
    families = [
        Metric("a_total", "counter", "Help.", (({}, 3.0),)),
        Metric("b", "gauge", "More.", (({"x": 'say "hi"\n\\'}, 0.5), ({"x": "2", "y": "z"}, 1e9))),
    ]
    assert render(families) == (
        "# HELP a_total Help.\n# TYPE a_total counter\na_total 3\n"
        '# HELP b More.\n# TYPE b gauge\nb{x="say \\"hi\\"\\n\\\\"} 0.5\nb{x="2",y="z"} 1000000000\n'
    )
