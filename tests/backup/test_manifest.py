import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.backup.manifest import Entry, Manifest, safe
from bridge.errors import BackupError

MANIFEST = Manifest(5.0, "0.1.0", "0008", 3, 1, recordings=False, files=(Entry("state/keys/a", 3, "ab"),))


def test_a_manifest_comes_back_as_it_was_written():
    assert Manifest.from_json(MANIFEST.to_json()) == MANIFEST


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"format": 1}', '{"format": 1, "files": [{"x": 1}]}'])
def test_what_is_no_manifest_is_refused(text):
    with pytest.raises(BackupError, match="cannot be read"):
        Manifest.from_json(text)


def test_a_newer_format_is_refused_as_such():
    with pytest.raises(BackupError, match="newer program"):
        Manifest.from_json(MANIFEST.to_json().replace('"format": 1', '"format": 2'))


def test_files_that_differ_are_named():
    good = {"state/keys/a": MANIFEST.files[0]}
    assert MANIFEST.differences(good) == []
    assert MANIFEST.differences({}) == ["state/keys/a is missing"]
    changed = {"state/keys/a": Entry("state/keys/a", 3, "cd"), "state/x": Entry("state/x", 1, "")}
    assert MANIFEST.differences(changed) == ["state/keys/a was changed", "state/x does not belong to it"]


@pytest.mark.parametrize(
    ("name", "inside"),
    [
        ("state/keys/audit.key", True),
        ("database.sqlite", True),
        ("manifest.json", True),
        ("recordings/2026-01-01/c.wav", True),
        ("state/../../etc/passwd", False),
        ("/etc/passwd", False),
        ("etc/passwd", False),
        ("state//x", False),
        ("./state/x", False),
        ("..", False),
    ],
)
def test_only_names_below_known_tops_are_safe(name, inside):
    assert safe(name) == inside


@given(st.text())
def test_no_name_that_is_safe_leads_out(name):
    if safe(name):
        assert not name.startswith("/")
        assert ".." not in name.split("/")
