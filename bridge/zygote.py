"""The process that workers are forked from: everything a worker imports is loaded here once, and nothing runs.

    supervisor ──order + two pipes──► zygote ──fork──► (gone at once) ──fork──► spare: a child of the supervisor

A worker that is forked has its code and its libraries from the first moment and shares their memory with all others;
one that is started by exec loads them for a second and has them for itself. The fork is done twice, so that the kernel
gives the process to the supervisor (a subreaper): a zygote that dies costs no call.

What may be here: modules, and what they make while they are imported. What may not: threads (a fork copies only the
one that calls it, and locks that others hold stay locked for ever), an asyncio loop, pjlib (it begins in a worker's
`SipAgent`), a model (onnxruntime starts threads), sockets, open files. The zygote counts its threads and refuses to
work with more than one. OpenSSL and `random` notice a fork by themselves; numpy's global generator would not, so
nobody may use it (tests/test_zygote.py).
Memory: `gc.freeze` takes everything out of the collector's lists, whose marks would otherwise copy every page.
"""

import ctypes
import gc
import json
import os
import socket
import sys
import traceback
from pathlib import Path

from bridge import worker
from bridge.pool.become import rename, settle
from bridge.pool.launch import BOOT_VARIABLE

LAZY = (
    "encodings.idna",
    "encodings.ascii",
    "encodings.latin_1",
    "asyncio.staggered",
    "numpy.fft",
    "_strptime",
)
"""What a worker loads only when it works; loaded here, it is shared."""
MAX_ORDER_BYTES = 1024
M_ARENA_MAX = -8


def main() -> int:
    """`python -m bridge zygote ROOM`: standard input is the supervisor's socket. Ends when that is closed.

    ROOM is any text: its length is room in the command line for the names of the workers (bridge/pool/become.py).
    """
    channel = socket.socket(fileno=os.dup(0))
    supervisor = os.getppid()
    _load()
    threads = len(list(Path("/proc/self/task").iterdir()))
    if threads != 1:
        sys.stderr.write(f"sipbridge: the zygote has {threads} threads: workers are started without it\n")
        return 1
    print("ready zygote", flush=True)  # noqa: T201  # the supervisor's wire
    while True:
        data, fds, _, _ = socket.recv_fds(channel, MAX_ORDER_BYTES, 2)
        if not data:
            return 0
        pid = _fork(channel, fds, supervisor)
        for fd in fds:
            os.close(fd)
        channel.send(json.dumps({**json.loads(data), "pid": pid}).encode())


def _load() -> None:
    """Everything that workers will need, once."""
    for name in LAZY:
        __import__(name)
    worker.preload()
    ctypes.CDLL(None).mallopt(
        M_ARENA_MAX, 2
    )  # an arena of malloc for each thread would be memory for nothing
    gc.collect()
    gc.freeze()


def _fork(channel: socket.socket, fds: list[int], supervisor: int) -> int:
    """Fork twice; the process id of the spare, whose parent is the supervisor."""
    told, tell = os.pipe()
    first = os.fork()
    if first == 0:
        second = os.fork()
        if second:
            os.write(tell, str(second).encode())
            os._exit(0)
        os.close(told)
        os.close(tell)
        channel.close()
        _spare(fds, supervisor)
    os.close(tell)
    pid = int(os.read(told, 20))
    os.close(told)
    os.waitpid(first, 0)
    return pid


def _spare(fds: list[int], supervisor: int) -> None:
    """In the new process: wait for the words that make it a worker. It never returns into the zygote's code."""
    status = 1
    try:
        for target, fd in enumerate(fds):
            os.dup2(fd, target)
            os.close(fd)
        settle(supervisor, None)
        rename([*sys.orig_argv[:3], "spare"])
        boot, _, name = _first_line().partition(" ")
        status = 0
        if name:
            os.environ[BOOT_VARIABLE] = boot
            rename([*sys.orig_argv[:3], "worker", name])
            status = worker.main()
    except BaseException:  # noqa: BLE001  # whatever it is, it must not run the zygote's code
        status = 1
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)  # no finalization: it would only touch, and so copy, every page


def _first_line() -> str:
    """What stands before the configuration: `BOOT NAME`; "" when the supervisor does not need this process."""
    line = b""
    while not line.endswith(b"\n"):
        some = os.read(0, 1)
        if not some:
            return ""
        line += some
    return line.decode("ascii").strip()
