"""`sipbridge backup` and `sipbridge restore`: everything that cannot be made again in one file, and back.

A backup runs beside a running bridge; a restore wants it stopped. Not worker-safe.
"""

import asyncio
import json
import os
import time
from pathlib import Path
from typing import Annotated

import typer

from bridge.approval.signing import AUDIT_PUBLIC, Verifier
from bridge.backup.archive import extract
from bridge.backup.make import Wanted, make
from bridge.backup.manifest import Manifest
from bridge.backup.restore import Settled, settle
from bridge.backup.restore import restore as put_back
from bridge.cli.audit import Evidence, heads_of, keys_of_nodes, wrong_with
from bridge.cli.identity import with_store
from bridge.control_anchor import HEADS
from bridge.errors import BackupError, StoreError
from bridge.settings import Settings, load
from bridge.store.gatestore import GateStore
from bridge.store.look import Look, look
from bridge.store.store import Store
from bridge.store.userstore import User

Config = Annotated[Path | None, typer.Option("--config", help="Settings file.", envvar="SIPBRIDGE_CONFIG")]
AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]
NAME = "sipbridge-%Y%m%dT%H%M%SZ.tar.gz"
NICE = 10


def backup(
    target: Annotated[Path, typer.Argument(metavar="FILE", help="The file, or a folder for dated files.")],
    recordings: Annotated[
        bool, typer.Option("--recordings", help="With the calls' recordings; messages of callers always are.")
    ] = False,
    keep: Annotated[
        int | None, typer.Option("--keep", min=1, help="A folder: only the newest so many stay.")
    ] = None,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Write a backup beside the running bridge. The file holds keys and personal data: it is readable for us only."""
    os.nice(NICE)  # calls go first
    settings = load(config, os.environ)
    folder = target if target.is_dir() else None
    path = target / time.strftime(NAME, time.gmtime()) if folder else target
    if keep is not None and folder is None:
        raise BackupError("--keep is for a folder of dated files")
    with_store(config, "administer", _allowed)
    try:
        manifest = make(path, Wanted(settings, config, recordings), _look(settings))
    except OSError as error:
        raise BackupError(
            f"{path} cannot be written: {error.strerror or error}; nothing is left of it"
        ) from error
    gone = _thin(folder, keep) if folder and keep else []
    size = path.stat().st_size
    if as_json:
        typer.echo(json.dumps({"file": str(path), "bytes": size, "calls": manifest.calls, "deleted": gone}))
        return
    typer.echo(f"{path}: {size / 1e6:.1f} MB, {_shown(manifest)}")
    for name in gone:
        typer.echo(f"deleted {name}")


def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What `sipbridge backup` wrote.")],
    check: Annotated[bool, typer.Option("--check", help="Only look whether it is whole.")] = False,
    replace: Annotated[bool, typer.Option("--replace", help="Set aside what is there.")] = False,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Put a backup back into the state folder and the store of the settings. The bridge must not run."""
    if check:
        manifest = extract(file, None)
        typer.echo(
            json.dumps({"whole": True, "calls": manifest.calls})
            if as_json
            else f"{file} is whole: {_shown(manifest)}"
        )
        return
    settings = load(config, os.environ)
    if os.geteuid() and settings.state_dir.exists() and settings.state_dir.stat().st_uid != os.geteuid():
        raise BackupError(f"{settings.state_dir} belongs to another account: run it as that, or as root")
    owner = _owner(settings)
    manifest, aside = put_back(file, settings, _look(settings), replace=replace)
    settled = asyncio.run(settle(settings, manifest, _account()))
    if owner is not None:
        _give(settings.state_dir, owner)
    wrong = asyncio.run(_audit(settings))
    _told(manifest, settled, aside, wrong, as_json=as_json)
    raise typer.Exit(bool(wrong))


async def _allowed(_store: Store, _settings: Settings, _me: User) -> None:
    """Nothing to do: with_store has asked."""


def _look(settings: Settings) -> Look:
    return asyncio.run(look(str(settings.store)))


async def _audit(settings: Settings) -> list[str]:
    async with Store(str(settings.store), migrate=False) as store:
        evidence = Evidence(*await GateStore(store).evidence())
        try:
            theirs = await keys_of_nodes(store, settings)
        except StoreError as error:  # the key is not there: what other nodes signed cannot be looked at
            return [str(error)]
    heads = settings.audit.heads or settings.state_dir / HEADS
    verifier = Verifier(settings.state_dir / "keys" / AUDIT_PUBLIC, theirs)
    return wrong_with(evidence, list(heads_of(heads)), verifier)


def _told(manifest: Manifest, settled: Settled, aside: str, wrong: list[str], *, as_json: bool) -> None:
    if as_json:
        paused = list(settled.campaigns_paused)
        body = {"calls": manifest.calls, "calls_ended": settled.calls_ended, "paused": paused, "aside": aside}
        typer.echo(json.dumps({**body, "cancelled": settled.jobs_cancelled, "audit": wrong}))
        return
    typer.echo(f"restored: {_shown(manifest)}")
    lines = [
        (aside, f"what was there before is in {aside}"),
        (settled.calls_ended, f"{settled.calls_ended} calls that were going on then are ended in the record"),
        (
            settled.jobs_cancelled,
            f"{settled.jobs_cancelled} outbound calls are cancelled: they may have been placed since",
        ),
        *(
            (True, f"campaign {name} is paused: sipbridge campaign resume {name}")
            for name in settled.campaigns_paused
        ),
        *((True, f"audit: {problem}") for problem in wrong),
        (not wrong, "the audit holds"),
    ]
    for there, line in lines:
        if there:
            typer.echo(line)


def _shown(manifest: Manifest) -> str:
    when = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(manifest.made_at))
    kind = "with" if manifest.recordings else "without"
    what = f"{len(manifest.files)} files, {manifest.calls} calls, {kind} recordings"
    return f"of {when}, {what}, sipbridge {manifest.program}"


def _thin(folder: Path, keep: int) -> list[str]:
    """Delete the oldest of our dated files."""
    dated = sorted(folder.glob("sipbridge-????????T??????Z.tar.gz"))
    for path in dated[:-keep]:
        path.unlink()
    return [path.name for path in dated[:-keep]]


def _account() -> str:
    import pwd  # noqa: PLC0415  # only for a name

    return pwd.getpwuid(os.geteuid()).pw_name


def _owner(settings: Settings) -> tuple[int, int] | None:
    """As root: whose the state folder is, to whom everything restored has to belong."""
    if os.geteuid() or not settings.state_dir.exists():
        return None
    facts = settings.state_dir.stat()
    return facts.st_uid, facts.st_gid


def _give(folder: Path, owner: tuple[int, int]) -> None:
    for path in (folder, *folder.rglob("*")):
        os.chown(path, *owner, follow_symlinks=False)
