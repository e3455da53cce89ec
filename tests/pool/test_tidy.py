from bridge.pool.tidy import tidy


def test_a_folder_and_the_link_to_it_go_and_what_another_link_leads_to_stays(tmp_path):
    ours, link, other = tmp_path / "run", tmp_path / "edge", tmp_path / "other"
    (ours / "tables").mkdir(parents=True)
    (ours / "tables" / "users").write_text("secret")
    (ours / "kept").symlink_to(other)
    other.mkdir()
    (other / "file").write_text("")
    link.symlink_to(ours)
    tidy([str(ours), str(link), str(tmp_path / "never-there")])
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "other"]


def test_a_link_whose_folder_is_not_named_takes_nothing_along(tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "other")
    tidy([str(tmp_path / "link")])
    assert [path.name for path in tmp_path.iterdir()] == ["other"]
