import os
from pathlib import Path

import pytest

from bridge.doctor import gather_system


@pytest.mark.parametrize(
    ("text", "cores"),
    [("200000 100000", 2.0), ("max 100000", None), ("", None), ("50000 0", None), ("x y", None)],
)
def test_a_cpu_quota_is_read_in_cores(text, cores):
    assert gather_system.cpu_quota(text) == cores


@pytest.mark.parametrize(
    ("text", "pairs"),
    [("5060,20000-20999\n", [(5060, 5060), (20000, 20999)]), ("", []), ("a-b,7-x", [])],
)
def test_reserved_ports_are_read_as_pairs(text, pairs):
    assert list(gather_system.ranges(text)) == pairs


def test_the_limits_of_a_systemd_unit_are_found_in_its_own_control_group(tmp_path):
    own = tmp_path / "system.slice" / "sipbridge.service"
    found = gather_system.cgroups("1:name=x:/old\n0::/system.slice/sipbridge.service", tmp_path)
    assert found == [own, own.parent, tmp_path]
    assert gather_system.cgroups("0::/", tmp_path) == [tmp_path]
    assert gather_system.cgroups("", tmp_path) == [tmp_path]


def test_this_machine_has_a_clock_cores_and_memory():
    clock = gather_system.clock(5.0, None)
    assert (clock.newest_event_at, clock.peer_offset_s) == (5.0, None)
    assert abs(clock.drift_ppm) < 100_000
    assert clock.now > clock.built_at > 1e9
    facts = gather_system.kernel(2, 8, ((20000, 20999),), os.getpid())
    assert (facts.workers, facts.calls, facts.rtp) == (2, 8, ((20000, 20999),))
    assert facts.cpus >= 1
    assert facts.memory_bytes > 100_000_000
    assert facts.open_files > 0


def test_a_folder_that_is_not_there_yet_is_judged_by_its_parent(tmp_path):
    (facts,) = gather_system.disk({"recordings": tmp_path / "a" / "b"}, 4)
    assert (facts.path, facts.recorded_calls, facts.writable) == (str(tmp_path / "a" / "b"), 4, True)
    assert facts.free_bytes > 0
    assert list(tmp_path.iterdir()) == []
    (proc,) = gather_system.disk({"state": Path("/proc/x")}, 4)
    assert (proc.writable, proc.filesystem, proc.recorded_calls) == (False, "proc", 0)


def test_files_that_are_there_are_described_and_others_left_out(tmp_path):
    path = tmp_path / "key"
    path.write_text("x")
    path.chmod(0o640)
    (facts,) = gather_system.files([("key", path, True), ("gone", tmp_path / "gone", True)])
    assert (facts.what, facts.mode & 0o777, facts.uid, facts.secret) == ("key", 0o640, os.geteuid(), True)


def test_zones_are_looked_up_and_a_wrong_name_is_only_unknown():
    names = ["UTC", "Europe/Berlin", "Mars/Olympus", "../etc/passwd", ""]
    assert gather_system.zones(names) == dict(zip(names, (True, True, False, False, False), strict=True))


def test_whose_a_process_is():
    assert gather_system.uid_of(os.getpid()) == os.geteuid()
    assert gather_system.uid_of(2**30) is None
