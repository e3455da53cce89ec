import contextlib
import json
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from bridge.edge.daemon import kill_leftovers
from bridge.edge.folder import EdgeFolder
from bridge.edge.prepare import places, prepare_edge, worker_address, write_first
from bridge.errors import EdgeError
from bridge.settings import load
from tests.fakes.ports import free_block

needs_edge = pytest.mark.skipif(
    any(shutil.which(name, path="/usr/sbin:/usr/bin") is None for name in ("kamailio", "rtpengine")),
    reason="kamailio and rtpengine-daemon are not installed",
)


def settings(folder, text="edge: {enabled: true}\n"):
    (folder / "bridge.yaml").write_text(f"state_dir: state\n{text}")
    chosen = load(folder / "bridge.yaml", {})
    (chosen.state_dir / "run").mkdir(parents=True)
    return chosen


def test_every_slot_has_a_place_also_the_surge_ones(tmp_path):
    chosen = settings(tmp_path, "workers: 2\npool: {surge: 1}\nedge: {enabled: true, workers_port: 17000}\n")
    assert places(chosen) == [(f"sip:127.0.0.1:{17000 + slot}", 4) for slot in range(3)]
    assert worker_address("sip:127.0.0.1:17000") == ("127.0.0.1", 17000)
    assert worker_address("sip:[fd00::1]:17000") == ("fd00::1", 17000)


def test_a_host_that_is_only_an_edge_has_no_places_of_its_own(tmp_path):
    assert places(settings(tmp_path, "workers: 0\nedge: {enabled: true}\n")) == []


def test_kamailio_starts_with_every_place_closed(tmp_path):
    chosen = settings(tmp_path)
    folder = EdgeFolder(chosen, tmp_path / "edge")
    folder.make()
    write_first(chosen, folder)
    lines = (folder.path / "dispatcher.list").read_text().splitlines()[1:]
    assert {line.split()[2] for line in lines} == {"1"}
    assert "2 127.0.0.1 32 15060\n" in (folder.path / "address.list").read_text()


@needs_edge
def test_the_programs_are_told_to_the_supervisor_and_rtpengine_is_the_first(tmp_path):
    chosen = settings(tmp_path)
    try:
        programs = prepare_edge(chosen, 5060, 2)
        assert [(program.name, program.stage) for program in programs] == [("rtpengine", 1), ("kamailio", 2)]
        assert all(program.says_ready and not program.secrets for program in programs)
        spec = json.loads((chosen.state_dir / "run" / "kamailio.json").read_text())
        assert spec["argv"][:10].count("--pdeathsig") == 1
    finally:
        EdgeFolder(chosen).remove()


@pytest.mark.system
@needs_edge
def test_a_kamailio_whose_wrapper_is_killed_ends_with_all_its_processes(tmp_path):
    first = free_block(8)
    ports = f"inner_port: {first + 2}, workers_port: {first + 4}, control_port: {first + 6}, processes: 1"
    chosen = settings(tmp_path, f"sip: {{port: {first}}}\nedge: {{enabled: true, {ports}}}\n")
    try:
        kamailio = prepare_edge(chosen, first, 2)[1]
        config = str(EdgeFolder(chosen).path / "kamailio.cfg")
        wrapper = subprocess.Popen(kamailio.argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        try:
            assert wrapper.stdout.readline() == b"ready: kamailio\n"
            until(lambda: len(running(config)) > 10)  # it answers before it has forked all of them
        finally:
            wrapper.kill()
            wrapper.wait()
            wrapper.stdout.close()
        until(lambda: not running(config))
    finally:
        kill_leftovers(str(EdgeFolder(chosen).path / "kamailio.cfg"))
        EdgeFolder(chosen).remove()


def until(condition):
    limit = time.monotonic() + 15
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.02)


def running(config):
    """Processes that were started with this configuration."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and config.encode() in (entry / "cmdline").read_bytes().split(b"\0"):
                found.append(int(entry.name))
    return found


@needs_edge
def test_a_certificate_that_is_not_there_is_told_before_anything_starts(tmp_path):
    chosen = settings(tmp_path, "edge: {enabled: true, tls: {certificate: no.pem, key: no.pem}}\n")
    try:
        with pytest.raises(EdgeError, match=r"no\.pem cannot be read"):
            prepare_edge(chosen, 5060, 2)
    finally:
        EdgeFolder(chosen).remove()


def test_a_missing_program_is_told_with_its_package(tmp_path, monkeypatch):
    chosen = settings(tmp_path)
    monkeypatch.setattr(shutil, "which", lambda name, path: None)
    with pytest.raises(EdgeError, match="apt-get install kamailio"):
        prepare_edge(chosen, 5060, 2)
