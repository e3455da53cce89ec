"""A second node's store."""

import contextlib

from bridge.store.store import Store


@contextlib.asynccontextmanager
async def another(store, url):
    """Of the same database; an SQLite file has one process, so there it is the same store."""
    if url.startswith("sqlite"):
        yield store
        return
    async with Store(url) as other:
        yield other
