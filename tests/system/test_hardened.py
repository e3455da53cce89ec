"""The bridge under what its unit allows: those system calls only, no rights, a read-only disk; and it tells systemd.

Stands for a run under systemd, which is not here: the kernel is told the same (tests/fakes/hardened.py), and a socket
of the test hears what systemd would hear.
"""

import asyncio
import os
import shutil
import signal
import socket
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bridge.cli.demo import environment, said_address
from tests.fakes import hardened
from tests.fakes.hardened import ACCOUNT
from tests.system.test_tools import sipbridge

ROOT = Path(__file__).parents[2]
pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else"),
]


@pytest.fixture
def folder():
    """Where the account may write; not below pytest's folder, which is for root only."""
    path = Path("/tmp", f"sb-hard-{os.getpid()}")
    path.mkdir(mode=0o700)
    os.chown(path, ACCOUNT, ACCOUNT)
    yield path
    shutil.rmtree(path)


@asynccontextmanager
async def bridge(folder, environ):
    """The hardened bridge and what its service manager hears."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(folder / "notify"))
        os.chown(folder / "notify", ACCOUNT, ACCOUNT)
        manager.setblocking(False)
        environ = environ | {"NOTIFY_SOCKET": str(folder / "notify"), "WATCHDOG_USEC": "2000000"}
        with (folder / "serve.log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, hardened.__file__, str(folder), sys.executable, "-m", "bridge", "serve"),
                cwd=ROOT, env=environ, stdout=log, stderr=log,
            )  # fmt: skip
        try:
            yield process, manager
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


async def heard(manager):
    async with asyncio.timeout(40):
        return (await asyncio.get_running_loop().sock_recv(manager, 4096)).decode()


async def test_the_bridge_works_with_what_its_unit_allows_and_tells_systemd(folder):
    environ = environment(folder, os.environ) | {"HOME": str(folder), "TMPDIR": str(folder)}
    async with bridge(folder, environ) as (process, manager):
        said = []
        while not said or not said[-1].startswith("READY=1"):
            said.append(await heard(manager))
        assert f"MAINPID={process.pid}" in said[-1]
        assert "WATCHDOG=1" in said
        assert await heard(manager) == "WATCHDOG=1"
        status = Path(f"/proc/{process.pid}/status").read_text()  # noqa: ASYNC240  # no disk
        for line in ("Seccomp:\t2", "NoNewPrivs:\t1", f"Uid:\t{ACCOUNT}", "CapBnd:\t0000000000000000"):
            assert line in status
        address = said_address(folder / "serve.log")
        code, output = await sipbridge(environ, "call", f"sip:100@{address}", "--say", "When are you open?",
                                       "--after-agent", "--max-seconds", "25", "--json")  # fmt: skip
        assert (code, '"answered": true' in output) == (0, True), (folder / "serve.log").read_text()[-3000:]
        assert list(folder.glob("recordings/*/*.wav"))
        process.send_signal(signal.SIGTERM)
        until_stop = [await heard(manager)]
        while not until_stop[-1].startswith("STOPPING=1"):
            until_stop.append(await heard(manager))
        async with asyncio.timeout(20):
            assert await process.wait() == 0
    assert "Traceback" not in (folder / "serve.log").read_text()


def test_what_a_call_needs_is_allowed_and_what_an_intruder_wants_is_not():
    calls = hardened.allowed()
    assert {"recvmmsg", "sendto", "futex", "clone3", "execve", "mmap", "io_uring_setup"} - calls <= {
        "io_uring_setup"
    }
    assert not calls & {
        "ptrace",
        "mount",
        "init_module",
        "bpf",
        "kexec_load",
        "reboot",
        "pivot_root",
        "setns_x",
    }
