"""As root, with the user nobody, whom every machine has."""

import os
import pwd
import shutil
import tempfile
from pathlib import Path

import pytest

from bridge.pool.user import cannot_use, find, group_of, open_folders

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give folders away")


@pytest.fixture
def folder():
    """Not below pytest's own, which nobody may pass through."""
    made = Path(tempfile.mkdtemp(prefix="sipbridge-user-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


def nobody():
    entry = pwd.getpwnam("nobody")
    return entry.pw_uid, entry.pw_gid


@as_root
def test_a_user_is_found_with_their_groups_and_an_unknown_one_is_an_error():
    assert find("nobody")[:2] == nobody()
    assert nobody()[1] in find("nobody")[2:]
    assert group_of("nobody") == nobody()[1]
    with pytest.raises(KeyError):
        find("nobody-of-that-name")
    assert group_of("nobody-of-that-name") is None


def test_where_nobody_is_named_everything_stays_with_us():
    assert find(None) is None
    assert group_of(None) is None


@as_root
def test_folders_are_theirs_or_readable_by_their_group_and_the_rest_is_closed(folder):
    state = folder / "state"
    old = state / "prompts" / "old.wav"
    for file in (old, state / "spool" / "old.jsonl", state / "rec" / "day" / "old.wav", state / "store.db"):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(0o600)
    user = find("nobody")
    open_folders(user, state, [state / "spool"], [state / "prompts"], state / "rec")

    def facts(path):
        found = path.stat()
        return found.st_uid, found.st_gid, oct(found.st_mode & 0o7777)

    uid, gid = user[:2]
    assert facts(state) == (0, gid, "0o710")
    assert facts(state / "prompts") == (0, gid, "0o2750")
    assert facts(old) == (0, gid, "0o640")
    assert facts(state / "spool" / "old.jsonl")[:2] == (uid, gid)
    assert facts(state / "rec" / "day")[:2] == (uid, gid)
    assert facts(state / "rec" / "day" / "old.wav")[:2] == (0, 0)
    assert facts(state / "store.db") == (0, 0, "0o600")

    before = os.umask(0o027)
    try:
        (state / "prompts" / "new.wav").touch()
    finally:
        os.umask(before)
    assert facts(state / "prompts" / "new.wav") == (0, gid, "0o640")
    reads = [old, state / "prompts", state / "prompts" / "new.wav"]
    assert cannot_use(user, reads, [state / "spool", state / "rec" / "day"]) == []
    assert cannot_use(user, [state / "store.db"], [state / "prompts"]) == [
        state / "store.db",
        state / "prompts",
    ]


@as_root
def test_what_lies_in_a_closed_folder_cannot_be_used(folder):
    (folder / "closed").mkdir(mode=0o700)
    (folder / "closed" / "program").touch(0o755)
    wanted = [folder, folder / "closed" / "program", folder / "no" / "such"]
    assert cannot_use(find("nobody"), wanted) == wanted[1:]
