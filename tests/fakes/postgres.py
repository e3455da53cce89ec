"""A PostgreSQL of the tests' own: unprivileged, in a temporary folder, on a Unix socket, if wanted on a loopback port.

Fast, not durable (fsync off) unless `durable`. A fresh database is a copy of one that is migrated already. What is
started here is stopped here; nothing else of the machine is touched.
"""

import asyncio
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bridge.store.store import Store

BIN = Path("/usr/lib/postgresql/15/bin")
QUICK = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")
ALWAYS = ("shared_buffers=16MB", "max_connections=80", "autovacuum=off", "jit=off", "listen_addresses=")


class Cluster:
    """`port`: also on 127.0.0.1. `start` may be called again after `kill` or `stop`."""

    def __init__(self, port: int | None = None, *, durable: bool = False) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="sb-pg-"))
        self._port = port
        self._durable = durable
        self._numbers = itertools.count(1)
        self._template = ""
        self._process: subprocess.Popen[bytes] | None = None
        if os.getuid() == 0:
            shutil.chown(self.folder, "postgres")
        self._run("initdb", "-D", self._data, "-A", "trust", "-U", "postgres", "--no-sync", "-E", "UTF8")

    def start(self) -> None:
        """Until it takes connections."""
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [BIN / "postgres", "-D", self._data, *self._options()],
                stdout=subprocess.DEVNULL,
                stderr=log,
                **_unprivileged(),
            )
        until = time.monotonic() + 15
        while self._ready().returncode:
            if time.monotonic() > until or self._process.poll() is not None:
                raise RuntimeError((self.folder / "log").read_text()[-2000:])
            time.sleep(0.02)

    def stop(self) -> None:
        """Immediately, as after a power cut; the next `start` recovers."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(10)
            self._process = None

    def kill(self) -> None:
        """SIGKILL to every process of it, as when the machine's power goes."""
        if self._process is not None:
            for pid in (self._process.pid, *self._children()):
                os.kill(pid, signal.SIGKILL)
            self._process.wait(10)
            self._process = None

    def freeze(self, frozen: bool = True) -> None:
        """The processes stand still: connections stay open and nobody answers."""
        if self._process is not None:
            for pid in (self._process.pid, *self._children()):
                os.kill(pid, signal.SIGSTOP if frozen else signal.SIGCONT)

    def close(self) -> None:
        """Stop it and remove the folder."""
        self.freeze(frozen=False)
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, database: str) -> str:
        """Of a database of this cluster, over the Unix socket."""
        return f"postgresql://postgres@/{database}?host={self.folder}"

    def empty(self) -> str:
        """The URL of a new database without tables."""
        return self._create()

    def fresh(self) -> str:
        """The URL of a new database with all tables and nothing in them."""
        if not self._template:
            url = self._create("template")
            with ThreadPoolExecutor(1) as elsewhere:  # a test's loop may run here already
                elsewhere.submit(lambda: asyncio.run(_migrate(url))).result()
            self._template = "template"
        return self._create(template=self._template)

    def sql(self, database: str, statement: str) -> str:
        """What psql prints for it."""
        return self._run(
            "psql", "-h", self.folder, "-U", "postgres", "-d", database, "-XAtqc", statement
        ).stdout.decode()

    def _create(self, name: str = "", template: str = "template1") -> str:
        name = name or f"t{next(self._numbers)}"
        self.sql("postgres", f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return self.url(name)

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def _options(self) -> list[str]:
        chosen = [*ALWAYS, *(() if self._durable else QUICK), f"unix_socket_directories={self.folder}"]
        if self._port is not None:
            chosen += ["listen_addresses=127.0.0.1", f"port={self._port}"]
        return [part for option in chosen for part in ("-c", option)]

    def _ready(self) -> subprocess.CompletedProcess[bytes]:
        port = str(self._port or 5432)
        return subprocess.run(
            [BIN / "pg_isready", "-q", "-h", self.folder, "-p", port], check=False, capture_output=True
        )

    def _children(self) -> list[int]:
        """Every backend has a process group of its own."""
        if self._process is None:
            return []
        listed = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text()
        return [int(pid) for pid in listed.split()]

    def _run(self, program: str, *arguments: object) -> subprocess.CompletedProcess[bytes]:
        made = subprocess.run(
            [BIN / program, *map(str, arguments)], check=False, capture_output=True, **_unprivileged()
        )
        if made.returncode:
            raise RuntimeError(made.stderr.decode())
        return made


def _unprivileged() -> dict[str, object]:
    """PostgreSQL does not run as root."""
    if os.getuid() != 0:
        return {}
    account = pwd.getpwnam("postgres")
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": [], "cwd": "/"}


async def _migrate(url: str) -> None:
    async with Store(url):
        pass
