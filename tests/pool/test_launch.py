"""Whole programs are started in tests/test_supervisor.py; here is what they are given."""

import os
import socket
import sys

import pytest

from bridge.pool.launch import Boots, Process, Program, environment, launch

ECHO = (
    "import sys; print('got', sys.stdin.readline().strip(), flush=True); print(sys.stdin.readline().strip())"
)


def said(process):
    os.set_blocking(process.output, True)
    with os.fdopen(process.output, "rb") as output:
        return output.read().decode().split("\n")


def test_a_worker_is_told_its_configuration_through_a_pipe():
    program = Program("worker-0", 2, (sys.executable, "-S", "-c", ECHO), role="worker")
    process = launch(program, "b1")
    assert process.tell(b"first\n")
    assert process.tell(b"second\n")
    assert said(process) == ["got first", "second", ""]
    os.waitpid(process.pid, 0)


def test_other_programs_read_a_file_and_are_told_nothing(tmp_path):
    (tmp_path / "in").write_text("from the file\n\n")
    process = launch(Program("sim", 0, (sys.executable, "-S", "-c", ECHO), stdin=str(tmp_path / "in")), "b1")
    assert not process.tell(b"x\n")
    assert said(process)[0] == "got from the file"
    os.waitpid(process.pid, 0)


def test_a_zygote_reads_the_socket_it_is_given():
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    program = Program("zygote", 0, (sys.executable, "-S", "-c", ECHO), role="zygote")
    process = launch(program, "b1", theirs)
    theirs.close()
    ours.send(b"an order\n")
    ours.close()
    assert said(process)[0] == "got an order"
    os.waitpid(process.pid, 0)


def test_who_does_not_read_is_told_so_and_blocks_nobody():
    ends = os.pipe()
    os.set_blocking(ends[1], False)
    process = Process(0, -1, ends[1], "b")
    assert not process.tell(b"x" * (1 << 20))
    os.close(ends[0])
    assert not process.tell(b"x")
    process.close()
    process.close()


def test_no_two_lives_have_the_same_name():
    boots = Boots()
    assert len({boots.next() for _ in range(100)}) == 100


@pytest.mark.parametrize(
    ("secrets", "expected"), [(True, {"A_KEY", "PATH", "OWN"}), (False, {"PATH", "OWN"})]
)
def test_keys_go_only_to_a_program_that_has_secrets(secrets, expected):
    program = Program("x", 0, (), {"OWN": "1"}, secrets=secrets)
    assert set(environment(program, {"A_KEY": "k", "PATH": "/bin"})) == expected
