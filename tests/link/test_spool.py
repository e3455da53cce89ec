import os
import signal
import subprocess
import sys

import pytest

from bridge.errors import LinkError
from bridge.link.messages import Event, encode
from bridge.link.spool import Spool, dead_spools, exit_path, known_boots, spool_path


def line(seq: int, boot: str = "b1") -> bytes:
    return encode(Event(seq, boot, "call-1", "dtmf", 1.0, 2.0, {"digit": "5"})).encode() + b"\n"


def test_lines_come_back_whole_and_in_order_and_no_more_than_asked(tmp_path):
    spool = Spool(spool_path(tmp_path, 0, "b1"))
    for seq in (1, 2, 3):
        assert spool.append(line(seq))
    assert spool.read(0, 2) == [line(1), line(2)]
    assert spool.read(len(line(1)), 9) == [line(2), line(3)]
    assert spool.read(3 * len(line(1)), 9) == []
    spool.clear()
    assert spool.read(0, 9) == []
    spool.close()
    spool.close()


def test_a_line_longer_than_one_read_comes_back_whole(tmp_path):
    spool = Spool(spool_path(tmp_path, 0, "b1"))
    long = b"x" * 200_000 + b"\n"
    spool.append(long)
    spool.append(line(2))
    assert spool.read(0, 1) == [long]
    spool.close()


def test_a_living_owner_keeps_everyone_else_out(tmp_path):
    spool = Spool(spool_path(tmp_path, 0, "b1"))
    with pytest.raises(LinkError, match="belongs to a living process"):
        Spool(spool_path(tmp_path, 0, "b1"))
    assert list(dead_spools(tmp_path)) == []
    assert known_boots(tmp_path) == {"b1"}
    spool.close()


def test_a_place_that_cannot_be_written_is_a_clear_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(LinkError, match="cannot open the event spool"):
        Spool(tmp_path / "file" / "worker-0-b1.jsonl")


def test_a_disk_that_takes_no_write_is_told_and_leaves_no_half_line(tmp_path):
    spool = Spool(spool_path(tmp_path, 0, "b1"))
    spool.append(line(1))
    spool.close()
    assert not spool.append(line(2))
    with next(dead_spools(tmp_path)) as dead:
        assert [event.seq for event in dead.events()] == [1]


def test_the_dead_are_found_oldest_first_with_how_they_ended_and_can_be_removed(tmp_path):
    for boot in ("b2", "b1"):
        spool = Spool(spool_path(tmp_path, 0, boot))
        spool.append(line(1, boot))
        spool.close()
    exit_path(tmp_path, 0, "b1").write_text("signal 9 (SIGKILL)\n")
    (tmp_path / "worker-x-b9.jsonl").touch()
    found = []
    for dead in dead_spools(tmp_path):
        with dead:
            found.append((dead.boot, dead.worker, dead.exit(), [event.boot for event in dead.events()]))
            noted = exit_path(tmp_path, 0, "b1") if dead.boot == "b1" else dead.path
            assert dead.died_at() == noted.stat().st_mtime
            dead.remove()
    assert found == [("b1", 0, "signal 9 (SIGKILL)", ["b1"]), ("b2", 0, None, ["b2"])]
    assert known_boots(tmp_path) == set()
    assert not exit_path(tmp_path, 0, "b1").exists()


def test_cut_foreign_and_strange_lines_are_skipped(tmp_path):
    spool = Spool(spool_path(tmp_path, 0, "b1"))
    for text in (line(1), b"\xff\n", line(7, "other"), b'{"message":"ack","seq":1}\n', line(2), line(3)[:20]):
        spool.append(text)
    spool.close()
    with next(dead_spools(tmp_path)) as dead:
        assert [event.seq for event in dead.events()] == [1, 2]


OWNER = """
import os, sys, pathlib
from bridge.link.spool import Spool, spool_path
spool = Spool(spool_path(pathlib.Path(sys.argv[1]), 3, "b7"))
spool.append(bytes.fromhex(sys.argv[2]))
print("ready", flush=True)
sys.stdin.read()
"""


def test_links_and_pipes_in_the_folder_of_another_user_are_no_spools(tmp_path):
    (tmp_path / "elsewhere").write_text("{}")
    (tmp_path / "worker-0-link.jsonl").symlink_to(tmp_path / "elsewhere")
    os.mkfifo(tmp_path / "worker-0-pipe.jsonl")
    Spool(spool_path(tmp_path, 0, "b1")).close()
    os.mkfifo(exit_path(tmp_path, 0, "b1"))
    (dead,) = dead_spools(tmp_path)
    with dead:
        assert (dead.boot, dead.exit(), dead.events()) == ("b1", "", [])
    exit_path(tmp_path, 0, "b1").unlink()
    exit_path(tmp_path, 0, "b1").symlink_to(tmp_path / "elsewhere")
    (dead,) = dead_spools(tmp_path)
    with dead:
        assert dead.exit() is None


def test_sigkill_of_the_owner_frees_the_spool_and_keeps_what_was_written(tmp_path):
    """Why the lock is an flock: the kernel releases it however the process dies."""
    arguments = [sys.executable, "-c", OWNER, str(tmp_path), line(1, "b7").hex()]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as owner:
        assert owner.stdout.readline() == b"ready\n"
        assert list(dead_spools(tmp_path)) == []
        os.kill(owner.pid, signal.SIGKILL)
        owner.wait()
        with next(dead_spools(tmp_path)) as dead:
            assert [event.seq for event in dead.events()] == [1]
