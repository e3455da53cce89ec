import pytest

from bridge.errors import MediaError
from bridge.media.messagefile import is_message, message_path, save
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
