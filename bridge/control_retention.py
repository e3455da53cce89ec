"""The job that deletes what the settings keep no longer, beside running calls and without disturbing them.

    files of this machine   recordings/<day>/*.wav, recordings/voicemail/<day>/*.wav, speech/*.wav, log/*.log.N
    rows of the store       calls page by page, one small transaction each; only on the node that has the lease
    the audit               payloads by GateStore.erase: the chain stays, and says that something was erased

A call under a legal hold (`sipbridge calls hold`) loses nothing, a call that goes on neither. Files go first, the rows
that name them after. What was deleted is one line in the log. `sipbridge retention` runs the same code. One task on
control's loop; files on a thread.
"""

import asyncio
import contextlib
import os
import re
import stat
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from bridge.approval.signing import Signer
from bridge.errors import StoreError
from bridge.media.messagefile import FOLDER
from bridge.records.retention import Rules, due
from bridge.settings import Settings
from bridge.settings_ops import Retention
from bridge.store.gatestore import GateStore
from bridge.store.keepstore import Forgotten, KeepStore, OldCall
from bridge.store.store import Store

log = structlog.get_logger(__name__)

LOGS_EVERY_S = 60.0
MAX_PJSIP_LOG_BYTES = 8 * 1024 * 1024
BY = "retention"
"""The actor of its entries in the audit."""
_ROTATED = re.compile(r".+\.log\.\d+")


@dataclass(frozen=True, slots=True)
class Places:
    """Folders of this machine. `log_file`: the settings' log.file, when there is one."""

    recordings: Path
    state_dir: Path
    log_file: Path | None = None


@dataclass(slots=True)
class Tally:
    """What was deleted, or would be: numbers by name of the artefact, and `bytes` of files."""

    counts: Counter[str] = field(default_factory=Counter)
    held: int = 0

    def shown(self) -> dict[str, int]:
        """Without zeros."""
        return {name: number for name, number in sorted(self.counts.items()) if number}


class RetentionJob:
    """`mine()`: whether this process has the lease on the rows; with SQLite it always does."""

    def __init__(
        self,
        keep: KeepStore,
        gates: GateStore,
        settings: Retention,
        places: Places,
        mine: Callable[[], bool] = lambda: True,
    ) -> None:
        self._keep = keep
        self._gates = gates
        self._settings = settings
        self._rules = settings.rules()
        self._places = places
        self._mine = mine

    async def run(self) -> None:
        """Until cancelled: logs are bounded every minute, the rest is looked at every `every_s`."""
        due_at = 0.0
        while True:
            try:
                await asyncio.to_thread(bound_logs, self._places.state_dir / "log")
                if time.monotonic() >= due_at:
                    due_at = time.monotonic() + self._settings.every_s
                    tally = await self.once(time.time())
                    if tally.shown():
                        log.info("retention.deleted", held=tally.held, **tally.shown())
            except (StoreError, OSError) as error:
                log.error("retention.failed", reason=str(error))  # noqa: TRY400  # it says it all; again next time
            await asyncio.sleep(min(LOGS_EVERY_S, self._settings.every_s))

    async def once(self, now: float, *, dry_run: bool = False) -> Tally:
        """Delete what is due, or only count it. StoreError, OSError: what was done is done, the rest is next time's."""
        tally = Tally()
        held = {hold.call_id for hold in await self._keep.holds()}
        tally.counts.update(
            await asyncio.to_thread(_files, self._places, self._rules, now, held, dry_run=dry_run)
        )
        if self._mine():
            await self._calls(now, tally, dry_run=dry_run)
            await self._messages(now, tally, dry_run=dry_run)
            await self._outbound(now, tally, dry_run=dry_run)
        return tally

    async def _calls(self, now: float, tally: Tally, *, dry_run: bool) -> None:
        before, after = self._rules.oldest(now), (0.0, "")
        while before is not None and (page := await self._keep.page(after, before, self._settings.batch)):
            after = (page[-1].started_at, page[-1].call_id)
            wanted = {call.call_id: due(call.ended_at, self._rules, now) for call in page}
            held = [call for call in page if call.held and wanted[call.call_id]]
            tally.held += len(held)
            free = [(call, wanted[call.call_id]) for call in page if not call.held]
            if dry_run:
                tally.counts.update(_would(free))
            else:
                await self._forget(free, now, tally)
            await asyncio.sleep(self._settings.pause_ms / 1000)

    async def _forget(self, calls: list[tuple[OldCall, frozenset[str]]], now: float, tally: Tally) -> None:
        keeps = set()
        for call, names in calls:
            if call.payloads and names & {"audit_payloads", "calls"}:
                try:
                    tally.counts["audit_payloads"] += await self._gates.erase(call.call_id, BY, now)
                except StoreError as error:  # a request that is not over: the whole call waits for it
                    log.warning("retention.kept", call_id=call.call_id, reason=str(error))
                    keeps.add(call.call_id)
        free = [(call, names) for call, names in calls if call.call_id not in keeps]

        def of(name: str) -> list[str]:
            return [call.call_id for call, names in free if name in names]

        words = [call.call_id for call, names in free if "transcripts" in names and call.words]
        events = [call.call_id for call, names in free if "events" in names and call.events]
        recordings = [call.call_id for call, names in free if "recordings" in names and call.recording_path]
        if any((of("calls"), words, events, recordings)):
            forgotten = await self._keep.forget(
                recordings=recordings, words=words, events=events, calls_=of("calls")
            )
            tally.counts.update(_counts(forgotten))

    async def _messages(self, now: float, tally: Tally, *, dry_run: bool) -> None:
        before = self._rules.before("voicemail", now)
        while before is not None:
            old = await self._keep.old_messages(before, self._settings.batch if not dry_run else 100_000)
            if old and not dry_run:
                await self._keep.forget_messages([one.voicemail_id for one in old])
            tally.counts["voicemails"] += len(old)
            if len(old) < self._settings.batch or dry_run:
                return
            await asyncio.sleep(self._settings.pause_ms / 1000)

    async def _outbound(self, now: float, tally: Tally, *, dry_run: bool) -> None:
        before = self._rules.before("outbound", now)
        while before is not None:
            if dry_run:
                tally.counts["outbound"] += await self._keep.count_outbound(before)
                return
            gone = await self._keep.forget_outbound(before, self._settings.batch)
            tally.counts["outbound"] += gone
            if gone < self._settings.batch:
                return
            await asyncio.sleep(self._settings.pause_ms / 1000)


def retention_job(settings: Settings, store: Store, mine: Callable[[], bool] = lambda: True) -> RetentionJob:
    """The job as the settings want it."""
    gates = GateStore(store, Signer(settings.state_dir / "keys"))
    places = Places(Path(str(settings.recording.folder)), settings.state_dir, settings.log.file)
    return RetentionJob(KeepStore(store), gates, settings.retention, places, mine)


def remove_inside(path: Path, folder: Path) -> bool:
    """Delete a file, if it lies in `folder`: the store names it, and who writes the store must not name any file.

    False: it is not there, or elsewhere. OSError: the disk refuses.
    """
    real = path.resolve()
    if not real.is_relative_to(folder.resolve()) or not real.is_file():
        return False
    path.unlink()
    with contextlib.suppress(OSError):  # the folder of a day, when it was the last
        path.parent.rmdir()
    return True


def bound_logs(folder: Path, max_bytes: int = MAX_PJSIP_LOG_BYTES) -> None:
    """Cut the SIP library's own logs, which it appends to: the newest part stays beside, under the name .1.

    With `pool.user` the folder is the workers', and we are root: no link of theirs is followed.
    """
    for path in folder.glob("pjsip-*.log"):
        if path.is_symlink():
            continue
        with open(path, "r+b", opener=_no_link) as file:
            facts = os.fstat(file.fileno())
            size = facts.st_size
            if size <= max_bytes or not stat.S_ISREG(facts.st_mode):
                continue
            file.seek(size - max_bytes // 2)
            beside = path.with_name(path.name + ".1")
            beside.unlink(missing_ok=True)
            with beside.open("xb") as newest:
                newest.write(file.read(max_bytes))
            file.truncate(0)
        log.warning("log.cut", file=str(path), bytes=size)


def _no_link(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)


def _files(places: Places, rules: Rules, now: float, held: Collection[str], *, dry_run: bool) -> Counter[str]:
    """Delete old files. Blocking. OSError: a file that cannot be deleted; those before it are gone."""
    found: Counter[str] = Counter()
    for name, path, call_id in _old_files(places, rules, now):
        if call_id in held:
            continue
        found[name] += 1
        found["bytes"] += path.stat().st_size
        if not dry_run:
            path.unlink(missing_ok=True)
            if call_id:
                with contextlib.suppress(OSError):
                    path.parent.rmdir()
    return found


def _old_files(places: Places, rules: Rules, now: float) -> Iterator[tuple[str, Path, str]]:
    """(name of the artefact, file, id of the call or "") of every file whose time is up, by its last change."""
    messages = places.recordings / FOLDER
    log_files = [places.log_file.parent] if places.log_file else []
    kinds = (
        ("recordings", rules.before("recordings", now), places.recordings, "????-??-??/*.wav"),
        ("voicemail_files", rules.before("voicemail", now), messages, "*/*.wav"),
        ("speech", rules.before("speech", now), places.state_dir / "speech", "*.wav"),
        *(
            ("logs", rules.before("logs", now), folder, "*.log.*")
            for folder in {places.state_dir / "log", *log_files}
        ),
    )
    for name, before, folder, pattern in kinds:
        for path in folder.glob(pattern) if before is not None else ():
            if name == "logs" and not _ROTATED.fullmatch(path.name):
                continue
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_mtime < before and path.is_file():  # type: ignore[operator]  # not None, see above
                    yield name, path, _call_of(name, path)


def _call_of(name: str, path: Path) -> str:
    if name == "recordings":
        return path.stem
    return path.stem.rpartition("-")[0] if name == "voicemail_files" else ""


def _would(calls: list[tuple[OldCall, frozenset[str]]]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for call, names in calls:
        all_of = "calls" in names
        counts["calls"] += all_of
        if all_of or "events" in names:
            counts["events"] += call.events
        elif "transcripts" in names:
            counts["events"] += call.words
        if names & {"audit_payloads", "calls"}:
            counts["audit_payloads"] += call.payloads
    return counts


def _counts(gone: Forgotten) -> dict[str, int]:
    return {"calls": gone.calls, "events": gone.events, "voicemails": gone.voicemails}
