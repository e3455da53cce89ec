"""Runs a program as ops/systemd/sipbridge.service would have it: its system calls, user, rights and read-only disk.

    root: hardened.py FOLDER PROGRAM … ─► own mount namespace, / read-only but for FOLDER ─► account 54321,
    no capabilities, no new privileges ─► seccomp filter of the unit (libseccomp) ─► exec PROGRAM

systemd itself is not here; these are the kernel's own means, set to what the unit says. Not set: the address families,
namespaces and devices that the unit forbids as well. Needs root.
"""

import ctypes
import os
import subprocess
import sys
from pathlib import Path

UNIT = Path(__file__).parents[2] / "ops" / "systemd" / "sipbridge.service"
ACCOUNT = 54321
SCMP_ACT_ALLOW, SCMP_ACT_ERRNO_EPERM = 0x7FFF0000, 0x00050000 | 1
PR_SET_NO_NEW_PRIVS, PR_CAPBSET_DROP = 38, 24
MS_BIND, MS_REC, MS_REMOUNT, MS_RDONLY, MS_PRIVATE = 0x1000, 0x4000, 0x20, 1, 1 << 18
CLONE_NEWNS = 0x00020000
libc = ctypes.CDLL(None, use_errno=True)


def expanded(name):
    """The calls of one of systemd's sets, by systemd's own list."""
    listed = subprocess.run(
        ["systemd-analyze", "syscall-filter", name], capture_output=True, text=True, check=True
    )
    found = set()
    for line in listed.stdout.splitlines()[1:]:
        word = line.strip()
        if word.startswith("@"):
            found |= expanded(word)
        elif word and not word.startswith("#"):
            found.add(word)
    return found


def allowed(unit=UNIT):
    """What SystemCallFilter= of the unit leaves; @default is always in it (systemd.exec(5))."""
    calls = expanded("@default")
    for line in unit.read_text().splitlines():
        if line.startswith("SystemCallFilter="):
            words = line.partition("=")[2]
            sets = [expanded(one) for one in words.lstrip("~").split()]
            calls = calls.difference(*sets) if words.startswith("~") else calls.union(*sets)
    return calls


def _check(result, doing):
    if result:
        raise OSError(ctypes.get_errno(), f"{doing}: {os.strerror(ctypes.get_errno())}")


def open_way(place):
    """Where a folder on the way to `place` is closed to others (a Python below /root): show only that part of it."""
    closed = next((part for part in reversed(place.parents) if not part.stat().st_mode & 0o001), None)
    if closed is None:
        return
    kept = os.open(place, os.O_PATH)
    _check(libc.mount(b"tmpfs", str(closed).encode(), b"tmpfs", 0, b"mode=755"), f"hide {closed}")
    place.mkdir(parents=True)
    source = f"/proc/self/fd/{kept}".encode()
    _check(libc.mount(source, str(place).encode(), None, MS_BIND | MS_REC, None), f"show {place}")
    os.close(kept)


def read_only_but(folder):
    """An own mount namespace in which only `folder` can be written (ProtectSystem=strict, PrivateTmp is `folder`)."""
    _check(libc.unshare(CLONE_NEWNS), "unshare")
    _check(libc.mount(None, b"/", None, MS_REC | MS_PRIVATE, None), "private mounts")
    for place in (Path(sys.base_prefix), UNIT.parents[2]):
        open_way(place.resolve())
    path = str(folder).encode()
    _check(libc.mount(path, path, None, MS_BIND, None), "bind the folder")
    mounts = [
        line.split()[1].encode().decode("unicode_escape")
        for line in Path("/proc/mounts").read_text().splitlines()
    ]
    for place in mounts:
        if place != str(folder) and not place.startswith(("/proc", "/dev", "/sys")):
            libc.mount(None, place.encode(), None, MS_BIND | MS_REMOUNT | MS_RDONLY, None)


def become_nobody():
    """Another account, no capability ever again."""
    for capability in range(64):
        libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
    os.setgroups([])
    os.setresgid(ACCOUNT, ACCOUNT, ACCOUNT)
    os.setresuid(ACCOUNT, ACCOUNT, ACCOUNT)
    _check(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no new privileges")


def filter_calls(names):
    """Everything else fails with EPERM, as SystemCallErrorNumber= says."""
    seccomp = ctypes.CDLL("libseccomp.so.2")
    seccomp.seccomp_init.restype = ctypes.c_void_p
    context = ctypes.c_void_p(seccomp.seccomp_init(ctypes.c_uint32(SCMP_ACT_ERRNO_EPERM)))
    for name in names:
        number = seccomp.seccomp_syscall_resolve_name(name.encode())
        if number >= 0:  # others are of other machines
            seccomp.seccomp_rule_add(context, ctypes.c_uint32(SCMP_ACT_ALLOW), number, 0)
    _check(seccomp.seccomp_load(context), "seccomp")


def main(folder, *program):
    names = allowed()
    read_only_but(Path(folder))
    become_nobody()
    filter_calls(names)
    os.execvp(program[0], program)


if __name__ == "__main__":
    main(*sys.argv[1:])
