"""Puts a backup back: everything looked at first, then in one go, and undone when something fails in between.

    archive ──hashes──► state_dir/.restore-… ──moves──► state_dir    (what was there: state_dir/replaced-<time>)
                                              database in its place, or pg_restore in one transaction
    then: calls that were going on get their end, campaigns are paused, the audit gets an entry

Refuses while a bridge runs on the folder, and what is not empty unless told to replace it. Nobody is called twice:
calls that were still to be placed may have been placed since the backup, so they are cancelled or paused. Blocking.
"""

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bridge.approval.signing import Signer
from bridge.backup.archive import extract
from bridge.backup.manifest import Manifest
from bridge.control_sweep import Sweeper
from bridge.errors import BackupError
from bridge.link.spool import known_boots
from bridge.outbound.job import FINAL
from bridge.settings import Settings
from bridge.store import copying
from bridge.store.callrows import Death
from bridge.store.gatestore import GateStore, NewAudit
from bridge.store.look import Look
from bridge.store.outboundstore import OutboundStore
from bridge.store.store import Store
from bridge.supervisor import SupervisorError, lock

Mover = Callable[[Path, Path], None]
LOCK = "supervisor.pid"
SQLITE = "sqlite:///"


@dataclass(frozen=True, slots=True)
class Settled:
    """What was done with what was under way. `aside`: where that is that was there before."""

    calls_ended: int
    jobs_cancelled: int
    campaigns_paused: tuple[str, ...]
    aside: str = ""


def restore(path: Path, settings: Settings, there: Look, *, replace: bool) -> tuple[Manifest, str]:
    """Put it back; answers its manifest, and where what was there before is ("" when nothing was).

    BackupError: nothing was changed. `there`: what the store holds now.
    """
    state = settings.state_dir
    try:
        held = lock(str(state))
    except SupervisorError as error:
        raise BackupError(f"{error}: nothing was restored") from error
    try:
        _may(settings, there, replace=replace)
        with tempfile.TemporaryDirectory(prefix=".restore-", dir=state) as folder:
            staged = Path(folder)
            manifest = extract(path, staged)
            _fits(manifest, staged, settings, there)
            return manifest, _move(staged, settings)
    finally:
        os.close(held)


def _may(settings: Settings, there: Look, *, replace: bool) -> None:
    state, url = settings.state_dir, str(settings.store)
    if there.error and not url.startswith(SQLITE):
        raise BackupError(f"{there.url}: {there.error}")
    if replace:
        return
    names = sorted(one.name for one in state.iterdir() if one.name != LOCK and not _aside(one.name))
    if there.revision is not None and (there.calls or url.startswith(SQLITE)):
        raise BackupError(f"{there.url} holds {there.calls} calls: --replace puts the backup in their place")
    if names:
        raise BackupError(f"{state} is not empty ({', '.join(names[:4])}): --replace sets it aside")


def _fits(manifest: Manifest, staged: Path, settings: Settings, there: Look) -> None:
    if manifest.revision not in there.known:
        words = f"it is of revision {manifest.revision}, this program knows up to {there.head}"
        raise BackupError(f"the backup was made by a newer program ({manifest.program}): {words}")
    name = copying.file_name(str(settings.store))
    if not (staged / name).is_file():
        other = copying.SQLITE_FILE if name == copying.POSTGRES_FILE else copying.POSTGRES_FILE
        raise BackupError(f"the backup holds {other}, the settings' store is of the other kind")
    if name == copying.SQLITE_FILE:
        copying.check(staged / name)


def _move(staged: Path, settings: Settings) -> str:
    """Everything to its place; the way back when one step fails."""
    state, url = settings.state_dir, str(settings.store)
    recordings = Path(str(settings.recording.folder))
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    aside = state / f"replaced-{stamp}"
    with _undoing() as move:
        for path in sorted(state.iterdir()):
            if path.name != LOCK and not _aside(path.name) and path != recordings:
                move(path, aside / path.name)
        for path in sorted((staged / "state").glob("*")):
            move(path, state / path.name)
        if (staged / "config").exists():
            shutil.rmtree(state / "restored-config", ignore_errors=True)
            move(staged / "config", state / "restored-config")
        _recordings(staged / "recordings", recordings)
        name = copying.file_name(url)
        if name == copying.SQLITE_FILE:
            database = Path(url.removeprefix(SQLITE))
            for old in database.parent.glob(f"{database.name}*"):
                move(old, aside / "database" / old.name)
            move(staged / name, database)
        else:  # the last step: it is one transaction of its own
            copying.put_back(url, staged / name)
    return str(aside) if aside.exists() else ""


@contextlib.contextmanager
def _undoing() -> Iterator[Mover]:
    done: list[tuple[Path, Path]] = []

    def move(source: Path, target: Path) -> None:
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        shutil.move(source, target)
        done.append((source, target))

    try:
        yield move
    except BaseException:
        for source, target in reversed(done):
            source.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(target, source)
        raise


def _recordings(staged: Path, folder: Path) -> None:
    """Beside what is there: a recording is never changed, so one of the same name is the same."""
    for path in sorted(staged.rglob("*")) if staged.exists() else ():
        target = folder / path.relative_to(staged)
        if path.is_file() and not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            shutil.move(path, target)


def _aside(name: str) -> bool:
    return name.startswith(("replaced-", ".restore-"))


async def settle(settings: Settings, manifest: Manifest, by: str) -> Settled:
    """Bring what was under way at the backup's moment to an end: calls, campaigns, single calls; and say so.

    StoreError: try again by starting the bridge, which ends open calls as well.
    """
    when = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(manifest.made_at))
    spool = settings.state_dir / "spool"
    for path in spool.glob("worker-*.jsonl"):
        path.with_suffix(".exit").write_text(f"the backup of {when} was restored\n", encoding="utf-8")
    async with Store(str(settings.store), node=settings.node.called) as store:
        ended, spools = [], known_boots(spool)
        for worker, boot in await store.open_boots():
            if boot not in spools:
                death = Death(manifest.made_at, f"the backup of {when} was restored")
                ended += await store.adopt(worker, boot, [], death)
        ended += await Sweeper(spool, store, grace_s=0.0).sweep(time.monotonic())
        cancelled, paused = await _outbound(OutboundStore(store))
        gates = GateStore(store, Signer(settings.state_dir / "keys"))
        facts = {"made_at": manifest.made_at, "calls": manifest.calls, "calls_ended": len(ended)}
        await gates.note(NewAudit("restored", by, facts), "", time.time())
    return Settled(len(ended), cancelled, paused)


async def _outbound(jobs: OutboundStore) -> tuple[int, tuple[str, ...]]:
    names = [campaign.name for campaign in await jobs.campaigns()]
    paused = [name for name in names if await jobs.set_campaign(name, ("running",), "paused")]
    waiting = [job for job in await jobs.jobs(campaign="", limit=10_000) if job.state not in FINAL]
    for job in waiting:
        await jobs.cancel(job.job_id)
    return len(waiting), tuple(sorted(paused))
