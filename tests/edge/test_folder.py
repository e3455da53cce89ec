import os
import stat

import pytest

from bridge.edge.folder import EdgeFolder, edge_secret, user_id
from bridge.errors import EdgeError
from bridge.settings import load


def settings(folder, text="edge: {enabled: true}\n"):
    (folder / "bridge.yaml").write_text(f"state_dir: state\n{text}")
    return load(folder / "bridge.yaml", {})


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_files_are_for_one_user_and_put_there_whole(tmp_path):
    folder = EdgeFolder(settings(tmp_path), tmp_path / "edge")
    folder.make()
    assert folder.write("address.list", "one\n")
    assert not folder.write("address.list", "one\n"), "nothing has changed"
    assert folder.write("address.list", "two\n")
    assert (folder.path / "address.list").read_text() == "two\n"
    assert {mode(path) for path in (folder.path / "tables").iterdir()} == {0o600}
    assert {mode(path) for path in (folder.path, folder.path / "tables", folder.path / "tls")} == {0o700}
    assert sorted(path.name for path in folder.path.iterdir()) == ["address.list", "tables", "tls"]


def test_making_it_again_keeps_what_control_wrote(tmp_path):
    folder = EdgeFolder(settings(tmp_path), tmp_path / "edge")
    folder.make()
    folder.write("tables/users", "mine\n")
    folder.make()
    assert (folder.path / "tables" / "users").read_text() == "mine\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files to others")
def test_roots_edge_lies_where_kamailios_user_gets_at_it(tmp_path):
    chosen = settings(tmp_path, f"edge: {{enabled: true, user: {name_of(65534)}}}\n")
    chosen.state_dir.mkdir()
    folder = EdgeFolder(chosen)
    try:
        folder.make()
        assert folder.path.is_relative_to("/run")
        assert (chosen.state_dir / "edge").resolve() == folder.path
        folder.write("address.list", "x\n")
        assert (folder.path / "address.list").stat().st_uid == folder.owner == 65534
        assert folder.leftovers == (str(folder.path), str(chosen.state_dir / "edge"))
    finally:
        folder.remove()
    assert not folder.path.exists()
    assert not (chosen.state_dir / "edge").is_symlink()


def name_of(number):
    import pwd

    return pwd.getpwuid(number).pw_name


def test_a_user_that_is_not_there_is_told():
    with pytest.raises(EdgeError, match="no user nobody-here"):
        user_id("nobody-here")


def test_the_secret_is_made_once(tmp_path):
    first = edge_secret(tmp_path)
    assert (edge_secret(tmp_path), len(first)) == (first, 32)
    assert mode(tmp_path / "keys" / "edge.key") == 0o600


def test_certificates_are_copied_when_they_change(tmp_path):
    for name in ("cert.pem", "key.pem"):
        (tmp_path / name).write_text("1")
    tls = "edge: {enabled: true, tls: {certificate: cert.pem, key: key.pem}}\n"
    folder = EdgeFolder(settings(tmp_path, tls), tmp_path / "edge")
    folder.make()
    assert folder.copy_tls()
    assert not folder.copy_tls()
    (tmp_path / "cert.pem").write_text("2")
    assert folder.copy_tls()
    assert (folder.path / "tls" / "cert.pem").read_text() == "2"
    (tmp_path / "key.pem").unlink()
    with pytest.raises(EdgeError, match=r"key\.pem cannot be read"):
        folder.copy_tls()
