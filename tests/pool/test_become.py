"""In processes of their own: what `settle` does cannot be undone."""

import os
import pwd
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bridge.pool.become import settle

ROOT = Path(__file__).parents[2]


def child(act):
    """What a forked child writes that does `act`, and its wait status."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.write(write, str(act()).encode())
            os._exit(0)
        finally:
            os._exit(9)
    os.close(write)
    with os.fdopen(read, "rb") as said:
        text = said.read().decode()
    return text, os.waitpid(pid, 0)[1]


def status_of(*names):
    fields = dict(
        line.split(":\t", 1) for line in Path("/proc/self/status").read_text().splitlines() if "\t" in line
    )
    return [fields[name].split()[0] for name in names]


def test_a_process_gets_no_new_rights_and_its_own_group():
    def act():
        settle(os.getppid(), None)
        return status_of("NoNewPrivs"), os.getpgid(0) == os.getpid()

    assert child(act) == ("(['1'], True)", 0)


def test_a_process_whose_parent_is_another_one_ends():
    assert child(lambda: settle(1 if os.getppid() != 1 else 2, None))[1] == 256


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_root_becomes_another_user_for_ever_and_still_dies_with_its_parent():
    nobody = pwd.getpwnam("nobody")

    def act():
        settle(os.getppid(), (nobody.pw_uid, nobody.pw_gid))
        try:
            os.setuid(0)
        except PermissionError:
            return status_of("Uid", "Gid", "CapEff"), os.getgroups()
        return "root again"

    assert child(act) == (f"(['{nobody.pw_uid}', '{nobody.pw_gid}', '0000000000000000'], [])", 0)


GRANDPARENT = """
import os, sys, time
sys.path.insert(0, sys.argv[1])
from bridge.pool.become import settle, rename
parent = os.getpid()
user = eval(sys.argv[2])
child = os.fork()
if child == 0:
    settle(parent, user)
    rename([*sys.orig_argv[:1], "worker", "worker-7"])
    print(os.getpid(), flush=True)
    time.sleep(60)
time.sleep(60)
"""


@pytest.mark.parametrize("user", [None, "nobody"])
def test_a_child_dies_with_its_parent_whoever_it_is_and_ps_shows_its_name(user):
    if user and os.geteuid() != 0:
        pytest.skip("only root can become somebody else")
    numbers = (pwd.getpwnam(user).pw_uid, pwd.getpwnam(user).pw_gid) if user else None
    words = [sys.executable, "-c", GRANDPARENT, str(ROOT), repr(numbers)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as parent:
        pid = int(parent.stdout.readline())
        proc = Path(f"/proc/{pid}")
        assert (proc / "comm").read_text() == "worker-7\n"
        assert (proc / "cmdline").read_bytes().split(b"\0")[1:3] == [b"worker", b"worker-7"]
        watched = os.pidfd_open(pid)
        parent.kill()
        with os.fdopen(watched, "rb", buffering=0) as fd:
            assert select.select([fd], [], [], 5)[0], "it outlived its parent"
    assert parent.returncode == -signal.SIGKILL
