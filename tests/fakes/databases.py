"""SQLite files with all tables and nothing in them, copied: fourteen revisions cost a tenth of a second each time."""

import asyncio
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

from bridge.store.store import Store


def migrated(path):
    """The URL of the database in this file; where there is none yet, of a new one."""
    if not Path(path).exists():
        Path(path).write_bytes(_empty())
    return f"sqlite:///{path}"


@cache
def _empty():
    with (
        tempfile.TemporaryDirectory() as folder,
        ThreadPoolExecutor(1) as elsewhere,
    ):  # a loop may run here already
        elsewhere.submit(lambda: asyncio.run(_make(f"sqlite:///{folder}/empty.db"))).result()
        return (Path(folder) / "empty.db").read_bytes()


async def _make(url):
    async with Store(url):
        pass
