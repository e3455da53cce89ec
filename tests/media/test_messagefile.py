import os
from pathlib import Path

import pytest

from bridge.errors import MediaError
from bridge.media.messagefile import is_message, message_path, open_message, save
from bridge.media.offline import read_wav


def test_a_message_is_a_private_file_of_its_day_and_call(tmp_path):
    path = message_path(str(tmp_path), "c1", 2, 1_700_000_000.0)
    assert str(path.relative_to(tmp_path)) in (
        "voicemail/2023-11-14/c1-2.wav",
        "voicemail/2023-11-15/c1-2.wav",
    )
    assert save(path, b"\1\0" * 12_000) == 1.5
    assert read_wav(path) == b"\1\0" * 12_000
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert path.parent.parent.stat().st_mode & 0o777 == 0o700


def test_nothing_half_is_left_when_it_cannot_be_written(tmp_path):
    path = message_path(str(tmp_path), "c1", 1, 0.0)
    path.mkdir(parents=True)  # something else has its name
    with pytest.raises(MediaError, match="cannot be kept"):
        save(path, b"\0\0")
    assert [*path.parent.iterdir()] == [path]


def test_a_folder_that_cannot_be_made_says_why(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(MediaError, match=r"Not a directory|File exists"):
        save(message_path(str(tmp_path / "file"), "c1", 1, 0.0), b"\0\0")


def test_only_files_in_the_messages_folder_are_messages(tmp_path):
    path = message_path(str(tmp_path / "rec"), "c1", 1, 0.0)
    save(path, b"\0\0")
    (tmp_path / "secret").write_text("")
    link = path.with_name("link.wav")
    link.symlink_to(tmp_path / "secret")
    outside = path.parent / ".." / ".." / ".." / "secret"
    assert is_message(path, str(tmp_path / "rec"))
    assert not any(
        is_message(one, str(tmp_path / "rec")) for one in (link, outside, path.parent, path.with_name("no"))
    )


def test_only_a_message_is_opened_whatever_the_path_was_a_moment_ago(tmp_path):
    recordings = str(tmp_path / "rec")
    path = message_path(recordings, "c", 1, 0.0)
    save(path, b"\1\0" * 80)
    with open_message(path, recordings) as file:
        assert file.read() == path.read_bytes()
    (tmp_path / "secret").write_text("x")
    (path.parent / "link.wav").symlink_to(tmp_path / "secret")
    os.mkfifo(path.parent / "pipe.wav")
    for wrong in (tmp_path / "secret", path.parent / "link.wav", path.parent / "pipe.wav", path.parent):
        with pytest.raises(OSError, match="messages' folder"):
            open_message(wrong, recordings)
    with pytest.raises(OSError):
        open_message(path.with_name("no.wav"), recordings)


class Swapped(type(Path())):
    """A path whose folder is swapped for a link between the look at it and its opening."""

    def resolve(self, strict=False):
        real = Path(self).resolve(strict=strict)
        real.parent.rename(real.parent.with_name("gone"))
        real.parent.symlink_to(real.parents[3] / "elsewhere")
        return real


def test_a_folder_that_is_swapped_for_a_link_meanwhile_gives_nothing_away(tmp_path):
    recordings = str(tmp_path / "rec")
    path = message_path(recordings, "c", 1, 0.0)
    save(path, b"\1\0" * 80)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / path.name).write_text("secret")
    with pytest.raises(OSError, match="messages' folder"):
        open_message(Swapped(path), recordings)
