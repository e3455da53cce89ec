"""Only regular files of the plan's own folder are opened, and what is read has a bound."""

import os

import pytest

from bridge.dialplan import inputfile
from bridge.dialplan.load import load
from bridge.errors import DialplanError
from tests.dialplan.test_load_outbound import GOOD


@pytest.fixture
def root(tmp_path):
    (tmp_path / "secret").write_text("hunter2\n")
    (tmp_path / "plan").mkdir()
    return tmp_path / "plan"


def test_a_file_of_the_folder_is_read_by_any_path_and_at_most_one_byte_too_many(root):
    (root / "sub").mkdir()
    (root / "sub" / "a").write_bytes(b"12345")
    (root / "link").symlink_to("sub/a")
    for path in (root / "sub" / "a", root / "sub" / ".." / "sub" / "a", root / "link"):
        assert inputfile.read(path, root, 9) == b"12345"
        assert inputfile.read(path, root, 2) == b"123"
    assert inputfile.read(root.parent / "secret", None, 9) == b"hunter2\n"


def outside(root):
    (root / "link").symlink_to("../secret")
    (root / "chain").symlink_to("link")
    (root / "folder").symlink_to("..")
    return [
        root.parent / "secret",
        root.parent / "nothing",
        root / ".." / "secret",
        root / "link",
        root / "chain",
        root / "folder" / "secret",
        root.parent / "plan2" / "x",
        root / "/dev/zero",
    ]


def test_nothing_else_of_the_machine_is_read_nor_told_to_be_there(root):
    for path in outside(root):
        with pytest.raises(OSError, match="not in the plan's folder"):
            inputfile.read(path, root, 9)


def test_what_is_no_regular_file_is_refused_at_once(root):
    os.mkfifo(root / "pipe")
    (root / "round").symlink_to("round")
    for path in (root / "pipe", root, root / "round", root / "a\0b", root / "a\ud800"):
        with pytest.raises(OSError):
            inputfile.read(path, root, 9)
    with pytest.raises(OSError, match="not a regular file"):
        inputfile.read(inputfile.Path("/dev/zero"), None, 9)


@pytest.mark.parametrize("path", ["../secret", "{root}/../secret", "/dev/zero", "link"])
@pytest.mark.parametrize("text", [GOOD.replace("dnc.txt", "FILE"), "play", "hold"])
def test_a_plan_names_no_file_outside_of_its_folder(root, text, path):
    (root / "link").symlink_to("../secret")
    step = {"play": "{play: FILE}", "hold": "{hold: {s: 1, music: FILE}}"}.get(text)
    if step:
        text = f"version: 1\nroutes: [{{name: x, do: [{step}, {{hang_up: {{}}}}]}}]\n"
    (root / "plan.yaml").write_text(text.replace("FILE", path.format(root=root)))
    with pytest.raises(DialplanError) as error:
        load(root / "plan.yaml")
    said = "\n".join(str(one) for one in error.value.problems)
    assert "cannot be read: it is not in the plan's folder" in said
    assert "hunter2" not in said


def test_a_file_that_is_no_list_of_numbers_is_not_repeated_in_what_is_told(root):
    (root / "dnc.txt").write_text("password=hunter2\n030 123 x\n")
    (root / "plan.yaml").write_text(GOOD)
    with pytest.raises(DialplanError) as error:
        load(root / "plan.yaml")
    said = "\n".join(str(one) for one in error.value.problems)
    assert "'030 123 …' is no number" in said
    assert "hunter" not in said
    assert "password" not in said
