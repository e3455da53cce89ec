"""Judgement about the machine: clock, kernel, disk, files, time zones. Pure: facts in, findings out.

The facts are gathered by gather_system.py. Every threshold has its reason beside it.
"""

import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from bridge.doctor.finding import Finding, Level

RECORDING_BYTES_PER_H = 8000 * 2 * 2 * 3600
"""Stereo, 16 bit, 8 kHz: 115 MB an hour of talk."""
MB, GB = 1_000_000, 1_000_000_000
FDS_PER_CALL, FDS_BASE = 16, 256
"""Seen of a worker: SIP, RTP, RTCP, WebSocket, recording, spool; twice that for a second leg, and room."""
WORKER_MB, CONTROL_MB = 60, 300
"""Memory of a process with calls, with room: measured 25 to 45 MB a worker, 150 MB control."""
CORES_PER_CALL = 0.02
"""Design section 2: 1.5 % of a core a call, and the rest of the bridge."""
WANTED_RMEM = 1_000_000
"""Bytes a UDP socket may queue (net.core.rmem_max): rtpengine and Kamailio ask for more than Debian's 212,992."""


@dataclass(frozen=True, slots=True)
class ClockFacts:
    """`offset_s`: the kernel's estimate; `peer_offset_s`: against a provider's Date header, exact to a second.

    `drift_ppm`: the wall clock against the monotonic one while we looked. None: not known.
    """

    now: float
    synced: bool | None = None
    offset_s: float | None = None
    peer_offset_s: float | None = None
    drift_ppm: float | None = None
    newest_event_at: float | None = None
    built_at: float = 0.0


@dataclass(frozen=True, slots=True)
class KernelFacts:
    """`cpu_quota`: cores the control group may use; `conntrack`: (used, most)."""

    open_files: int
    cpus: int
    workers: int
    calls: int
    rtp: tuple[tuple[int, int], ...]
    port_range: tuple[int, int] | None = None
    reserved: tuple[tuple[int, int], ...] = ()
    cpu_quota: float | None = None
    memory_bytes: int | None = None
    rmem_max: int | None = None
    entropy: int | None = None
    conntrack: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class DiskFacts:
    """A folder we write to. `recorded_calls`: how many calls at once are recorded into it."""

    what: str
    path: str
    free_bytes: int
    total_bytes: int
    free_inodes: int
    total_inodes: int
    filesystem: str = ""
    writable: bool = True
    recorded_calls: int = 0


@dataclass(frozen=True, slots=True)
class FileFacts:
    """A file or folder of ours. `secret`: only its owner may read it. `owner`: whose it is; None: the bridge's."""

    what: str
    path: str
    mode: int
    uid: int
    secret: bool = False
    owner: int | None = None


def clock(facts: ClockFacts) -> Iterator[Finding]:
    """Call records, tokens, certificates and the audit need the right time."""
    if facts.now < facts.built_at:
        yield Finding(
            "clock", Level.FAIL, "the clock is older than this program", "set it: timedatectl set-ntp true"
        )
        return
    late = (facts.newest_event_at or 0.0) - facts.now
    if late > 60:
        words = f"the newest call in the store is {late:.0f} s in the future: the clock was set back"
        yield Finding("clock", Level.FAIL, words, "set it right; records of that time stay as they are")
    peer = facts.peer_offset_s
    if peer is not None and abs(peer) > 30:
        do = "turn on time synchronisation: credentials are refused when the clock is minutes off"
        yield Finding("clock", Level.FAIL, f"the clock is {abs(peer):.0f} s off a provider's", do)
    if facts.drift_ppm is not None and abs(facts.drift_ppm) > 2000:
        words = f"the clock runs {facts.drift_ppm / 1e4:+.2f} % against the processor's: it is being moved"
        yield Finding(
            "clock", Level.WARN, words, "look at what sets it; audio keeps its own time and is not touched"
        )
    offset = facts.offset_s
    if facts.synced is False:
        do = "timedatectl set-ntp true, or start chrony; in a container the host does it"
        yield Finding("clock", Level.WARN, "the kernel says that the clock is not synchronised", do)
    elif offset is not None and abs(offset) > 0.5:
        yield Finding(
            "clock", Level.WARN, f"the clock is {offset:+.2f} s off", "see chronyc tracking or timedatectl"
        )
    elif facts.synced:
        yield Finding("clock", Level.OK, f"synchronised, {abs(offset or 0.0) * 1000:.1f} ms off")
    else:
        yield Finding("clock", Level.NOTE, "nobody here knows whether the clock is synchronised")


def kernel(facts: KernelFacts) -> Iterator[Finding]:
    """Limits that a full bridge runs into."""
    need = FDS_BASE + FDS_PER_CALL * facts.calls
    if facts.open_files < need:
        words = f"{facts.open_files} open files are allowed, {facts.calls} calls need up to {need}"
        do = "LimitNOFILE=65536 in the unit, or ulimit -n 65536"
        yield Finding("kernel", Level.FAIL if facts.open_files < need // 2 else Level.WARN, words, do)
    yield from _ports(facts)
    yield from _cpu_and_memory(facts)
    if facts.rmem_max is not None and facts.rmem_max < WANTED_RMEM and facts.calls > 40:
        words = f"net.core.rmem_max is {facts.rmem_max}: bursts of RTP may be lost before anybody reads them"
        yield Finding(
            "kernel",
            Level.WARN,
            words,
            "sysctl -w net.core.rmem_max=4194304 (ops/systemd/sipbridge-sysctl.conf)",
        )
    if facts.entropy is not None and facts.entropy < 128:
        do = "install an entropy source (virtio-rng, jitterentropy)"
        yield Finding("kernel", Level.WARN, f"only {facts.entropy} bits of entropy: TLS may wait", do)
    if facts.conntrack and facts.conntrack[0] > 0.8 * facts.conntrack[1]:
        used, most = facts.conntrack
        do = "raise net.netfilter.nf_conntrack_max, or exempt RTP (iptables -t raw … NOTRACK)"
        yield Finding(
            "kernel", Level.WARN, f"{used} of {most} tracked connections: new calls will lose audio", do
        )


def _ports(facts: KernelFacts) -> Iterator[Finding]:
    if facts.port_range is None:
        return
    low, high = facts.port_range
    for first, last in facts.rtp:
        inside = range(max(first, low), min(last, high) + 1)
        if not inside or any(a <= inside.start and inside.stop - 1 <= b for a, b in facts.reserved):
            continue
        both = f"{inside.start}-{inside.stop - 1}"
        words = f"RTP ports {both} are also the kernel's for outgoing connections ({low}-{high})"
        do = f"sysctl -w net.ipv4.ip_local_reserved_ports={first}-{last}"
        yield Finding("kernel", Level.WARN, words, do)


def _cpu_and_memory(facts: KernelFacts) -> Iterator[Finding]:
    cores = min(facts.cpus, facts.cpu_quota or facts.cpus)
    wanted = facts.calls * CORES_PER_CALL
    if wanted > cores:
        words = f"{facts.calls} calls need about {wanted:.1f} cores, there are {cores:g}"
        do = "fewer workers, or a larger CPU quota (CPUQuota=, resources.limits.cpu)"
        yield Finding("kernel", Level.WARN, words, do)
    elif facts.cpu_quota is not None and facts.cpu_quota < facts.cpus:
        words = (
            f"a quota of {facts.cpu_quota:g} of {facts.cpus} cores: it stops audio for up to 100 ms at a time"
        )
        yield Finding(
            "kernel", Level.NOTE, words, "prefer weights (CPUWeight=, requests without limits) for telephony"
        )
    else:
        yield Finding(
            "kernel",
            Level.OK,
            f"{cores:g} cores for up to {facts.calls} calls, {facts.open_files} open files",
        )
    needed = (facts.workers * WORKER_MB + CONTROL_MB) * MB
    if facts.memory_bytes is not None and facts.memory_bytes < needed:
        words = f"{facts.memory_bytes // MB} MB of memory; {facts.workers} workers and control need {needed // MB} MB"
        yield Finding("kernel", Level.WARN, words, "more memory, or fewer workers")


def disk(all_facts: Sequence[DiskFacts], *, sqlite: bool) -> Iterator[Finding]:
    """Room for records and recordings."""
    for facts in all_facts:
        here = f"{facts.what} ({facts.path})"
        if not facts.writable:
            yield Finding(
                "disk",
                Level.FAIL,
                f"{here} cannot be written",
                "see its owner, its mode and its mount options",
            )
            continue
        free = f"{facts.free_bytes / GB:.1f} GB free"
        if facts.free_bytes < 200 * MB:
            do = "make room: sipbridge retention plan, or a larger disk"
            yield Finding("disk", Level.FAIL, f"{here}: {free}; events and recordings will soon be lost", do)
        elif facts.total_inodes and facts.free_inodes < 1000:
            yield Finding(
                "disk",
                Level.FAIL,
                f"{here}: only {facts.free_inodes} files can still be made",
                "delete small files",
            )
        else:
            yield _room(facts, here, free)
        if sqlite and facts.what == "state" and facts.filesystem in {"nfs", "nfs4", "cifs", "fuse.sshfs"}:
            words = f"{here} is a network disk ({facts.filesystem}): SQLite breaks there"
            yield Finding("disk", Level.FAIL, words, "a local disk for state_dir, or PostgreSQL as the store")


def _room(facts: DiskFacts, here: str, free: str) -> Finding:
    if not facts.recorded_calls:
        level = Level.WARN if facts.free_bytes < 1 * GB else Level.OK
        return Finding("disk", level, f"{here}: {free}", "make room" if level else "")
    hours = facts.free_bytes / RECORDING_BYTES_PER_H
    busy = hours / facts.recorded_calls
    at_once = f"{busy:.1f} h with {facts.recorded_calls} calls at once"
    words = f"{here}: {free}, room for {hours:.0f} hours of recordings ({at_once})"
    if busy < 8:
        do = "a larger disk, retention.recordings_days, or recording: {enabled: false}"
        return Finding("disk", Level.WARN, words, do)
    return Finding("disk", Level.OK, words)


def files(
    all_facts: Iterable[FileFacts], *, euid: int, running_uid: int | None, workers_user: str = ""
) -> Iterator[Finding]:
    """Who may read what, and who owns it. `workers_user`: whom workers run as, if not as the bridge."""
    facts = list(all_facts)
    owner = (
        running_uid
        if running_uid is not None
        else next((one.uid for one in facts if one.what == "state"), euid)
    )
    found = False
    for one in facts:
        rights = stat.S_IMODE(one.mode)
        if one.secret and rights & 0o077:
            found = True
            words = f"{one.what} ({one.path}) can be read by others ({rights:04o})"
            yield Finding(
                "files", Level.FAIL, words, f"chmod go= {one.path}; who may have read it: replace the key"
            )
        elif one.what == "state" and rights & 0o007:
            found = True
            words = (
                f"{one.path} is open to every account ({rights:04o}): recordings and transcripts are in it"
            )
            yield Finding("files", Level.WARN, words, f"chmod o= {one.path}")
        mine, who = (
            (owner, "the bridge is") if one.owner is None else (one.owner, "its writers, the workers, are")
        )
        if one.uid != mine:
            found = True
            words = f"{one.what} ({one.path}) belongs to account {one.uid}, {who} account {mine}"
            yield Finding(
                "files", Level.FAIL, words, f"chown -R {mine} {one.path} (somebody ran a command as another)"
            )
    if workers_user:
        found = True
        words = f"the bridge is root's, its workers are account {workers_user} (pool.user)"
        yield Finding("files", Level.NOTE, words)
    elif (running_uid if running_uid is not None else euid) == 0:
        found = True
        words = "the bridge runs as root" if running_uid == 0 else "started now, the bridge would run as root"
        yield Finding(
            "files",
            Level.WARN,
            words,
            "an account of its own: ops/systemd/sipbridge.service has User=sipbridge",
        )
    if not found:
        yield Finding(
            "files", Level.OK, f"{len(facts)} files and folders belong to account {owner} and to nobody else"
        )


def zones(known: Mapping[str, bool]) -> Iterator[Finding]:
    """Opening hours are of a zone."""
    missing = sorted(name for name, there in known.items() if not there)
    for name in missing:
        do = "pip install -U tzdata, or apt-get install tzdata"
        yield Finding("zones", Level.FAIL, f"there is no time zone {name} here", do)
    if not missing:
        yield Finding("zones", Level.OK, f"{len(known)} time zones of the dialplan are known here")
