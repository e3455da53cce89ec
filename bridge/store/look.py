"""A look at the database from outside: is it there, of which revision, how quick. For `sipbridge doctor` and backups.

Opens a connection of its own and changes nothing: no migration, no table, not even an empty file.
"""

import time
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from bridge.errors import StoreError
from bridge.store.database import Database, DatabaseOptions, shown
from bridge.store.migrate import revisions
from bridge.store.store import database_of

ROUNDS = 5
SQLITE = "sqlite:///"
_SIZE = "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()"


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen. `error`: why nothing was; `revision` None: no tables; `latency_ms`: the middle of five questions.

    `works_from`: the oldest revision of a program that this database says it can be used by.
    """

    url: str
    head: str
    known: tuple[str, ...]
    error: str = ""
    revision: str | None = None
    works_from: str | None = None
    latency_ms: float = 0.0
    size_bytes: int | None = None
    open_calls: int = 0
    calls: int = 0
    newest_call_at: float | None = None


async def look(url: str, options: DatabaseOptions | None = None) -> Look:
    """Never raises."""
    head, known = revisions()
    nothing = Look(shown(url), head, known)
    if url.startswith(SQLITE) and not Path(url.removeprefix(SQLITE)).exists():  # noqa: ASYNC240  # a stat
        return nothing
    try:
        database = database_of(url, options or DatabaseOptions())
    except StoreError as error:
        return Look(nothing.url, head, known, error=str(error))
    try:
        times = []
        for _ in range(ROUNDS):
            began = time.perf_counter()
            await database.run("cannot ask", lambda it: it.execute(sa.text("SELECT 1")).all())
            times.append(time.perf_counter() - began)
        return await _seen(database, nothing, sorted(times)[ROUNDS // 2] * 1000)
    except StoreError as error:
        return Look(nothing.url, head, known, error=str(error))
    finally:
        await database.close()


async def _seen(database: Database, nothing: Look, latency_ms: float) -> Look:
    def work(connection: sa.Connection) -> Look:
        def one(text: str) -> float | int | str | None:
            value: float | int | str | None = connection.execute(sa.text(text)).scalar()
            return value

        size = int(one(_SIZE) or 0) if connection.dialect.name == "sqlite" else None
        tables = set(sa.inspect(connection).get_table_names())
        if "alembic_version" not in tables:
            return Look(nothing.url, nothing.head, nothing.known, latency_ms=latency_ms, size_bytes=size)
        revision, newest = (
            one("SELECT version_num FROM alembic_version"),
            one("SELECT max(started_at) FROM calls"),
        )
        works = one("SELECT works_from FROM schema_state") if "schema_state" in tables else None
        return Look(
            nothing.url,
            nothing.head,
            nothing.known,
            revision=str(revision) if revision else None,
            works_from=str(works) if works else None,
            latency_ms=latency_ms,
            size_bytes=size,
            open_calls=int(one("SELECT count(*) FROM calls WHERE ended_at IS NULL") or 0),
            calls=int(one("SELECT count(*) FROM calls") or 0),
            newest_call_at=float(newest) if newest else None,
        )

    return await database.run("cannot look at the store", work)
