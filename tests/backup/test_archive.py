import io
import os
import resource
import signal
import stat
import tarfile

import pytest

from bridge.backup.archive import ArchiveWriter, extract
from bridge.backup.manifest import Manifest
from bridge.errors import BackupError


def manifest(archive):
    return Manifest(5.0, "0.1.0", "0008", 0, 0, recordings=False, files=tuple(archive.entries))


@pytest.fixture
def written(tmp_path):
    """An archive of one key and one text."""
    key = tmp_path / "key"
    key.write_bytes(b"k" * 32)
    path = tmp_path / "backup.tar.gz"
    with ArchiveWriter(path) as archive:
        archive.add("state/keys/audit.key", key)
        archive.text("config/bridge.yaml", "workers: 2\n")
        archive.finish(manifest(archive))
    return path


def test_what_goes_in_comes_out_for_its_owner_only(written, tmp_path):
    assert stat.S_IMODE(written.stat().st_mode) == 0o600
    found = extract(written, tmp_path / "out")
    assert [one.name for one in found.files] == ["state/keys/audit.key", "config/bridge.yaml"]
    key = tmp_path / "out" / "state" / "keys" / "audit.key"
    assert key.read_bytes() == b"k" * 32
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert extract(written, None) == found
    with tarfile.open(written) as plain:
        assert plain.getnames()[-1] == "manifest.json"


def test_an_error_leaves_no_file_and_does_not_touch_the_old_one(tmp_path):
    path = tmp_path / "backup.tar.gz"
    path.write_bytes(b"the old one")
    with pytest.raises(FileNotFoundError), ArchiveWriter(path) as archive:
        archive.add("config/a", tmp_path / "gone")
    assert [one.name for one in tmp_path.iterdir()] == ["backup.tar.gz"]
    assert path.read_bytes() == b"the old one"


def test_a_disk_that_is_full_leaves_nothing_half_written(tmp_path):
    """RLIMIT_FSIZE stands for it: the write fails in the middle, as with ENOSPC."""
    noise = tmp_path / "noise"
    noise.write_bytes(os.urandom(3_000_000))
    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, before[1]))
    try:
        with pytest.raises(OSError, match="too large"), ArchiveWriter(tmp_path / "b.tar.gz") as archive:
            archive.add("recordings/x.wav", noise)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert [one.name for one in tmp_path.iterdir()] == ["noise"]


def test_a_file_that_grows_is_taken_as_it_was_and_one_that_shrinks_is_an_error(tmp_path):
    log = tmp_path / "log"
    log.write_bytes(b"x" * 100)
    with ArchiveWriter(tmp_path / "b.tar.gz") as archive:
        with log.open("ab") as more:
            archive.add("state/log", log)
            more.write(b"y")
        archive.finish(manifest(archive))
    assert extract(tmp_path / "b.tar.gz", None).files[0].bytes == 100
    with pytest.raises((BackupError, OSError)), ArchiveWriter(tmp_path / "c.tar.gz") as archive:
        archive._add("state/log", io.BytesIO(b"short"), 100)
    assert not (tmp_path / "c.tar.gz").exists()


@pytest.mark.parametrize("cut", [0, 1, 20, -1, -30])
def test_an_archive_that_was_cut_off_is_refused(written, cut):
    data = written.read_bytes()
    written.write_bytes(data[:cut])
    with pytest.raises(BackupError):
        extract(written, None)


def test_every_changed_byte_is_found(written):
    data = written.read_bytes()
    for place in range(10, len(data), 7):
        written.write_bytes(data[:place] + bytes([data[place] ^ 0x55]) + data[place + 1 :])
        with pytest.raises(BackupError):
            extract(written, None)


def evil(path, name, kind=tarfile.REGTYPE, link=""):
    with tarfile.open(path, "w:gz") as tar:
        head = tarfile.TarInfo(name)
        head.type, head.linkname = kind, link
        tar.addfile(head, io.BytesIO())


@pytest.mark.parametrize(
    ("name", "kind", "link"),
    [
        ("../outside", tarfile.REGTYPE, ""),
        ("/etc/cron.d/x", tarfile.REGTYPE, ""),
        ("state/link", tarfile.SYMTYPE, "/etc/passwd"),
        ("state/hard", tarfile.LNKTYPE, "state/x"),
        ("state/dev", tarfile.CHRTYPE, ""),
        ("other/x", tarfile.REGTYPE, ""),
    ],
)
def test_an_archive_of_somebody_else_writes_nothing_anywhere(tmp_path, name, kind, link):
    evil(tmp_path / "e.tar.gz", name, kind, link)
    with pytest.raises(BackupError, match="does not belong into a backup"):
        extract(tmp_path / "e.tar.gz", tmp_path / "out")
    assert not (tmp_path / "outside").exists()
