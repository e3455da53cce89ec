import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bridge.records import logfile
from bridge.records.log import configure
from bridge.records.logfile import LogFile

WRITER = """
import sys, pathlib
from bridge.records.logfile import LogFile
log = LogFile(pathlib.Path(sys.argv[1]), 20_000, 50)
for number in range(1500):
    log.write(f"{sys.argv[2]} {number} {'x' * 40}\\n")
"""


def files(folder):
    return sorted(path for path in folder.glob("bridge.log*"))


def test_lines_of_several_processes_survive_every_rotation_whole(tmp_path):
    path = tmp_path / "bridge.log"
    command = [sys.executable, "-c", WRITER, str(path)]
    writers = [subprocess.Popen([*command, name], cwd=Path(__file__).parents[2]) for name in "abc"]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    lines = [line for one in files(tmp_path) for line in one.read_text().splitlines()]
    assert sorted(lines) == sorted(f"{name} {number} {'x' * 40}" for name in "abc" for number in range(1500))
    assert 3 < len(files(tmp_path)) <= 51
    assert max(one.stat().st_size for one in files(tmp_path)) < 100_000


def test_only_so_many_old_files_stay(tmp_path):
    log = LogFile(tmp_path / "bridge.log", 100, 2)
    for number in range(10):
        log.write(f"{number} {'x' * 60}\n")
    assert [path.name for path in files(tmp_path)] == ["bridge.log", "bridge.log.1", "bridge.log.2"]
    assert (tmp_path / "bridge.log").read_text().startswith("9 ")
    assert (tmp_path / "bridge.log.2").read_text().startswith("7 ")


def test_a_file_that_logrotate_moved_away_is_left_to_it(tmp_path, monkeypatch):
    path = tmp_path / "bridge.log"
    log = LogFile(path, 10_000, 2)
    log.write("before\n")
    path.rename(tmp_path / "moved")
    monkeypatch.setattr(logfile, "CHECK_S", 0.0)
    log.write("after\n")
    assert (tmp_path / "moved").read_text() == "before\n"
    assert path.read_text() == "after\n"


def test_a_disk_that_refuses_sends_the_lines_to_standard_error(tmp_path, capfd):
    log = LogFile(tmp_path / "a file" / "bridge.log", 100, 2)
    (tmp_path / "a file").write_text("")
    assert log.write("still told\n") == 11
    assert capfd.readouterr().err == "still told\n"
    full = LogFile(Path("/dev/full"), 100, 2)
    full.write("no room\n")
    assert capfd.readouterr().err == "no room\n"


def test_the_file_is_named_by_a_variable_and_a_broken_one_is_none(tmp_path):
    named = logfile.variable(tmp_path / "bridge.log", 100, 2)
    log = logfile.from_environ(named)
    log.write("x\n")
    assert (tmp_path / "bridge.log").read_text() == "x\n"
    for broken in ({}, {"BRIDGE_LOG": "{"}, {"BRIDGE_LOG": '["a"]'}, {"BRIDGE_LOG": "[1, [], 2]"}):
        assert logfile.from_environ(broken) is None


LINE = "import structlog; from bridge.records.log import configure; configure('info', 'console', process='control');"
LINE += "log = structlog.get_logger(); log.warning('a.b', x=1); log.info('c.d')"


def said(environ, stderr):
    subprocess.run(
        [sys.executable, "-c", LINE], env={**os.environ, **environ}, stderr=stderr, check=True, timeout=50,
        cwd=Path(__file__).parents[2],
    )  # fmt: skip


def test_a_process_with_the_variable_logs_there(tmp_path):
    with (tmp_path / "err").open("wb") as err:
        said(logfile.variable(tmp_path / "bridge.log", 1000, 2), err)
    assert (tmp_path / "err").read_text() == ""
    assert "control warning a.b  x=1" in (tmp_path / "bridge.log").read_text()


def test_lines_for_the_journal_have_their_priority(tmp_path):
    with (tmp_path / "err").open("wb") as err:
        facts = os.fstat(err.fileno())
        said({"JOURNAL_STREAM": f"{facts.st_dev}:{facts.st_ino}"}, err)
    warning, info = (tmp_path / "err").read_text().splitlines()
    assert (warning[:3], info[:3]) == ("<4>", "<6>")


@pytest.mark.parametrize("stream", ["", "1:2", "x"])
def test_another_stream_is_not_the_journal(stream):
    assert not logfile.is_journal({"JOURNAL_STREAM": stream})


def test_json_lines_stay_json(tmp_path):
    log = LogFile(tmp_path / "bridge.log", 10_000, 2)
    configure("info", "json", stream=log)
    import structlog

    structlog.get_logger().info("a.b", at=time.time())
    assert json.loads((tmp_path / "bridge.log").read_text())["event"] == "a.b"
