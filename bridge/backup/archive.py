"""The file of a backup: a gzipped tar, written whole or not at all, and read back with every hash looked at.

Plain tar, so that it can be opened without this program. Only regular files. Blocking.
"""

import contextlib
import gzip
import hashlib
import io
import os
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from bridge.backup.manifest import NAME, Entry, Manifest, safe
from bridge.errors import BackupError

CHUNK = 1 << 20
LEVEL = 3
"""Of gzip: recordings and databases get hardly smaller by more, and calls go on beside it."""
MAX_MANIFEST = 64 << 20


class ArchiveWriter:
    """Context manager. The file has its name only when everything is in it and on the disk; it is 0600."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._part = path.with_name(f".{path.name}.{os.getpid()}.part")
        self.entries: list[Entry] = []

    def __enter__(self) -> Self:
        handle = os.open(self._part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        self._file = os.fdopen(handle, "wb")
        self._tar = tarfile.open(fileobj=self._file, mode="w:gz", compresslevel=LEVEL)  # closed below
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            with contextlib.ExitStack() as stack:
                stack.callback(self._file.close)
                if error is None:
                    self._tar.close()
                    self._file.flush()
                    os.fsync(self._file.fileno())
            if error is None:
                self._part.replace(self._path)
        finally:
            self._part.unlink(missing_ok=True)

    def add(self, name: str, path: Path) -> None:
        """Add a file as it is now: what is appended to it meanwhile is left out, what it loses is an error."""
        with path.open("rb") as source:
            size = os.fstat(source.fileno()).st_size
            self._add(name, source, size)

    def text(self, name: str, text: str) -> None:
        """Add a small text."""
        data = text.encode()
        self._add(name, io.BytesIO(data), len(data))

    def finish(self, manifest: Manifest) -> None:
        """Add the manifest, the last file."""
        self.text(NAME, manifest.to_json())

    def _add(self, name: str, source: IO[bytes], size: int) -> None:
        head = tarfile.TarInfo(name)
        head.size, head.mode = size, 0o600
        reader = _Hashing(source, size)
        try:
            self._tar.addfile(head, reader)
        except tarfile.TarError as error:
            raise BackupError(f"{name} changed while it was read: {error}") from error
        self.entries.append(Entry(name, size, reader.digest.hexdigest()))


class _Hashing:
    def __init__(self, source: IO[bytes], size: int) -> None:
        self._source, self._left, self.digest = source, size, hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        data = self._source.read(self._left if size < 0 else min(size, self._left))
        self._left -= len(data)
        self.digest.update(data)
        return data


def extract(path: Path, folder: Path | None) -> Manifest:
    """Look at the whole archive, and put its files into `folder` if there is one.

    BackupError: it is none, something in it was changed, or does not belong there. OSError: the disk.
    """
    try:
        manifest, found = _read(path, folder)
    except (tarfile.TarError, EOFError, ValueError, zlib.error) as error:
        raise BackupError(f"{path} is no backup, or is damaged: {error}") from error
    except OSError as error:
        if error.filename or error.errno:
            raise
        raise BackupError(f"{path} is no backup, or is damaged: {error}") from error  # gzip's own
    if manifest is None:
        raise BackupError(f"{path} has no {NAME}: it was cut off, or is no backup")
    if wrong := manifest.differences(found):
        raise BackupError(f"{path} is damaged: " + "; ".join(wrong[:5]))
    return manifest


def _read(path: Path, folder: Path | None) -> tuple[Manifest | None, dict[str, Entry]]:
    found: dict[str, Entry] = {}
    manifest = None
    with gzip.open(path) as whole, tarfile.open(fileobj=whole, mode="r:") as tar:
        for member in tar:
            source = tar.extractfile(member) if member.isreg() else None
            if source is None or not safe(member.name) or member.name in found:
                raise BackupError(f"{path}: {member.name[:200]!r} does not belong into a backup")
            if member.name == NAME:
                manifest = Manifest.from_json(source.read(MAX_MANIFEST).decode("utf-8", "replace"))
            else:
                found[member.name] = _take(member.name, source, folder)
        while whole.read(CHUNK):  # to the end, where gzip's own checksum is
            pass
    return manifest, found


def _take(name: str, source: IO[bytes], folder: Path | None) -> Entry:
    digest, size = hashlib.sha256(), 0
    with _target(folder, name) as out:
        while data := source.read(CHUNK):
            digest.update(data)
            size += len(data)
            if out is not None:
                out.write(data)
    return Entry(name, size, digest.hexdigest())


@contextlib.contextmanager
def _target(folder: Path | None, name: str) -> Iterator[IO[bytes] | None]:
    if folder is None:
        yield None
        return
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())
