"""Runs Kamailio or rtpengine for the supervisor: their lines become ours, they die as one, and leave nothing behind.

    supervisor ──► python -m bridge.edge.daemon SPEC.json ──► setpriv … kamailio (a group of processes)
                        ▲ stderr, line by line                      │
                        └───────────────────────────────────────────┘

Kamailio is a dozen processes; when its first one dies the others would keep its ports. So they are one process group,
which is killed as a whole, also that of a wrapper that was killed itself (PR_SET_PDEATHSIG ends only the first
process; the rest are found by the file they were started with). Prints `ready: NAME` when it answers.
"""

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from bridge.edge.loglines import READERS
from bridge.edge.rpc import KamailioRpc
from bridge.errors import EdgeError
from bridge.records.log import configure

log = structlog.get_logger(__name__)

STOP_S = 4.0
"""After SIGTERM; then the whole group is killed."""
READY_EVERY_S = 0.1
MAX_LINE_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Spec:
    """What bridge/edge/prepare.py wrote. `ng_port`: where rtpengine is asked whether it is there.

    `pid_file`: gets the number of the program's first process, for whoever watches it from outside.
    """

    name: str
    argv: tuple[str, ...]
    config: str
    folder: str
    owner: int | None = None
    ng_port: int = 0
    log_level: str = "info"
    log_format: str = "console"
    redact: bool = True
    pid_file: str = ""


class Quiet:
    """At most `burst` lines at once and `per_s` a second: a flood of odd packets must not fill the disk.

    `now` is monotonic seconds.
    """

    def __init__(self, burst: int = 100, per_s: float = 10.0) -> None:
        self._burst, self._per_s = burst, per_s
        self._left, self._at = float(burst), 0.0
        self.dropped = 0

    def admits(self, now: float) -> bool:
        """Whether this line may be said."""
        self._left = min(self._burst, self._left + (now - self._at) * self._per_s)
        self._at = now
        if self._left < 1:
            self.dropped += 1
            return False
        self._left -= 1
        return True


class Daemon:
    """One life of the program."""

    def __init__(self, spec: Spec) -> None:
        self._spec = spec
        self._stopping = False
        self._quiet = Quiet()

    async def run(self) -> int:
        """Until it ends; 0 when it was asked to."""
        kill_leftovers(self._spec.config)
        try:
            process = await asyncio.create_subprocess_exec(
                *self._spec.argv,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,
                limit=MAX_LINE_BYTES,
            )
        except OSError as error:
            raise EdgeError(f"cannot start {self._spec.argv[0]}: {error.strerror}") from error
        self._note(f"{process.pid}\n")
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop, process)
        try:
            async with asyncio.TaskGroup() as tasks:
                lines = tasks.create_task(self._lines(process))
                ready = tasks.create_task(self._tell_ready())
                await _gone(process.pid)
                _kill_group(process.pid)
                status = await process.wait()
                await lines
                ready.cancel()
        finally:
            _kill_group(process.pid)
        if self._stopping:
            return 0
        log.error("edge.daemon_ended", program=self._spec.name, status=status)
        return 1

    def _stop(self, process: asyncio.subprocess.Process) -> None:
        self._stopping = True
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        asyncio.get_running_loop().call_later(STOP_S, _kill_group, process.pid)

    async def _lines(self, process: asyncio.subprocess.Process) -> None:
        read = READERS[self._spec.name]
        stream = process.stdout
        while stream is not None:
            try:
                line = await stream.readline()
            except ValueError:  # a line longer than the limit was thrown away
                continue
            if not line:
                return
            if self._stopping:  # a dozen processes say that the others are gone
                continue
            said = read(line.decode("utf-8", "replace").rstrip())
            if said.event.startswith("edge.") or self._quiet.admits(time.monotonic()):
                dropped, self._quiet.dropped = self._quiet.dropped, 0
                if dropped:
                    log.warning("edge.lines_dropped", lines=dropped)
                getattr(log, said.level)(said.event, **said.fields)

    def _note(self, text: str) -> None:
        if self._spec.pid_file:
            with contextlib.suppress(OSError):
                Path(self._spec.pid_file).write_text(text, encoding="ascii")

    async def _tell_ready(self) -> None:
        while not await self._answers():  # noqa: ASYNC110  # another process's socket
            await asyncio.sleep(READY_EVERY_S)
        print(f"ready: {self._spec.name}", flush=True)  # noqa: T201  # the supervisor reads it

    async def _answers(self) -> bool:
        if self._spec.ng_port:
            return await asyncio.to_thread(_has_udp, self._spec.ng_port)
        try:
            await KamailioRpc(Path(self._spec.folder), owner=self._spec.owner, answer_s=0.5).ask(
                "core.uptime"
            )
        except EdgeError:
            return False
        return True


async def _gone(pid: int) -> None:
    """Until the first process has ended; `Process.wait` would wait for the others too, as they hold its pipe."""
    ended = asyncio.Event()
    with contextlib.suppress(ProcessLookupError):
        handle = os.pidfd_open(pid)
        loop = asyncio.get_running_loop()
        loop.add_reader(handle, ended.set)
        try:
            await ended.wait()
        finally:
            loop.remove_reader(handle)
            os.close(handle)


def kill_leftovers(config: str) -> None:
    """End processes of an earlier life, known by the configuration file that only they have."""
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit() or int(folder.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            if config.encode() in (folder / "cmdline").read_bytes().split(b"\0"):
                os.kill(int(folder.name), signal.SIGKILL)


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _has_udp(port: int) -> bool:
    with contextlib.suppress(OSError):
        return f":{port:04X} 00000000:0000" in Path("/proc/net/udp").read_text(encoding="ascii")
    return True


def main(arguments: Sequence[str]) -> int:
    """`python -m bridge.edge.daemon SPEC.json`."""
    data: dict[str, Any] = json.loads(Path(arguments[0]).read_text(encoding="utf-8"))
    spec = Spec(**{**data, "argv": tuple(data["argv"])})
    configure(spec.log_level, spec.log_format, redact=spec.redact, process=spec.name)  # type: ignore[arg-type]
    try:
        return asyncio.run(Daemon(spec).run())
    except EdgeError as error:
        log.error("edge.daemon_not_started", program=spec.name, reason=str(error))  # noqa: TRY400
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
