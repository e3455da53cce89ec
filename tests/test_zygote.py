"""The real one, once for all tests here: it takes a second to load everything, which is what it is for."""

import ast
import ctypes
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bridge.pool.become import PR_SET_CHILD_SUBREAPER
from bridge.pool.warm import pipes
from bridge.pool.watch import parent
from tests.fakes.worker_process import ROOT, plan_of, worker_config

GUARD_S = 20


class Zygote:
    """`python -m bridge zygote` with us as its supervisor."""

    def __init__(self):
        self.channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.channel.settimeout(GUARD_S)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bridge", "zygote", "-" * 16],
            stdin=theirs, stdout=subprocess.PIPE, cwd=ROOT, text=True,
        )  # fmt: skip
        theirs.close()
        assert self.process.stdout.readline() == "ready zygote\n"

    def spare(self):
        """(pid, our end of its input, our end of its output)."""
        child_input, our_input, child_output, our_output = pipes()
        socket.send_fds(self.channel, [b'{"request": 1}'], [child_input, child_output])
        os.close(child_input)
        os.close(child_output)
        born = json.loads(self.channel.recv(1000))
        assert born["request"] == 1
        os.set_blocking(our_output, True)
        return born["pid"], our_input, os.fdopen(our_output, "rb")


@pytest.fixture(scope="module")
def zygote():
    prctl = ctypes.CDLL(None).prctl
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    zygote = Zygote()
    yield zygote
    zygote.channel.close()
    assert zygote.process.wait(GUARD_S) == 0
    zygote.process.stdout.close()
    prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


def exit_of(pid):
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_a_spare_is_a_child_of_ours_has_one_thread_and_goes_when_it_is_not_needed(zygote):
    pid, told, said = zygote.spare()
    proc = Path(f"/proc/{pid}")
    assert parent((proc / "stat").read_text()) == os.getpid()
    limit = time.monotonic() + GUARD_S
    while (proc / "comm").read_text() != "spare\n":
        assert time.monotonic() < limit
    assert len(list((proc / "task").iterdir())) == 1
    assert [(proc / "fd" / number).readlink().name.split(":")[0] for number in "01"] == ["pipe", "pipe"]
    assert not [fd for fd in (proc / "fd").iterdir() if fd.readlink().name.startswith("socket:")]
    os.close(told)
    assert said.read() == b""
    assert exit_of(pid) == 0
    said.close()


def test_a_spare_with_a_slot_is_a_worker_that_would_take_a_call(zygote, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "plan.json").write_text(plan_of().to_json())
    config = worker_config(tmp_path, "ws://127.0.0.1:1")
    pid, told, said = zygote.spare()
    os.write(told, f"boot-1 worker-0\n{config.to_json()}\n".encode())
    assert said.readline() == f"ready worker-0: SIP on 127.0.0.1:{config.sip.port}/udp\n".encode()
    assert (tmp_path / "spool" / "worker-0-boot-1.spool").exists() or list(
        (tmp_path / "spool").glob("*boot-1*")
    )
    assert Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[3:5] == [b"worker", b"worker-0"]
    os.write(told, b"retire\n")
    assert exit_of(pid) == 0
    os.close(told)
    said.close()


def test_a_worker_that_cannot_start_ends_and_the_zygote_does_not_notice(zygote):
    pid, told, said = zygote.spare()
    os.write(told, b"boot-2 worker-0\nnonsense\n")
    assert exit_of(pid) == 1
    os.close(told)
    said.close()
    assert zygote.process.poll() is None


def test_spares_do_not_share_their_random_numbers_with_each_other(zygote):
    """A fork copies the state of generators: whatever is used must notice it. Ids are from the kernel anyway."""
    for path in (ROOT / "bridge").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Attribute):
                name = ast.unparse(node)
                used = name.startswith(("np.random.", "numpy.random."))
                assert not used or name.endswith((".default_rng", ".Generator")), f"{path}: {name}"


def tag_of(port):
    """The To tag that the worker on this port makes for a call."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as phone:
        phone.bind(("127.0.0.1", 0))
        phone.settimeout(GUARD_S)
        where = f"127.0.0.1:{phone.getsockname()[1]}"
        body = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"
        lines = [
            f"INVITE sip:1@127.0.0.1:{port} SIP/2.0", f"Via: SIP/2.0/UDP {where};branch=z9hG4bK1", "Max-Forwards: 9",
            "From: <sip:a@127.0.0.1>;tag=1", "To: <sip:1@127.0.0.1>", "Call-ID: 1", "CSeq: 1 INVITE",
            f"Contact: <sip:a@{where}>", "Content-Type: application/sdp", f"Content-Length: {len(body)}", "", body,
        ]  # fmt: skip
        phone.sendto("\r\n".join(lines).encode(), ("127.0.0.1", port))
        while (found := re.search(rb"^To:.*;tag=([^\r;]+)", phone.recv(4000), re.MULTILINE)) is None:
            pass
        return found[1]


def test_two_workers_of_one_image_draw_different_ids(zygote, tmp_path):
    """pjlib takes its ids from rand(): it has to be seeded behind the fork."""
    workers, tags = [], set()
    for index in range(2):
        folder = tmp_path / str(index)
        (folder / "run").mkdir(parents=True)
        (folder / "run" / "plan.json").write_text(plan_of().to_json())
        config = worker_config(folder, "ws://127.0.0.1:1")
        workers.append((*zygote.spare(), config.sip.port))
        os.write(workers[-1][1], f"boot-id{index} worker-0\n{config.to_json()}\n".encode())
    for _, _, said, port in workers:
        assert said.readline().startswith(b"ready")
        tags.add(tag_of(port))
    assert len(tags) == 2
    for pid, told, said, _ in workers:
        os.kill(pid, signal.SIGKILL)
        assert exit_of(pid) == -signal.SIGKILL
        os.close(told)
        said.close()


def test_a_killed_zygote_costs_no_worker():
    prctl = ctypes.CDLL(None).prctl
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    zygote = Zygote()
    pid, told, said = zygote.spare()
    zygote.process.kill()
    zygote.process.wait(GUARD_S)
    zygote.process.stdout.close()
    zygote.channel.close()
    assert os.waitpid(pid, os.WNOHANG) == (0, 0)
    os.kill(pid, signal.SIGKILL)
    assert exit_of(pid) == -signal.SIGKILL
    os.close(told)
    said.close()
    prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
