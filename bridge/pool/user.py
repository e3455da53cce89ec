"""The unprivileged user that workers and the local engine run as when root starts the bridge (`pool.user`).

    state_dir        root, their group may pass through it and read nothing in it
    prompts speech run      control writes, they read: new files there get their group (set-group-id), umask 027
    spool recordings log    theirs
    link.sock        control's, their group may connect

Control stays root here, it has the keys; with systemd nobody is root (ops/systemd). Called by `serve` before any
process exists, and by control for the link's socket.
"""

import os
import pwd
from collections.abc import Iterable
from pathlib import Path

from bridge.pool.become import User

UMASK = 0o027
"""Instead of 077: what control writes for the workers is for their group too."""


def find(name: str | None) -> User | None:
    """The user, when one is named and we are root, who alone can change to it. KeyError: there is no such user."""
    if name is None or os.geteuid() != 0:
        return None
    entry = pwd.getpwnam(name)
    return entry.pw_uid, entry.pw_gid, *os.getgrouplist(name, entry.pw_gid)


def group_of(name: str | None) -> int | None:
    """The group that may connect to the link; None: nobody else than we. A user that is gone has none."""
    try:
        user = find(name)
    except KeyError:
        return None
    return user[1] if user else None


def open_folders(
    user: User, state_dir: Path, theirs: Iterable[Path], read: Iterable[Path], recordings: Path
) -> None:
    """Make the folders and give them to whom they belong. OSError when one cannot be made.

    `theirs` with all files in them; of `recordings`, which may be very many, the folders.
    """
    uid, gid = user[:2]
    os.chown(state_dir, -1, gid)
    state_dir.chmod(0o710)
    for folder in read:
        folder.mkdir(parents=True, exist_ok=True)
        os.chown(folder, -1, gid)
        folder.chmod(0o2750)
        for file in folder.iterdir():  # of an earlier start without the setting
            if file.is_file() and not file.is_symlink():
                os.chown(file, -1, gid)
                file.chmod(file.stat().st_mode & 0o700 | 0o040)
    for folder in (*theirs, recordings):
        folder.mkdir(parents=True, exist_ok=True)
        for place, folders, files in os.walk(folder):
            for name in (".", *folders, *(files if folder != recordings else ())):
                os.chown(Path(place, name), uid, gid, follow_symlinks=False)


def cannot_use(user: User, read: Iterable[Path], write: Iterable[Path] = ()) -> list[Path]:
    """Those of the paths that this user cannot read, or write; asked of the kernel in a process of that user."""
    wanted = [*((path, os.R_OK) for path in read), *((path, os.W_OK | os.X_OK) for path in write)]
    told, tell = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups(user[2:])
            os.setgid(user[1])
            os.setuid(user[0])
            os.write(tell, bytes(not _usable(path, mode) for path, mode in wanted))
        finally:
            os._exit(0)
    os.close(tell)
    with os.fdopen(told, "rb") as answer:
        verdict = answer.read()
    os.waitpid(child, 0)
    if len(verdict) != len(wanted):
        return [path for path, _ in wanted]
    return [path for (path, _), bad in zip(wanted, verdict, strict=True) if bad]


def _usable(path: Path, mode: int) -> bool:
    return os.access(path, mode | (os.X_OK if os.path.isdir(path) else 0))  # noqa: PTH112  # that one raises
