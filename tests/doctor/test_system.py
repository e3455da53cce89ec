"""Facts of a machine in, findings out: every row is a machine that somebody has."""

from dataclasses import replace

import pytest

from bridge.doctor.finding import Level
from bridge.doctor.system import (
    GB,
    MB,
    ClockFacts,
    DiskFacts,
    FileFacts,
    KernelFacts,
    clock,
    disk,
    files,
    kernel,
    zones,
)

NOW = 1_790_000_000.0
CLOCK = ClockFacts(
    NOW, synced=True, offset_s=0.001, peer_offset_s=0.4, drift_ppm=5.0, newest_event_at=NOW - 9
)
KERNEL = KernelFacts(
    open_files=65_536,
    cpus=8,
    workers=20,
    calls=80,
    rtp=((20000, 20999),),
    port_range=(32768, 60999),
    memory_bytes=16 * GB,
    rmem_max=4_194_304,
    entropy=256,
    conntrack=(100, 65_536),
)
DISK = DiskFacts("recordings", "/r", 500 * GB, 900 * GB, 10**6, 10**7, "ext4", recorded_calls=80)
STATE = FileFacts("state", "/var/lib/sipbridge", 0o40700, 998)
KEY = FileFacts("key", "/var/lib/sipbridge/keys/audit.key", 0o100600, 998, secret=True)


def red(found):
    return [(one.level, one.text) for one in found if one.level >= Level.WARN]


def judged(found, level, words):
    bad = red(found)
    assert [one for one in bad if one[0] is level and words in one[1]], bad
    return True


def test_a_healthy_machine_has_nothing_red():
    assert red(clock(CLOCK)) == []
    assert red(kernel(KERNEL)) == []
    assert red(disk([DISK], sqlite=True)) == []
    assert red(files([STATE, KEY], euid=998, running_uid=998)) == []
    assert red(zones({"UTC": True})) == []


@pytest.mark.parametrize(
    ("changes", "level", "words"),
    [
        ({"synced": False}, Level.WARN, "not synchronised"),
        ({"offset_s": 1.5}, Level.WARN, "+1.50 s off"),
        ({"peer_offset_s": -200.0}, Level.FAIL, "200 s off a provider's"),
        ({"newest_event_at": NOW + 3600}, Level.FAIL, "the clock was set back"),
        ({"drift_ppm": 9000.0}, Level.WARN, "+0.90 %"),
        ({"built_at": NOW + 1}, Level.FAIL, "older than this program"),
    ],
)
def test_a_clock_that_is_wrong_is_told(changes, level, words):
    assert judged(clock(replace(CLOCK, **changes)), level, words)


def test_a_clock_of_which_nothing_is_known_is_a_note():
    (found,) = clock(ClockFacts(NOW))
    assert found.level is Level.NOTE


@pytest.mark.parametrize(
    ("changes", "level", "words"),
    [
        ({"open_files": 1024}, Level.WARN, "1024 open files"),
        ({"open_files": 256}, Level.FAIL, "256 open files"),
        ({"rtp": ((40000, 47999),)}, Level.WARN, "40000-47999 are also the kernel's"),
        ({"cpu_quota": 1.0}, Level.WARN, "need about 1.6 cores, there are 1"),
        ({"memory_bytes": 512 * MB}, Level.WARN, "512 MB of memory"),
        ({"rmem_max": 212_992}, Level.WARN, "rmem_max is 212992"),
        ({"entropy": 20}, Level.WARN, "20 bits of entropy"),
        ({"conntrack": (60_000, 65_536)}, Level.WARN, "60000 of 65536 tracked"),
    ],
)
def test_a_limit_that_a_full_bridge_runs_into_is_told(changes, level, words):
    assert judged(kernel(replace(KERNEL, **changes)), level, words)


def test_reserved_ports_are_not_the_kernel_s():
    facts = replace(KERNEL, rtp=((40000, 47999),), reserved=((40000, 47999),))
    assert red(kernel(facts)) == []
    assert red(kernel(replace(KERNEL, port_range=None, rtp=((40000, 47999),)))) == []


def test_a_quota_that_is_enough_is_a_note_all_the_same():
    assert [one.level for one in kernel(replace(KERNEL, cpu_quota=4.0))] == [Level.NOTE]


@pytest.mark.parametrize(
    ("changes", "level", "words"),
    [
        ({"free_bytes": 100 * MB}, Level.FAIL, "will soon be lost"),
        ({"free_bytes": 10 * GB}, Level.WARN, "(1.1 h with 80 calls at once)"),
        ({"free_inodes": 10}, Level.FAIL, "only 10 files"),
        ({"writable": False}, Level.FAIL, "cannot be written"),
        ({"what": "state", "recorded_calls": 0, "filesystem": "nfs4"}, Level.FAIL, "SQLite breaks there"),
        ({"what": "state", "recorded_calls": 0, "free_bytes": 500 * MB}, Level.WARN, "0.5 GB free"),
    ],
)
def test_a_disk_that_fills_or_does_not_fit_is_told(changes, level, words):
    assert judged(disk([replace(DISK, **changes)], sqlite=True), level, words)


def test_a_network_disk_is_all_right_with_another_database():
    facts = replace(DISK, what="state", filesystem="nfs4", recorded_calls=0)
    assert red(disk([facts], sqlite=False)) == []


@pytest.mark.parametrize(
    ("facts", "euid", "level", "words"),
    [
        ([STATE, replace(KEY, mode=0o100644)], 998, Level.FAIL, "can be read by others (0644)"),
        ([replace(STATE, mode=0o40755)], 998, Level.WARN, "open to every account"),
        ([STATE, replace(KEY, uid=0)], 998, Level.FAIL, "belongs to account 0, the bridge is account 998"),
        ([], 0, Level.WARN, "would run as root"),
    ],
)
def test_files_of_others_and_for_others_are_told(facts, euid, level, words):
    assert judged(files(facts, euid=euid, running_uid=None), level, words)


def test_root_that_runs_is_told_as_such():
    assert judged(files([], euid=998, running_uid=0), Level.WARN, "the bridge runs as root")


def test_what_the_workers_write_is_theirs_when_they_have_an_account_of_their_own():
    spool = FileFacts("spool", "/var/lib/sipbridge/spool", 0o40750, 998, owner=998)
    told = list(files([replace(STATE, uid=0), spool], euid=0, running_uid=0, workers_user="sipbridge"))
    assert [(one.level, one.text) for one in told] == [
        (Level.NOTE, "the bridge is root's, its workers are account sipbridge (pool.user)")
    ]
    wrong = [replace(STATE, uid=0), replace(spool, uid=0)]
    assert judged(
        files(wrong, euid=0, running_uid=0, workers_user="sipbridge"),
        Level.FAIL,
        "the workers, are account 998",
    )


def test_a_time_zone_that_is_not_here_is_told():
    assert judged(zones({"UTC": True, "Mars/Olympus": False}), Level.FAIL, "Mars/Olympus")
