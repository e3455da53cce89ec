"""Facts about the machine, for system.py. Reads /proc, /sys and the file system; changes nothing.

What cannot be read is None: no fact, no judgement.
"""

import ctypes
import os
import pwd
import resource
import tempfile
import time
import zoneinfo
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

from bridge.doctor.system import ClockFacts, DiskFacts, FileFacts, KernelFacts

STA_UNSYNC, STA_NANO = 0x0040, 0x2000
PROC_NET = Path("/proc/sys/net")
CGROUP = Path("/sys/fs/cgroup")
SAMPLE_S = 0.2


class _Timex(ctypes.Structure):
    """struct timex of adjtimex(2), 64 bit; the fields after `status` are not ours."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_byte * 256),
    )


def clock(newest_event_at: float | None, peer_offset_s: float | None) -> ClockFacts:
    """Blocks for a fifth of a second: the two clocks are compared over that."""
    synced, offset_s = _kernel_time()
    return ClockFacts(
        now=time.time(),
        synced=synced,
        offset_s=offset_s,
        peer_offset_s=peer_offset_s,
        drift_ppm=_drift_ppm(),
        newest_event_at=newest_event_at,
        built_at=Path(__file__).stat().st_mtime,
    )


def _kernel_time() -> tuple[bool | None, float | None]:
    facts = _Timex()
    try:
        state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(facts))
    except (OSError, AttributeError):
        return None, None
    if state < 0:
        return None, None
    scale = 1e9 if facts.status & STA_NANO else 1e6
    return not facts.status & STA_UNSYNC, facts.offset / scale


def _drift_ppm() -> float:
    """Against CLOCK_MONOTONIC_RAW, which nobody slews."""
    wall, raw = _both_clocks()
    time.sleep(SAMPLE_S)
    wall_later, raw_later = _both_clocks()
    return ((wall_later - wall) / (raw_later - raw) - 1) * 1e6


def _both_clocks() -> tuple[float, float]:
    """The wall clock and the raw one of the same moment: of five tries the one in which nobody interrupted us."""
    tries = []
    for _ in range(5):
        before = time.clock_gettime(time.CLOCK_MONOTONIC_RAW)
        wall = time.time()
        after = time.clock_gettime(time.CLOCK_MONOTONIC_RAW)
        tries.append((after - before, wall, (before + after) / 2))
    _, wall, raw = min(tries)
    return wall, raw


def kernel(workers: int, calls: int, rtp: tuple[tuple[int, int], ...], pid: int | None = None) -> KernelFacts:
    """`calls`: the most at once; `rtp`: first and last port of each range we use; `pid`: whose limits count."""
    groups = cgroups(_text(Path("/proc", str(pid or "self"), "cgroup")))
    low_high = _numbers(PROC_NET / "ipv4/ip_local_port_range")
    used, most = (
        _number(PROC_NET / "netfilter/nf_conntrack_count"),
        _number(PROC_NET / "netfilter/nf_conntrack_max"),
    )
    return KernelFacts(
        open_files=_open_files(pid),
        cpus=len(os.sched_getaffinity(0)),
        workers=workers,
        calls=calls,
        rtp=rtp,
        port_range=(low_high[0], low_high[1]) if len(low_high) == 2 else None,
        reserved=tuple(ranges(_text(PROC_NET / "ipv4/ip_local_reserved_ports"))),
        cpu_quota=min(filter(None, (cpu_quota(_text(group / "cpu.max")) for group in groups)), default=None),
        memory_bytes=_memory(groups),
        rmem_max=_number(PROC_NET / "core/rmem_max"),
        entropy=_number(Path("/proc/sys/kernel/random/entropy_avail")),
        conntrack=None if used is None or not most else (used, most),
    )


def _open_files(pid: int | None) -> int:
    """The soft limit of the process, or what a process started now would get."""
    for line in _text(Path("/proc", str(pid), "limits")).splitlines() if pid else ():
        found = line.split()
        if line.startswith("Max open files") and found[3].isdigit():
            return int(found[3])
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def ranges(text: str) -> Iterable[tuple[int, int]]:
    """`5060,20000-20999` as pairs."""
    for part in text.replace(",", " ").split():
        first, _, last = part.partition("-")
        if first.isdigit() and (last or first).isdigit():
            yield int(first), int(last or first)


def cpu_quota(text: str) -> float | None:
    """`200000 100000` of cpu.max: 2.0 cores; `max 100000`: None."""
    parts = text.split()
    if len(parts) == 2 and all(part.isdigit() for part in parts) and int(parts[1]):
        return int(parts[0]) / int(parts[1])
    return None


def cgroups(text: str, root: Path = CGROUP) -> list[Path]:
    """The control group of a process, by its /proc/PID/cgroup, and all above it: each may have limits (cgroups(7))."""
    name = next((line[3:] for line in text.splitlines() if line.startswith("0::")), "/").strip("/")
    own = root / name if ".." not in name else root
    return [own, *(folder for folder in own.parents if folder.is_relative_to(root))]


def _memory(groups: Iterable[Path]) -> int | None:
    total = next(
        (
            line.split()[1]
            for line in _text(Path("/proc/meminfo")).splitlines()
            if line.startswith("MemTotal")
        ),
        "",
    )
    found = [int(total) * 1024] if total.isdigit() else []
    limits = [limit for group in groups if (limit := _number(group / "memory.max"))]
    return min([*found, *limits], default=None)


def disk(folders: Mapping[str, Path], recorded_calls: int) -> list[DiskFacts]:
    """`folders` by what is in them: state, recordings, … One that is not there yet counts as its nearest parent."""
    found = []
    for what, wanted in folders.items():
        path = wanted
        while not path.exists() and path != path.parent:
            path = path.parent
        facts = os.statvfs(path)
        found.append(
            DiskFacts(
                what=what,
                path=str(wanted),
                free_bytes=facts.f_bavail * facts.f_frsize,
                total_bytes=facts.f_blocks * facts.f_frsize,
                free_inodes=facts.f_favail,
                total_inodes=facts.f_files,
                filesystem=_filesystem(path),
                writable=_writable(path),
                recorded_calls=recorded_calls if what == "recordings" else 0,
            )
        )
    return found


def _writable(path: Path) -> bool:
    """By writing: a mode says nothing of a read-only disk, nor of a full one."""
    try:
        with tempfile.TemporaryFile(dir=path) as file:
            file.write(b"x")
            file.flush()
    except OSError:
        return False
    return True


def _filesystem(path: Path) -> str:
    best, kind = "", ""
    for line in _text(Path("/proc/mounts")).splitlines():
        parts = line.split()
        if len(parts) > 2 and path.resolve().is_relative_to(parts[1]) and len(parts[1]) >= len(best):
            best, kind = parts[1], parts[2]
    return kind


def files(
    wanted: Iterable[tuple[str, Path, bool]], owners: Mapping[str, int] = MappingProxyType({})
) -> list[FileFacts]:
    """(what, path, whether it is a secret) of what is there; `owners`: whose it is, by what, if not the bridge's."""
    found = []
    for what, path, secret in wanted:
        try:
            facts = path.stat()
        except OSError:
            continue
        found.append(FileFacts(what, str(path), facts.st_mode, facts.st_uid, secret, owners.get(what)))
    return found


def zones(names: Iterable[str]) -> dict[str, bool]:
    """Whether each is known here."""

    def known(name: str) -> bool:
        try:
            zoneinfo.ZoneInfo(name)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
            return False
        return True

    return {name: known(name) for name in names}


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""


def _numbers(path: Path) -> list[int]:
    return [int(part) for part in _text(path).split() if part.isdigit()]


def _number(path: Path) -> int | None:
    found = _numbers(path)
    return found[0] if found else None


def uid_of(pid: int) -> int | None:
    """Whose process it is."""
    try:
        return Path("/proc", str(pid)).stat().st_uid
    except OSError:
        return None


def uid_named(name: str) -> int | None:
    """The number of the account of this name; None: there is none."""
    try:
        return pwd.getpwnam(name).pw_uid
    except KeyError:
        return None
