"""Real pipes and sockets; the reader is the test."""

import contextlib
import fcntl
import os
import socket
import subprocess
import sys
import time

import pytest

from bridge.outlet import WAIT_S, Outlet

SLOW_S = 5.0


@pytest.fixture
def pipe():
    ends = os.pipe()
    yield ends
    for fd in ends:
        with contextlib.suppress(OSError):
            os.close(fd)


@pytest.fixture
def outlet(pipe):
    outlet = Outlet(pipe[1])
    yield outlet
    outlet.close()


def test_lines_come_through_and_the_descriptor_stays_as_it_was(pipe, outlet):
    outlet.write("one\n")
    outlet.write("zwei ü\n")
    assert os.read(pipe[0], 100).decode() == "one\nzwei ü\n"
    assert not fcntl.fcntl(pipe[1], fcntl.F_GETFL) & os.O_NONBLOCK


def test_a_reader_that_is_gone_costs_lines_and_nothing_else(pipe, outlet):
    os.close(pipe[0])
    outlet.write("one\n")
    outlet.write("two\n")
    assert outlet.lost == 2


def fill(fd):
    """To the last byte."""
    again = os.open(f"/proc/self/fd/{fd}", os.O_WRONLY | os.O_NONBLOCK)
    for piece in (b"x" * 4096, b"x"):
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(again, piece)
    os.close(again)


@pytest.mark.parametrize("own", [True, False])
def test_a_reader_that_stands_still_is_waited_for_once_and_told_later_what_it_missed(pipe, outlet, own):
    outlet.write("")
    if not own:  # as with a pipe of another user, which cannot be opened once more
        os.close(outlet._own)
        outlet._own = -1
    fill(pipe[1])
    began = time.monotonic()
    for _ in range(1000):
        outlet.write("lost\n")
    assert time.monotonic() - began < SLOW_S
    assert outlet.lost == 1000
    assert set(os.read(pipe[0], 1 << 20)) == {ord("x")}
    outlet.write("again\n")
    assert os.read(pipe[0], 1 << 20) == b"1000 lines were lost\nagain\n"
    assert outlet.lost == 0


def test_a_socket_like_the_journal_s_that_nobody_reads_does_not_block():
    ours, theirs = socket.socketpair()
    outlet = Outlet(ours.fileno())
    began = time.monotonic()
    while not outlet.lost:
        outlet.write("x" * 999 + "\n")
    assert time.monotonic() - began < SLOW_S
    theirs.close()
    outlet.write("nobody\n")
    assert outlet.lost == 2
    outlet.close()
    ours.close()


def test_a_line_that_was_cut_is_ended_before_the_next_one(pipe, outlet):
    outlet.write("y" * 100_000 + "\n")  # more than the pipe holds
    assert outlet.lost == 1
    os.read(pipe[0], 1 << 17)
    outlet.write("next\n")
    assert os.read(pipe[0], 1 << 17) == b"\n1 lines were lost\nnext\n"


def test_another_file_behind_the_descriptor_is_followed(pipe, outlet, tmp_path):
    outlet.write("one\n")
    with (tmp_path / "log").open("wb") as file:
        os.dup2(file.fileno(), pipe[1])
    outlet.write("two\n")
    assert (tmp_path / "log").read_text() == "two\n"
    assert os.read(pipe[0], 100) == b"one\n"


def test_waiting_for_room_is_nothing_that_a_call_notices():
    assert WAIT_S <= 0.02


def test_a_log_call_survives_the_end_of_its_reader():
    script = (
        "import structlog; from bridge.records.log import configure; configure(process='w')\n"
        "import sys; sys.stdin.readline(); log = structlog.get_logger(); log.info('a'); log.info('b'); print('fine')"
    )
    words = [sys.executable, "-c", script]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(words, **pipes, text=True) as process:
        process.stderr.close()
        process.stdin.write("go\n")
        process.stdin.flush()
        assert process.stdout.read() == "fine\n"
