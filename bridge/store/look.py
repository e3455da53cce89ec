"""A look at the database from outside: is it there, of which revision, how quick. For `sipbridge doctor` and backups.

Opens a connection of its own and changes nothing: no migration, no table. Blocking.
"""

import time
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from bridge.errors import StoreError
from bridge.store.migrate import revisions
from bridge.store.store import SQLITE, engine_of, shown

ROUNDS = 5
PAGE = "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()"


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen. `error`: why nothing was; `revision` None: no tables; `latency_ms`: the middle of five questions."""

    url: str
    head: str
    known: tuple[str, ...]
    error: str = ""
    revision: str | None = None
    latency_ms: float = 0.0
    size_bytes: int | None = None
    open_calls: int = 0
    calls: int = 0
    newest_event_at: float | None = None


def look(url: str) -> Look:
    """Never raises."""
    head, known = revisions()
    if url.startswith(SQLITE) and not Path(url.removeprefix(SQLITE)).exists():
        return Look(shown(url), head, known)
    try:
        engine = engine_of(url)
        try:
            return _look(engine, Look(shown(url), head, known))
        finally:
            engine.dispose()
    except (SQLAlchemyError, StoreError, OSError) as error:
        return Look(shown(url), head, known, error=str(getattr(error, "orig", None) or error))


def _look(engine: sa.Engine, known: Look) -> Look:
    with engine.connect() as connection:
        times = []
        for _ in range(ROUNDS):
            began = time.perf_counter()
            connection.execute(sa.text("SELECT 1")).all()
            times.append(time.perf_counter() - began)
        sqlite = engine.dialect.name == "sqlite"
        size = connection.execute(sa.text(PAGE)).scalar_one() if sqlite else None
        tables = sa.inspect(connection).get_table_names()
        if "alembic_version" not in tables:
            return Look(known.url, known.head, known.known, latency_ms=_middle_ms(times), size_bytes=size)

        def one(text: str) -> float | int | str | None:
            value: float | int | str | None = connection.execute(sa.text(text)).scalar()
            return value

        revision = one("SELECT version_num FROM alembic_version")
        newest = one("SELECT max(started_at) FROM calls")
        return Look(
            known.url,
            known.head,
            known.known,
            revision=str(revision) if revision else None,
            latency_ms=_middle_ms(times),
            size_bytes=size,
            open_calls=int(one("SELECT count(*) FROM calls WHERE ended_at IS NULL") or 0),
            calls=int(one("SELECT count(*) FROM calls") or 0),
            newest_event_at=float(newest) if newest else None,
        )


def _middle_ms(times: list[float]) -> float:
    return sorted(times)[len(times) // 2] * 1000
