"""`sipbridge calls export`: records as CSV or JSON lines, by the same filter and in the same form as the console's.

Reads the store beside a running bridge or without one, page by page; the audit says who did. Not worker-safe.
"""

import asyncio
import sys
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer

from bridge.cli.calls_keep import deeds_of
from bridge.cli.identity import with_store
from bridge.errors import StoreError
from bridge.records.export import FORMATS, head, lines
from bridge.records.search import Filter, read
from bridge.settings import Settings
from bridge.store.historystore import HistoryStore
from bridge.store.store import Store
from bridge.store.userstore import User

PAGE = 500
Config = Annotated[Path | None, typer.Option("--config", help="Settings file.", envvar="SIPBRIDGE_CONFIG")]


def export(
    where: Annotated[
        list[str] | None,
        typer.Argument(
            help="NAME=VALUE: since, until, number, outcome, direction, ended_by, reason, route, agent, node, "
            "shortest_s, longest_s, words; approvals=1, trouble=1, barge_ins=1."
        ),
    ] = None,
    kind: Annotated[str, typer.Option("--format", help="csv or jsonl.")] = "csv",
    output: Annotated[
        Path | None, typer.Option("--output", help="A file; standard output when left out.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="The newest so many.")] = 1_000_000,
    config: Config = None,
) -> None:
    """The records of calls that fit, the newest first."""
    if kind not in FORMATS:
        raise StoreError(f"--format is {' or '.join(FORMATS)}, not {kind!r}")
    wanted = wanted_of(where or [])

    async def work(store: Store, settings: Settings, me: User) -> str:
        facts: dict[str, Any] = {"kind": kind, "filter": wanted.told(), "personal": True, "via": "cli"}
        await (await deeds_of(store, settings)).note("calls_exported", me.name, **facts)
        if output is None:
            await _write(HistoryStore(store), wanted, kind, limit, sys.stdout)
            return ""
        with await asyncio.to_thread(output.open, "w", encoding="utf-8", newline="") as file:
            count = await _write(HistoryStore(store), wanted, kind, limit, file)
        return f"{count} calls in {output}"

    if said := with_store(config, "personal", work):
        typer.echo(said)


def wanted_of(where: list[str]) -> Filter:
    """The filter of NAME=VALUE words. StoreError: one of them is none."""
    given = {}
    for word in where:
        name, sign, value = word.partition("=")
        if not sign or name not in Filter.__dataclass_fields__:
            raise StoreError(
                f"{word!r} is no filter: NAME=VALUE, such as route=desk (sipbridge calls export --help)"
            )
        given[name] = value
    wanted, wrong = read(given)
    if wrong:
        raise StoreError(f"not understood: {', '.join(f'{name}={given[name]}' for name in wrong)}")
    return wanted


async def _write(store: HistoryStore, wanted: Filter, kind: str, limit: int, file: TextIO) -> int:
    file.write(head(kind, personal=True))
    count, after = 0, None
    while count < limit:
        found = await store.page(wanted, after, min(PAGE, limit - count))
        file.write(lines(found.records, kind, personal=True))
        count, after = count + len(found.records), found.next
        if after is None:
            break
    return count


def add_to(app: typer.Typer) -> None:
    """Under `sipbridge calls`."""
    app.command()(export)
