"""What the console's lists share that people search (history, audit): bounds, links, files of what was found.

A file is streamed, bounded in rows, in time and in number. One that could not be finished ends in a broken transfer,
never as if it were whole.
"""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar
from urllib.parse import urlencode

from starlette.responses import Response, StreamingResponse

from bridge.console.texts import text
from bridge.console.web import ROOT, PageError
from bridge.errors import StoreError
from bridge.localday import midnight
from bridge.records.export import FORMATS

DAY_S = 86_400.0
After = TypeVar("After")
Read = Callable[[After | None, int], Awaitable[tuple[str, int, After | None]]]
"""(place, most) -> the rows from there on as text, how many these are, and the place of those that follow."""


@dataclass(frozen=True, slots=True)
class ListLimits:
    """Rows on a page; of a file the rows read at a time, rows altogether, and seconds; files at a time."""

    page: int = 50
    file_page: int = 500
    file: int = 100_000
    file_s: float = 600.0
    files: int = 2


class Files:
    """Files that are being made now."""

    def __init__(self, limits: ListLimits) -> None:
        self._limits = limits
        self._open = 0

    def room(self) -> None:
        """PageError: so many are being made that another one has to wait."""
        if self._open >= self._limits.files:
            raise PageError(503, text("history.busy"))

    def answer(self, what: str, kind: str, read: Read[After], head: str = "") -> Response:
        """`kind`: of FORMATS. `what` is in its name, `head` its first line."""
        name = f"{what}-{datetime.now().astimezone():%Y%m%d-%H%M%S}.{kind}"
        headers = {"content-disposition": f'attachment; filename="{name}"'}
        return StreamingResponse(self._body(read, head), media_type=FORMATS[kind], headers=headers)

    async def _body(self, read: Read[After], head: str) -> AsyncIterator[str]:
        self._open += 1
        limits, after = self._limits, None
        until_s, left = time.monotonic() + limits.file_s, limits.file
        try:
            yield head
            while left > 0:
                rows, count, after = await read(after, min(limits.file_page, left))
                yield rows
                left -= count
                if after is None:
                    return
                if time.monotonic() >= until_s:
                    raise StoreError(f"an export took longer than {limits.file_s:g} s")
        finally:
            self._open -= 1


def link(path: str, **query: str) -> str:
    """A page of the console with a query."""
    return f"{ROOT}{path}" + (f"?{urlencode(query)}" if query else "")


def lately(path: str, now: float) -> list[tuple[str, str]]:
    """(words, link) of searches for what was today, and in the last day and week. `now`: unix seconds."""
    times = (
        ("history.today", midnight(now)),
        ("history.day", now - DAY_S),
        ("history.week", now - 7 * DAY_S),
    )
    return [(text(name), link(path, since=_local(since))) for name, since in times]


def _local(at: float) -> str:
    return datetime.fromtimestamp(at).astimezone().replace(tzinfo=None).isoformat(timespec="minutes")
