"""The HTTP door of control: GET /healthz and GET /metrics, nothing else. For load balancers and Prometheus.

Small on purpose: one request a connection, no keep-alive, a bound on the request and a deadline on
everything. The text is made by the functions it is given; it holds no numbers itself. Runs on control's
loop. Metrics: text format 0.0.4 (prometheus.io/docs/instrumenting/exposition_formats).
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus

REQUEST_DEADLINE_S = 5.0
MAX_REQUEST_BYTES = 8192
_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


@dataclass(frozen=True, slots=True)
class Page:
    """One answer."""

    status: HTTPStatus
    content_type: str
    text: str


Pages = Mapping[str, Callable[[], Page]]


@dataclass(frozen=True, slots=True)
class Metric:
    """One family: `samples` are (labels, value)."""

    name: str
    kind: str
    help: str
    samples: tuple[tuple[Mapping[str, str], float], ...]


def render(metrics: Iterable[Metric]) -> str:
    """Prometheus' text format."""
    lines: list[str] = []
    for metric in metrics:
        lines += [f"# HELP {metric.name} {metric.help}", f"# TYPE {metric.name} {metric.kind}"]
        lines += [f"{metric.name}{_labels(labels)} {value:.10g}" for labels, value in metric.samples]
    return "\n".join(lines) + "\n"


@contextlib.asynccontextmanager
async def serve(host: str, port: int, pages: Pages) -> AsyncIterator[int]:
    """Serve the pages inside the with block; gives the port. OSError when it is taken."""

    async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(REQUEST_DEADLINE_S):
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(_respond(head, pages))
                await writer.drain()
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # whoever asked so badly gets no answer
        finally:
            writer.close()

    server = await asyncio.start_server(connection, host, port, limit=MAX_REQUEST_BYTES)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


def _respond(head: bytes, pages: Pages) -> bytes:
    words = head.split(b"\r\n", 1)[0].decode("latin-1").split()
    method, target = words[:2] if len(words) == 3 else ("", "")
    page = pages.get(target.split("?")[0])
    if method not in {"GET", "HEAD"}:
        answer = Page(HTTPStatus.METHOD_NOT_ALLOWED, "text/plain", "only GET\n")
    elif page is None:
        answer = Page(HTTPStatus.NOT_FOUND, "text/plain", "there is " + " and ".join(pages) + "\n")
    else:
        answer = page()
    body = answer.text.encode()
    lines = (
        f"HTTP/1.1 {answer.status.value} {answer.status.phrase}",
        f"Content-Type: {answer.content_type}; charset=utf-8",
        f"Content-Length: {len(body)}",
        "Connection: close",
        "\r\n",
    )
    return "\r\n".join(lines).encode() + (b"" if method == "HEAD" else body)


def _labels(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    escaped = (f'{name}="{value.translate(_ESCAPES)}"' for name, value in labels.items())
    return "{" + ",".join(escaped) + "}"
