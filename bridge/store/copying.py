"""A copy of the whole database as one file, made while it is in use, and the way back.

SQLite: its online backup (sqlite.org/backup.html), all pages in one step: one moment, and in WAL mode no writer waits.
PostgreSQL: pg_dump in its custom form, one snapshot; back by pg_restore in one transaction, so that what is there is
replaced altogether or not at all. A password goes by the environment, never by the command line. Blocking.
"""

import contextlib
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from bridge.errors import StoreError
from bridge.store.database import POSTGRESQL, parsed

SQLITE_FILE, POSTGRES_FILE = "database.sqlite", "database.dump"
TOOL_S = 3600.0
"""The longest that pg_dump or pg_restore may take."""
DEBIAN_TOOLS = "/usr/lib/postgresql"
_VARIABLES = {
    "host": "PGHOST",
    "port": "PGPORT",
    "username": "PGUSER",
    "password": "PGPASSWORD",
    "database": "PGDATABASE",
}


def file_name(url: str) -> str:
    """What the copy of this store is called, and by that of which kind it is."""
    return POSTGRES_FILE if parsed(url).get_backend_name() == POSTGRESQL else SQLITE_FILE


def copy(url: str, target: Path) -> None:
    """Write the copy. StoreError: it cannot be had, or is not whole; OSError: no room."""
    if file_name(url) == POSTGRES_FILE:
        _run("pg_dump", url, ["--format=custom", "--no-owner", "--no-privileges", f"--file={target}"])
        return
    source = Path(url.removeprefix("sqlite:///"))
    if not source.exists():
        raise StoreError(f"there is no database {source}")
    with (
        _sqlite_errors(f"{source} cannot be copied"),
        contextlib.closing(sqlite3.connect(source)) as live,
        contextlib.closing(sqlite3.connect(target)) as out,
    ):
        live.execute("PRAGMA busy_timeout=5000")
        live.backup(out, pages=-1)
    check(target)


def check(copied: Path) -> None:
    """StoreError: the copy of an SQLite database is not whole."""
    with (
        _sqlite_errors(f"{copied.name} is no database"),
        contextlib.closing(sqlite3.connect(copied)) as database,
    ):
        (said,) = database.execute("PRAGMA quick_check(1)").fetchone()
        database.execute("PRAGMA journal_mode=DELETE")  # no -wal file beside it
    if said != "ok":
        raise StoreError(f"{copied.name} is damaged: {said}")


def put_back(url: str, copied: Path) -> None:
    """Replace what is in a PostgreSQL database by the copy, all of it or nothing. SQLite's file is just moved."""
    wanted = [
        "--clean",
        "--if-exists",
        "--no-owner",
        "--no-privileges",
        "--single-transaction",
        "--exit-on-error",
    ]
    _run("pg_restore", url, [*wanted, f"--dbname={parsed(url).database}", str(copied)])


def _run(tool: str, url: str, options: list[str]) -> None:
    path = _tool(tool)
    try:
        done = subprocess.run(  # noqa: S603  # a fixed program
            [path, *options],
            env=_environment(url),
            capture_output=True,
            text=True,
            timeout=TOOL_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise StoreError(f"{tool} took longer than {TOOL_S:g} s") from error
    if done.returncode:
        raise StoreError(f"{tool}: {done.stderr.strip()[-500:]}")


def _tool(name: str) -> str:
    """Debian keeps a version of each beside the common one, which cannot read a newer server: the newest wins."""
    found = sorted(
        Path(DEBIAN_TOOLS).glob(f"*/bin/{name}"),
        key=lambda path: int(path.parts[4]) if path.parts[4].isdigit() else 0,
    )
    path = str(found[-1]) if found else shutil.which(name)
    if path is None:
        raise StoreError(f"{name} is not installed: apt-get install postgresql-client")
    return path


def _environment(url: str) -> Mapping[str, str]:
    """Libpq's variables for a URL of ours (postgresql.org/docs/current/libpq-envars.html)."""
    parts = parsed(url)
    values = {name: str(value) for key, name in _VARIABLES.items() if (value := getattr(parts, key))}
    for key, value in parts.query.items():
        if key in {"host", "port", "sslmode"}:
            values[f"PG{key.upper()}"] = value if isinstance(value, str) else ",".join(value)
    return {"PATH": os.environ.get("PATH", ""), "LANG": "C.UTF-8", "PGCONNECT_TIMEOUT": "10", **values}


@contextlib.contextmanager
def _sqlite_errors(doing: str) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise StoreError(f"{doing}: {error}") from error
